//! Revoking, and the list.

use std::{fs, time::Duration};

use super::*;

fn list(lab: &Lab) -> Crl {
    let path = lab.file("crl.pem");
    let mut lists = crls(&lab.read("crl.pem"), &path).expect("lists");
    lists.swap_remove(0)
}

#[test]
fn the_number_grows_with_every_revocation() {
    let lab = Lab::usual();
    assert_eq!(list(&lab).number, Some(1));
    assert!(list(&lab).revoked.is_empty());
    for number in 0..3 {
        let name = format!("vim-{number}");
        let issued = lab.issue(&Request::endpoint(&name, [Name::uri(VIM).expect("an ID")]));
        let revoking = lab.revoke(&name);
        assert_eq!(revoking.serial, issued.serial);
        assert!(!revoking.already);
        let list = list(&lab);
        assert_eq!(list.number, Some(2 + number));
        assert_eq!(revoking.crl_number, 2 + number);
        assert_eq!(list.revoked.len() as u64, 1 + number);
        assert!(list.next_update.expect("an end") > list.this_update);
    }
}

#[test]
fn revoking_again_changes_nothing() {
    let lab = Lab::usual();
    lab.vim();
    let first = lab.revoke("vim-1");
    let before = lab.read("crl.pem");
    let serial = Which::Serial(first.serial.clone());
    let again = lab
        .authority
        .revoke(&serial, Reason::Superseded)
        .expect("revoked");
    assert!(again.already);
    assert_eq!(again.reason, Reason::KeyCompromise);
    assert_eq!(again.since, first.since);
    assert_eq!(lab.read("crl.pem"), before);
}

#[test]
fn a_certificate_is_found_by_name_serial_and_file() {
    let lab = Lab::new(KeyAlgorithm::Ed25519, true);
    let other = tempfile::tempdir().expect("a directory");
    let first = lab.vim();
    let second = lab.authority.issue(&vim(), other.path()).expect("issued");
    let by_name = Which::Named("vim-1".into());
    let error = fails(lab.authority.revoke(&by_name, Reason::default()));
    assert!(error.contains(&second.serial.to_string()), "{error}");
    let by_file = Which::File(first.certificate);
    let revoking = lab
        .authority
        .revoke(&by_file, Reason::default())
        .expect("revoked");
    assert_eq!(revoking.serial, first.serial);
    // Only one of the name is left.
    assert_eq!(lab.revoke("vim-1").serial, second.serial);
    assert!(lab.revoke("vim-1").already);
    assert_eq!(
        crls(&lab.read("crl.pem"), Path::new(""))
            .expect("lists")
            .len(),
        2
    );
}

#[test]
fn certificates_of_others_are_not_revoked() {
    let (lab, other) = (Lab::usual(), Lab::usual());
    let issued = other.vim();
    for which in [
        Which::Named("vim-1".into()),
        Which::Serial(issued.serial),
        Which::File(issued.certificate),
    ] {
        let error = fails(lab.authority.revoke(&which, Reason::default()));
        assert!(error.contains("has issued no certificate"), "{error}");
        assert!(error.contains("manoward pki show"), "{error}");
    }
    assert_eq!(list(&lab).number, Some(1));
}

#[test]
fn a_list_that_was_lost_is_signed_again() {
    let lab = Lab::usual();
    lab.vim();
    let old = lab.read("crl.pem");
    lab.revoke("vim-1");
    // As if the machine had stopped before the new list was in place.
    fs::write(lab.file("crl.pem"), old).expect("written");
    let again = lab.revoke("vim-1");
    assert!(again.already);
    assert_eq!(list(&lab).number, Some(3));
    assert_eq!(list(&lab).revoked.len(), 1);
}

#[test]
fn revoking_needs_no_key_of_the_root_above_an_intermediate() {
    let lab = Lab::new(KeyAlgorithm::EcdsaP256, true);
    fs::remove_file(lab.file("ca.key")).expect("removed");
    lab.vim();
    lab.revoke("vim-1");
    let lists = crls(&lab.read("crl.pem"), Path::new("")).expect("lists");
    assert_eq!(lists[0].revoked.len(), 1);
    assert!(lists[1].revoked.is_empty());
}

#[test]
fn tests_can_issue_expired_certificates() {
    let lab = Lab::usual();
    let now = time::OffsetDateTime::now_utc();
    let ended = Validity::Between(now - Duration::from_hours(2), now - Duration::from_hours(1));
    lab.issue(&Request {
        validity: ended,
        ..vim()
    });
    let inventory = lab.authority.inventory().expect("read");
    assert!(inventory.certificates[1].not_after < jiff::Timestamp::now());
}

#[test]
fn concurrent_changes_lose_nothing() {
    let lab = Lab::usual();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let lab = &lab;
            scope.spawn(move || {
                let name = format!("vim-{number}");
                lab.issue(&Request::endpoint(&name, [Name::uri(VIM).expect("an ID")]));
                lab.revoke(&name);
            });
        }
    });
    assert_eq!(list(&lab).revoked.len(), 8);
    assert_eq!(list(&lab).number, Some(9));
}
