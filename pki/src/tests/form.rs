//! The content of certificates, as an independent parser reads it.

use x509_parser::{certificate::X509Certificate, extensions::GeneralName, pem::Pem};

use super::*;

fn with_certificate(path: &Path, check: impl FnOnce(&X509Certificate)) {
    let text = std::fs::read(path).expect("a file");
    let pem = Pem::iter_from_buffer(&text)
        .next()
        .expect("a block")
        .expect("PEM");
    check(&pem.parse_x509().expect("a certificate"));
}

#[test]
fn an_endpoint_has_an_svid() {
    let lab = Lab::usual();
    with_certificate(&lab.vim().certificate, |certificate| {
        let names = certificate
            .subject_alternative_name()
            .expect("one")
            .expect("some");
        assert_eq!(names.value.general_names, [GeneralName::URI(VIM)]);
        let constraints = certificate.basic_constraints().expect("one").expect("some");
        assert!(!constraints.value.ca);
        let usage = certificate.key_usage().expect("one").expect("some");
        assert!(usage.critical);
        assert_eq!(usage.value.flags, 1, "digitalSignature only");
        let extended = certificate
            .extended_key_usage()
            .expect("one")
            .expect("some");
        assert!(extended.value.client_auth && !extended.value.server_auth && !extended.value.any);
        assert!(extended.value.other.is_empty());
        assert_eq!(certificate.subject().to_string(), "CN=vim-1");
    });
}

#[test]
fn a_host_is_a_server_and_a_client() {
    let lab = Lab::usual();
    with_certificate(&lab.issue(&compute()).certificate, |certificate| {
        let names = certificate
            .subject_alternative_name()
            .expect("one")
            .expect("some");
        let longer = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17];
        assert_eq!(
            names.value.general_names,
            [
                GeneralName::DNSName("compute-17.example"),
                GeneralName::IPAddress(&[192, 0, 2, 17]),
                GeneralName::IPAddress(&longer),
            ]
        );
        let extended = certificate
            .extended_key_usage()
            .expect("one")
            .expect("some");
        assert!(extended.value.client_auth && extended.value.server_auth);
    });
}

#[test]
fn authorities_sign_certificates_and_lists_only() {
    let lab = Lab::new(KeyAlgorithm::Ed25519, true);
    for (file, below) in [("ca.pem", 1), ("intermediate.pem", 0)] {
        with_certificate(&lab.file(file), |certificate| {
            let constraints = certificate.basic_constraints().expect("one").expect("some");
            assert!(constraints.critical && constraints.value.ca);
            assert_eq!(constraints.value.path_len_constraint, Some(below));
            let usage = certificate.key_usage().expect("one").expect("some");
            assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
            assert!(!usage.value.digital_signature());
            assert_eq!(certificate.extended_key_usage().expect("none"), None);
        });
    }
}

#[test]
fn serials_are_positive_and_differ() {
    let lab = Lab::usual();
    let mut serials = std::collections::BTreeSet::new();
    for number in 0..16 {
        let request = Request::endpoint(&format!("vim-{number}"), [Name::uri(VIM).expect("ID")]);
        let issued = lab.issue(&request);
        with_certificate(&issued.certificate, |certificate| {
            let raw = certificate.raw_serial();
            assert!(raw[0] < 0x80 && (16..=17).contains(&raw.len()), "{raw:?}");
            assert_eq!(Serial::from_octets(raw), issued.serial);
        });
        serials.insert(issued.serial);
    }
    assert_eq!(serials.len(), 16);
}

#[test]
fn the_file_of_a_certificate_has_the_chain_without_the_root() {
    let lab = Lab::new(KeyAlgorithm::EcdsaP256, true);
    let issued = lab.vim();
    let text = lab.read("vim-1.pem");
    let entries = certificates(&text, &issued.certificate, &[]).expect("certificates");
    assert_eq!(entries.len(), 2);
    assert!(text.ends_with(&lab.read("intermediate.pem")));
    assert_eq!(entries[0].revocation, Revocation::Unknown);
}

#[test]
fn files_with_other_content_are_named() {
    let lab = Lab::usual();
    let crl = lab.file("crl.pem");
    let error = fails(certificates(&lab.read("crl.pem"), &crl, &[]));
    assert!(
        error.contains("crl.pem: it holds no certificate"),
        "{error}"
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = fails(certificates(broken, Path::new("b.pem"), &[]));
    assert!(
        error.contains("b.pem: a certificate in it is damaged"),
        "{error}"
    );
}

#[test]
fn the_list_of_another_authority_of_the_same_name_says_nothing() {
    let (lab, other) = (Lab::usual(), Lab::usual());
    let issued = lab.vim();
    let text = lab.read("vim-1.pem");
    for (lists_of, expected) in [(&lab, Revocation::Good), (&other, Revocation::Unknown)] {
        let path = lists_of.file("crl.pem");
        let lists = crls(&lists_of.read("crl.pem"), &path).expect("lists");
        let entries = certificates(&text, &issued.certificate, &lists).expect("one");
        assert_eq!(entries[0].revocation, expected);
    }
}
