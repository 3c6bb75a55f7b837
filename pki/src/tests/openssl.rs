//! Certificates and revocation lists, as OpenSSL reads and verifies them.

use std::process::{Command, Output};

use super::*;

fn openssl(arguments: &[&str]) -> Output {
    Command::new("openssl")
        .args(arguments)
        .output()
        .expect("these tests need the program openssl: install it, e.g. apt-get install openssl")
}

fn text(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts.map(|part| String::from_utf8_lossy(part)).concat()
}

fn said(arguments: &[&str]) -> String {
    let output = openssl(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// Verifies a certificate as a peer does that receives its file, with the lists of all issuers.
fn verify(lab: &Lab, name: &str, purpose: &str) -> Result<(), String> {
    let file = |name: &str| lab.file(name).display().to_string();
    let (bundle, crl, certificate) = (file("ca.pem"), file("crl.pem"), file(name));
    for check in ["-crl_check", "-crl_check_all"] {
        let arguments = [
            "verify",
            "-x509_strict",
            check,
            "-CAfile",
            &bundle,
            "-CRLfile",
            &crl,
            "-untrusted",
            &certificate,
            "-purpose",
            purpose,
            &certificate,
        ];
        let output = openssl(&arguments);
        if !output.status.success() {
            return Err(text(&output));
        }
    }
    Ok(())
}

#[test]
fn chains_of_every_algorithm_verify_until_they_are_revoked() {
    let algorithms = [
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::Ed25519,
    ];
    for algorithm in algorithms {
        for intermediate in [false, true] {
            let lab = Lab::new(algorithm, intermediate);
            let key = Key::New(algorithm);
            lab.issue(&Request {
                key: key.clone(),
                ..vim()
            });
            lab.issue(&Request { key, ..compute() });
            let case = format!("{algorithm:?}, intermediate {intermediate}");
            assert_eq!(verify(&lab, "vim-1.pem", "sslclient"), Ok(()), "{case}");
            assert_eq!(
                verify(&lab, "compute-17.pem", "sslserver"),
                Ok(()),
                "{case}"
            );
            let not_server = verify(&lab, "vim-1.pem", "sslserver").expect_err(&case);
            assert!(not_server.contains("purpose"), "{case}: {not_server}");
            lab.revoke("vim-1");
            let revoked = verify(&lab, "vim-1.pem", "sslclient").expect_err(&case);
            assert!(revoked.contains("certificate revoked"), "{case}: {revoked}");
            assert_eq!(
                verify(&lab, "compute-17.pem", "sslclient"),
                Ok(()),
                "{case}"
            );
        }
    }
}

#[test]
fn certificates_have_the_expected_fields() {
    let lab = Lab::usual();
    let vim = lab.vim();
    lab.issue(&compute());
    let read = |name: &str| {
        let file = lab.file(name).display().to_string();
        said(&["x509", "-in", &file, "-noout", "-text"])
    };
    let client = read("vim-1.pem");
    for part in [
        &format!("URI:{VIM}\n"),
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Extended Key Usage: \n                TLS Web Client Authentication\n",
        "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
        "X509v3 Authority Key Identifier",
        "Subject: CN = vim-1\n",
    ] {
        assert!(client.contains(part), "{part}: {client}");
    }
    let digits: String = client
        .split("Serial Number:")
        .nth(1)
        .expect("a serial")
        .lines()
        .nth(1)
        .expect("a line")
        .trim()
        .to_owned();
    assert_eq!(digits.parse(), Ok(vim.serial));
    let server = read("compute-17.pem");
    for part in [
        "DNS:compute-17.example, IP Address:192.0.2.17, IP Address:2001:DB8:0:0:0:0:0:17\n",
        "TLS Web Server Authentication, TLS Web Client Authentication\n",
    ] {
        assert!(server.contains(part), "{part}: {server}");
    }
}

#[test]
fn the_list_has_the_expected_fields() {
    let lab = Lab::usual();
    let issued = lab.vim();
    lab.revoke("vim-1");
    let file = lab.file("crl.pem").display().to_string();
    let bundle = lab.file("ca.pem").display().to_string();
    let list = said(&["crl", "-in", &file, "-noout", "-text", "-CAfile", &bundle]);
    let serial = issued.serial.to_string().to_uppercase();
    for part in [
        "verify OK",
        "X509v3 CRL Number: \n                2\n",
        "Next Update: ",
        "X509v3 Authority Key Identifier",
        "Key Compromise",
        &serial,
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
}

#[test]
fn keys_made_by_openssl_are_accepted() {
    let lab = Lab::usual();
    for (name, arguments, shown) in [
        ("rsa-2048", ["RSA", "rsa_keygen_bits:2048"], "RSA 2048"),
        ("rsa-3072", ["RSA", "rsa_keygen_bits:3072"], "RSA 3072"),
        ("p-256", ["EC", "ec_paramgen_curve:P-256"], "ECDSA P-256"),
        ("p-384", ["EC", "ec_paramgen_curve:P-384"], "ECDSA P-384"),
        ("ed25519", ["ED25519", ""], "Ed25519"),
    ] {
        let key = lab.file(&format!("{name}-own.key"));
        let path = key.display().to_string();
        let [algorithm, option] = arguments;
        let mut call = vec!["genpkey", "-algorithm", algorithm, "-out", &path];
        if !option.is_empty() {
            call.extend(["-pkeyopt", option]);
        }
        said(&call);
        let issued = lab.issue(&Request {
            key: Key::Existing(key.clone()),
            ..Request::endpoint(name, [Name::uri(VIM).expect("an ID")])
        });
        assert_eq!(issued.key, key);
        assert!(!lab.file(&format!("{name}.key")).exists());
        let file = format!("{name}.pem");
        let entries = certificates(&lab.read(&file), Path::new(&file), &[]).expect("one");
        assert_eq!(entries[0].key, shown);
        assert_eq!(verify(&lab, &file, "sslclient"), Ok(()), "{name}");
        let public = said(&["pkey", "-in", &path, "-pubout"]);
        let certified = lab.file(&file).display().to_string();
        assert_eq!(
            said(&["x509", "-in", &certified, "-noout", "-pubkey"]),
            public
        );
    }
}

#[test]
fn keys_in_other_forms_are_refused_with_a_remedy() {
    let lab = Lab::usual();
    let (key, other) = (lab.file("rsa.key"), lab.file("other.key"));
    let (path, old) = (key.display().to_string(), other.display().to_string());
    said(&["genrsa", "-traditional", "-out", &path, "2048"]);
    said(&[
        "pkcs8", "-topk8", "-in", &path, "-out", &old, "-passout", "pass:lab",
    ]);
    for (key, remedy) in [(&key, "-topk8 -nocrypt"), (&other, "Decrypt it")] {
        let request = Request {
            key: Key::Existing(key.clone()),
            ..vim()
        };
        let error = fails(lab.authority.issue(&request, lab.path()));
        assert!(error.contains(remedy), "{error}");
        assert!(error.contains(&key.display().to_string()), "{error}");
    }
    assert!(!lab.file("vim-1.pem").exists());
}
