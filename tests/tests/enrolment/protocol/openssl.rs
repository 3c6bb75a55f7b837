//! Certificates as the openssl program makes them.

use std::{fs, path::Path, process::Command};

use manoward::{
    enrolment::{Identity, StaleCrl},
    join::State,
};
use manoward_pki as pki;

use super::{
    authority::Issued,
    testbed::{Testbed, VIM, once},
};

const RSA_2048: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
const RSA_3072: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:3072";

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("openssl is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {errors}");
}

/// Makes an authority and an endpoint's certificate below it.
fn issue(directory: &Path, name: &str, key: &str) -> Issued {
    issue_to(directory, name, key, &format!("URI:{VIM}"))
}

/// Makes an authority and a certificate below it. The subject is empty, as in an X.509-SVID.
fn issue_to(directory: &Path, name: &str, key: &str, names: &str) -> Issued {
    let extensions = format!(
        "basicConstraints=critical,CA:FALSE\n\
         keyUsage=critical,digitalSignature\n\
         extendedKeyUsage=clientAuth,serverAuth\n\
         subjectAltName=critical,{names}\n"
    );
    fs::write(directory.join("svid.ext"), extensions).unwrap();
    openssl(directory, &format!("genpkey {key} -out {name}-ca.key"));
    openssl(
        directory,
        &format!(
            "req -x509 -new -key {name}-ca.key -subj /CN={name}-ca -days 30 -out {name}-ca.pem \
             -addext keyUsage=critical,keyCertSign,cRLSign"
        ),
    );
    openssl(directory, &format!("genpkey {key} -out {name}.key"));
    openssl(
        directory,
        &format!("req -new -key {name}.key -subj / -out {name}.csr"),
    );
    openssl(
        directory,
        &format!(
            "x509 -req -in {name}.csr -CA {name}-ca.pem -CAkey {name}-ca.key -days 20 \
             -set_serial 77 -extfile svid.ext -out {name}.crt"
        ),
    );
    Issued {
        certificate: directory.join(format!("{name}.crt")),
        key: directory.join(format!("{name}.key")),
        serial: 77.into(),
    }
}

async fn assert_granted(name: &str, key: &str) {
    let bed = Testbed::new();
    let issued = issue(bed.directory.path(), name, key);
    let authority = fs::read_to_string(bed.path(&format!("{name}-ca.pem"))).unwrap();
    let bundle = fs::read_to_string(&bed.authority.file).unwrap() + &authority;
    fs::write(&bed.authority.file, bundle).unwrap();
    bed.server().reload().unwrap();
    let status = bed.once(&issued).await;
    assert_eq!(status.state, State::Granted, "{name}: {status:?}");
    let claim = bed.recorder.claims().remove(0);
    assert_eq!(claim.identities, [Identity::Uri(VIM.into())]);
    assert_eq!(
        (
            claim.certificate.subject.as_str(),
            claim.certificate.serial.as_str()
        ),
        ("", "4d")
    );
}

#[tokio::test]
async fn rsa_2048() {
    assert_granted("rsa", RSA_2048).await;
}

#[tokio::test]
async fn rsa_3072() {
    assert_granted("rsa", RSA_3072).await;
}

/// Host and endpoint have authorities and keys of RSA, and verify each other.
#[tokio::test]
async fn a_host_with_rsa() {
    for key in [RSA_2048, RSA_3072] {
        let mut vim = None;
        let bed = Testbed::with(|authority, config| {
            let directory = authority.file.parent().unwrap();
            let host = issue_to(directory, "rsa-host", key, "IP:127.0.0.1");
            (config.files.certificate, config.files.key) = (host.certificate, host.key);
            vim = Some(issue(directory, "rsa-vim", key));
            config.files.ca = directory.join("rsa-vim-ca.pem");
        });
        let mut options = bed.options(&vim.unwrap());
        options.files.ca = bed.path("rsa-host-ca.pem");
        let status = once(&options).await;
        assert_eq!(status.state, State::Granted, "{key}: {status:?}");
    }
}

/// A key that `manoward pki` does not make, in a certificate that it issues.
#[tokio::test]
async fn an_rsa_key_that_manoward_pki_certified() {
    let mut issued = None;
    let bed = Testbed::with(|authority, config| {
        let directory = authority.file.parent().unwrap();
        openssl(directory, &format!("genpkey {RSA_2048} -out brought.key"));
        let lab = pki::Authority::create(&directory.join("lab"), &pki::Options::default());
        let lab = lab.unwrap();
        let request = pki::Request {
            key: pki::Key::Existing(directory.join("brought.key")),
            ..pki::Request::endpoint("vim-1", [pki::Name::uri(VIM).unwrap()])
        };
        issued = Some(lab.issue(&request, directory).unwrap());
        config.files.ca = lab.bundle().to_owned();
        config.files.crls = vec![lab.crl().to_owned()];
    });
    let issued = issued.unwrap();
    let status = bed
        .once(&Issued {
            certificate: issued.certificate,
            key: issued.key,
            serial: 0.into(),
        })
        .await;
    assert_eq!(status.state, State::Granted, "{status:?}");
}

#[tokio::test]
async fn ecdsa_p256() {
    assert_granted("p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256").await;
}

#[tokio::test]
async fn ecdsa_p384() {
    assert_granted("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384").await;
}

#[tokio::test]
async fn ed25519() {
    assert_granted("ed25519", "-algorithm ED25519").await;
}

#[tokio::test]
async fn a_revocation_list_made_by_openssl_counts() {
    let bed = Testbed::new();
    let directory = bed.directory.path();
    let issued = issue(
        directory,
        "vim",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    );
    fs::write(bed.path("index.txt"), "").unwrap();
    fs::write(bed.path("crlnumber"), "01\n").unwrap();
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\n\
        default_md=sha256\ndefault_crl_days=7\n";
    fs::write(bed.path("ca.cnf"), config).unwrap();
    let with = "-config ca.cnf -keyfile vim-ca.key -cert vim-ca.pem";
    openssl(directory, &format!("ca {with} -revoke vim.crt"));
    openssl(directory, &format!("ca {with} -gencrl -out vim.crl"));
    openssl(directory, "crl -in vim.crl -outform DER -out vim.crl.der");
    for list in ["vim.crl", "vim.crl.der"] {
        let host = Testbed::with(|_, config| {
            config.files.ca = directory.join("vim-ca.pem");
            config.files.crls = vec![directory.join(list)];
            config.files.stale_crl = StaleCrl::Refuse;
        });
        let status = host.once(&issued).await;
        assert_eq!(
            status.reason.as_deref(),
            Some("revoked"),
            "{list}: {status:?}"
        );
    }
}

/// Private keys in PEM forms older than PKCS #8 (PKCS #1, SEC 1).
#[tokio::test]
async fn old_forms_of_keys_are_read() {
    let bed = Testbed::new();
    let directory = bed.directory.path();
    for (key, convert) in [
        (RSA_2048, "rsa -traditional"),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "ec"),
    ] {
        let mut issued = issue(directory, "vim", key);
        openssl(directory, &format!("{convert} -in vim.key -out old.key"));
        issued.key = bed.path("old.key");
        let authority = fs::read_to_string(bed.path("vim-ca.pem")).unwrap();
        let bundle = fs::read_to_string(&bed.authority.file).unwrap() + &authority;
        fs::write(&bed.authority.file, bundle).unwrap();
        bed.server().reload().unwrap();
        let status = bed.once(&issued).await;
        assert_eq!(status.state, State::Granted, "{key}: {status:?}");
    }
}
