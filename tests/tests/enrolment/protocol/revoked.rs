//! Revocation before a session and during it.

use std::time::{Duration, Instant};

use manoward::{
    enrolment::{End, Reason, StaleCrl},
    join::State,
};
use time::OffsetDateTime;

use super::{
    authority::{Authority, DAY, Profile, replace},
    testbed::{Testbed, VIM, assert_refused, until},
};

/// A host with an empty list.
fn bed(stale: StaleCrl) -> Testbed {
    Testbed::with(|authority, config| {
        let file = authority.file.with_extension("crl");
        authority.revoke(&file, &[], soon());
        config.files.crls = vec![file];
        config.files.stale_crl = stale;
    })
}

fn soon() -> OffsetDateTime {
    OffsetDateTime::now_utc() + DAY
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let bed = bed(StaleCrl::Refuse);
    let vim = bed.vim();
    bed.authority
        .revoke(&bed.config.files.crls[0], &[&vim.serial], soon());
    assert_eq!(bed.server().reload().unwrap(), 0);
    let status = bed.once(&vim).await;
    assert_refused(&bed, &status, Reason::Revoked);
    assert!(status.sentence.unwrap().contains("was revoked"));
}

#[tokio::test]
async fn revocation_ends_a_session_within_seconds() {
    let bed = bed(StaleCrl::Refuse);
    let vim = bed.vim();
    let join = bed.join(&vim).await;
    let began = Instant::now();
    bed.authority
        .revoke(&bed.config.files.crls[0], &[&vim.serial], soon());
    until("the session ends", || bed.recorder.ends() == [End::Revoked]).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    until("the endpoint knows", || {
        join.status().hosts[0].state != State::Granted
    })
    .await;
    until("it does not come back", || {
        bed.recorder.refusals().contains(&Reason::Revoked)
    })
    .await;
}

#[tokio::test]
async fn other_sessions_outlive_a_revocation() {
    let bed = bed(StaleCrl::Refuse);
    let vim = bed.vim();
    let other = bed.authority.issue("other", &Profile::endpoint(VIM));
    let _join = bed.join(&vim).await;
    bed.authority
        .revoke(&bed.config.files.crls[0], &[&other.serial], soon());
    assert_eq!(bed.server().reload().unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bed.server().counts().sessions, 1);
}

#[tokio::test]
async fn a_revoked_intermediate_ends_its_sessions() {
    let bed = bed(StaleCrl::Refuse);
    let (between, serial) = bed.authority.intermediate("between");
    let vim = between.issue("vim", &Profile::endpoint(VIM));
    let _join = bed.join(&vim).await;
    bed.authority
        .revoke(&bed.config.files.crls[0], &[&serial], soon());
    assert_eq!(bed.server().reload().unwrap(), 1);
    until("the session ends", || bed.recorder.ends() == [End::Revoked]).await;
}

#[tokio::test]
async fn an_expired_list_refuses_or_is_accepted_as_configured() {
    let past = || OffsetDateTime::now_utc() - time::Duration::HOUR;
    let strict = bed(StaleCrl::Refuse);
    strict
        .authority
        .revoke(&strict.config.files.crls[0], &[], past());
    strict.server().reload().unwrap();
    strict.once(&strict.vim()).await;
    assert_eq!(strict.recorder.refusals(), [Reason::StaleCrl]);
    let expiring = strict.server().expiring();
    assert_eq!(expiring.len(), 1, "{expiring:?}");
    assert_eq!(
        (expiring[0].what, expiring[0].name.as_str()),
        ("CRL", "CN=operator")
    );
    let problems = strict.server().problems();
    assert!(problems[0].contains("expired at"), "{problems:?}");

    let lenient = bed(StaleCrl::Accept);
    let revoked = lenient.authority.issue("revoked", &Profile::endpoint(VIM));
    lenient
        .authority
        .revoke(&lenient.config.files.crls[0], &[&revoked.serial], past());
    lenient.server().reload().unwrap();
    assert_eq!(lenient.once(&lenient.vim()).await.state, State::Granted);
    lenient.once(&revoked).await;
    assert_eq!(lenient.recorder.refusals(), [Reason::Revoked]);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_a_problem_until_it_can() {
    let bed = bed(StaleCrl::Refuse);
    let list = &bed.config.files.crls[0];
    let good = std::fs::read_to_string(list).unwrap();
    assert_eq!(bed.server().problems(), [""; 0]);
    replace(list, "nothing");
    bed.server().reload().unwrap_err();
    let problems = bed.server().problems();
    assert!(problems[0].contains("are not used"), "{problems:?}");
    replace(list, &good);
    bed.server().reload().unwrap();
    assert_eq!(bed.server().problems(), [""; 0]);
}

#[tokio::test]
async fn a_list_of_another_authority_revokes_nothing() {
    let bed = bed(StaleCrl::Refuse);
    let stranger = Authority::new(bed.directory.path(), "stranger");
    let vim = bed.vim();
    stranger.revoke(&bed.config.files.crls[0], &[&vim.serial], soon());
    bed.server().reload().unwrap();
    assert_eq!(bed.once(&vim).await.state, State::Granted);
}

#[tokio::test]
async fn damaged_files_change_nothing() {
    let bed = bed(StaleCrl::Refuse);
    let _join = bed.join(&bed.vim()).await;
    for (file, text) in [
        (&bed.config.files.crls[0], "no list"),
        (&bed.config.files.ca, "no authority"),
        (&bed.config.files.certificate, ""),
    ] {
        let good = std::fs::read_to_string(file).unwrap();
        replace(file, text);
        let error = bed.server().reload().unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
        replace(file, &good);
    }
    bed.server().reload().unwrap();
    assert_eq!(bed.server().counts().sessions, 1);
    assert_eq!(bed.once(&bed.vim()).await.state, State::Granted);
}

#[tokio::test]
async fn an_authority_that_is_removed_ends_its_sessions() {
    let bed = Testbed::new();
    let _join = bed.join(&bed.vim()).await;
    let other = Authority::new(bed.directory.path(), "other");
    replace(
        &bed.config.files.ca,
        &std::fs::read_to_string(&other.file).unwrap(),
    );
    until("the session ends", || {
        matches!(bed.recorder.ends().as_slice(), [End::Distrusted(_)])
    })
    .await;
}
