//! Endpoints that the host refuses, and the reasons.

use manoward::{
    enrolment::{Identity, Reason},
    join::State,
};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use time::{Duration, OffsetDateTime};

use super::{
    authority::{Authority, DAY, Profile},
    testbed::{Testbed, VIM, assert_refused},
};

#[tokio::test]
async fn an_unknown_authority() {
    let bed = Testbed::new();
    let other = Authority::new(bed.directory.path(), "other");
    let status = bed.once(&other.issue("vim", &Profile::endpoint(VIM))).await;
    assert_refused(&bed, &status, Reason::UnknownCa);
    assert!(
        status
            .sentence
            .unwrap()
            .contains("The issuer is `CN=other`")
    );
}

#[tokio::test]
async fn a_self_signed_certificate() {
    let bed = Testbed::new();
    let status = bed
        .once(&bed.authority.self_signed("vim", &Profile::endpoint(VIM)))
        .await;
    assert_refused(&bed, &status, Reason::UnknownCa);
}

#[tokio::test]
async fn an_expired_certificate() {
    let bed = Testbed::new();
    let now = OffsetDateTime::now_utc();
    let profile = Profile::endpoint(VIM).valid(now - DAY, now - Duration::HOUR);
    let status = bed.once(&bed.authority.issue("vim", &profile)).await;
    assert_refused(&bed, &status, Reason::Expired);
    assert!(status.sentence.unwrap().contains("it expired at "));
}

#[tokio::test]
async fn a_certificate_that_is_not_yet_valid() {
    let bed = Testbed::new();
    let now = OffsetDateTime::now_utc();
    let profile = Profile::endpoint(VIM).valid(now + Duration::HOUR, now + DAY);
    let status = bed.once(&bed.authority.issue("vim", &profile)).await;
    assert_refused(&bed, &status, Reason::NotYetValid);
    assert!(status.sentence.unwrap().contains("Compare the clocks"));
}

#[tokio::test]
async fn a_certificate_for_servers_only() {
    let bed = Testbed::new();
    let profile = Profile::endpoint(VIM).usage(&[ExtendedKeyUsagePurpose::ServerAuth]);
    let status = bed.once(&bed.authority.issue("vim", &profile)).await;
    assert_refused(&bed, &status, Reason::WrongUsage);
    assert!(
        status
            .sentence
            .unwrap()
            .contains("does not include clientAuth")
    );
}

#[tokio::test]
async fn a_certificate_for_all_uses_is_granted() {
    let bed = Testbed::new();
    let status = bed
        .once(
            &bed.authority
                .issue("vim", &Profile::endpoint(VIM).usage(&[])),
        )
        .await;
    assert_eq!(status.state, State::Granted, "{status:?}");
}

#[tokio::test]
async fn a_certificate_without_a_name() {
    let bed = Testbed::new();
    let status = bed
        .once(
            &bed.authority
                .issue("vim", &Profile::endpoint(VIM).sans(&[])),
        )
        .await;
    assert_refused(&bed, &status, Reason::NoMatchingIdentity);
}

#[tokio::test]
async fn an_identity_that_the_registrar_does_not_know() {
    let bed = Testbed::new();
    let profile = Profile::endpoint("spiffe://operator.example/vim/2");
    let status = bed.once(&bed.authority.issue("vim", &profile)).await;
    assert_refused(&bed, &status, Reason::NoMatchingIdentity);
    let sentence = status.sentence.unwrap();
    assert!(
        sentence.contains("no endpoint of the policy has"),
        "{sentence}"
    );
}

#[tokio::test]
async fn identities_are_canonical_and_others_do_not_count() {
    let bed = Testbed::new();
    let profile = Profile::endpoint(VIM).sans(&[
        SanType::URI("SPIFFE://Operator.Example/vim/1".try_into().unwrap()),
        SanType::DnsName("VIM.Example".try_into().unwrap()),
        SanType::DnsName("*.example".try_into().unwrap()),
        SanType::Rfc822Name("vim@example".try_into().unwrap()),
        SanType::IpAddress([192, 0, 2, 1].into()),
    ]);
    let status = bed.once(&bed.authority.issue("vim", &profile)).await;
    assert_eq!(status.state, State::Granted, "{status:?}");
    let expected = [
        Identity::Uri(VIM.into()),
        Identity::Dns("vim.example".into()),
    ];
    assert_eq!(bed.recorder.claims()[0].identities, expected);
}

#[tokio::test]
async fn more_sessions_than_allowed() {
    let bed = Testbed::with(|_, config| config.max_sessions = 1);
    let vim = bed.vim();
    let join = bed.join(&vim).await;
    let status = bed.once(&vim).await;
    assert_eq!(
        status.reason.as_deref(),
        Some("too-many-sessions"),
        "{status:?}"
    );
    join.shutdown().await;
    super::testbed::until("the place is free", || bed.server().counts().sessions == 0).await;
    let status = bed.once(&vim).await;
    assert_eq!(status.state, State::Granted, "{status:?}");
}

#[tokio::test]
async fn an_intermediate_is_needed_and_used() {
    let bed = Testbed::new();
    let (between, _) = bed.authority.intermediate("between");
    let vim = between.issue("vim", &Profile::endpoint(VIM));
    let status = bed.once(&vim).await;
    assert_eq!(status.state, State::Granted, "{status:?}");
    let chain = std::fs::read_to_string(&vim.certificate).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let leaf = chain.split_inclusive(end).next().unwrap();
    std::fs::write(&vim.certificate, leaf).unwrap();
    let status = bed.once(&vim).await;
    assert_eq!(status.reason.as_deref(), Some("unknown-ca"), "{status:?}");
}
