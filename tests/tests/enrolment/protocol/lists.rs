//! Which of several revocation lists counts.

use manoward::{enrolment::Reason, join::State};
use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope};
use time::OffsetDateTime;

use super::{
    authority::{Authority, DAY, Profile, replace},
    testbed::{Testbed, VIM},
};

fn soon() -> OffsetDateTime {
    OffsetDateTime::now_utc() + DAY
}

/// A host with these two lists in one file; what it says to a certificate that the newer has.
async fn verdict_of_two(order: [u64; 2]) -> Vec<Reason> {
    let mut vim = None;
    let bed = Testbed::with(|authority, config| {
        let issued = authority.issue("vim", &Profile::endpoint(VIM));
        let file = authority.file.with_extension("crl");
        let of = |number| match number {
            1 => authority.list(1, &[], soon(), None),
            number => authority.list(number, &[&issued.serial], soon(), None),
        };
        replace(&file, &order.map(of).concat());
        config.files.crls = vec![file];
        vim = Some(issued);
    });
    bed.once(&vim.unwrap()).await;
    bed.recorder.refusals()
}

#[tokio::test]
async fn the_list_with_the_highest_number_counts_wherever_it_stands() {
    assert_eq!(verdict_of_two([1, 2]).await, [Reason::Revoked]);
    assert_eq!(verdict_of_two([2, 1]).await, [Reason::Revoked]);
    assert_eq!(
        verdict_of_two([1, 256]).await,
        [Reason::Revoked],
        "as a number"
    );
}

#[tokio::test]
async fn a_list_under_the_right_name_by_another_key_replaces_nothing() {
    let bed = Testbed::with(|authority, config| {
        let file = authority.file.with_extension("crl");
        config.files.crls = vec![file];
        authority.revoke(&config.files.crls[0], &[], soon());
    });
    let vim = bed.vim();
    let folder = bed.path("elsewhere");
    std::fs::create_dir(&folder).unwrap();
    let impostor = Authority::new(&folder, "operator");
    let genuine = bed.authority.list(1, &[&vim.serial], soon(), None);
    let false_one = impostor.list(9, &[], soon(), None);
    replace(&bed.config.files.crls[0], &(false_one + &genuine));
    bed.server().reload().unwrap();
    bed.once(&vim).await;
    assert_eq!(bed.recorder.refusals(), [Reason::Revoked]);
    let problems = bed.server().problems();
    assert!(
        problems[0].contains("signed by no authority"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn an_authority_that_changes_its_key_revokes_with_both() {
    let bed = Testbed::with(|authority, config| {
        config.files.crls = vec![authority.file.with_extension("crl")];
        authority.revoke(&config.files.crls[0], &[], soon());
    });
    let folder = bed.path("new");
    std::fs::create_dir(&folder).unwrap();
    let successor = Authority::new(&folder, "operator");
    successor.join_bundle(&bed.config.files.ca);
    let (old, new) = (bed.vim(), successor.issue("vim", &Profile::endpoint(VIM)));
    let lists = |of_old: &[&_], of_new: &[&_]| {
        let text =
            bed.authority.list(7, of_old, soon(), None) + &successor.list(1, of_new, soon(), None);
        replace(&bed.config.files.crls[0], &text);
        bed.server().reload().unwrap();
        bed.recorder.forget();
    };
    lists(&[], &[]);
    assert_eq!(bed.once(&old).await.state, State::Granted);
    assert_eq!(bed.once(&new).await.state, State::Granted);
    lists(&[&old.serial], &[]);
    assert_eq!(bed.once(&new).await.state, State::Granted);
    bed.once(&old).await;
    assert_eq!(bed.recorder.refusals(), [Reason::Revoked]);
    lists(&[], &[&new.serial]);
    assert_eq!(bed.once(&old).await.state, State::Granted);
    bed.once(&new).await;
    assert_eq!(bed.recorder.refusals(), [Reason::Revoked]);
    assert_eq!(bed.server().problems(), [""; 0]);
}

#[tokio::test]
async fn the_list_of_an_intermediate_counts_for_what_that_has_issued() {
    let bed = Testbed::with(|authority, config| {
        config.files.crls = vec![authority.file.with_extension("crl")];
        authority.revoke(&config.files.crls[0], &[], soon());
    });
    let (between, _) = bed.authority.intermediate("between");
    let vim = between.issue("vim", &Profile::endpoint(VIM));
    let text = bed.authority.list(1, &[], soon(), None) + &between.list(1, &[], soon(), None);
    replace(&bed.config.files.crls[0], &text);
    bed.server().reload().unwrap();
    assert_eq!(bed.once(&vim).await.state, State::Granted);
    between.revoke(&bed.config.files.crls[0], &[&vim.serial], soon());
    bed.server().reload().unwrap();
    bed.once(&vim).await;
    assert_eq!(bed.recorder.refusals(), [Reason::Revoked]);
    assert_eq!(bed.server().problems(), [""; 0]);
}

#[tokio::test]
async fn a_list_of_some_certificates_only_is_refused_by_name() {
    let bed = Testbed::with(|authority, config| {
        config.files.crls = vec![authority.file.with_extension("crl")];
        authority.revoke(&config.files.crls[0], &[], soon());
    });
    let part = CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint {
            uris: vec!["http://ca.example/1.crl".into()],
        },
        scope: Some(CrlScope::UserCertsOnly),
    };
    let text = bed.authority.list(2, &[], soon(), Some(part));
    replace(&bed.config.files.crls[0], &text);
    let error = bed.server().reload().unwrap_err().to_string();
    assert!(error.contains("issuing distribution point"), "{error}");
    assert_eq!(
        bed.once(&bed.vim()).await.state,
        State::Granted,
        "the list before"
    );
}
