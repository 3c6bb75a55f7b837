//! The endpoint verifies the host, and reports how that fails.

use std::{net::UdpSocket, time::Duration};

use manoward::{
    enrolment::Reason,
    join::{HostStatus, Options, Source, State},
};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use time::OffsetDateTime;

use super::{
    authority::{Authority, DAY, Issued, Profile},
    testbed::{Testbed, once},
};

/// A host with such a certificate.
fn bed(profile: &Profile) -> Testbed {
    Testbed::with(|authority, config| {
        let Issued {
            certificate, key, ..
        } = authority.issue("host", profile);
        (config.files.certificate, config.files.key) = (certificate, key);
    })
}

fn assert_failed(status: &HostStatus, reason: &str, sentence: &str) {
    assert_eq!(status.state, State::Failed, "{status:?}");
    assert_eq!(status.reason.as_deref(), Some(reason), "{status:?}");
    let told = status.sentence.as_deref().unwrap();
    assert!(
        told.contains(sentence) && told.contains(&status.host),
        "{told}"
    );
}

#[tokio::test]
async fn a_host_with_another_name_is_not_trusted() {
    let profile = Profile::host().sans(&[SanType::DnsName("other.example".try_into().unwrap())]);
    let bed = bed(&profile);
    let status = bed.once(&bed.vim()).await;
    assert_failed(&status, "host-wrong-name", "other.example");
    assert!(bed.recorder.claims().is_empty());
    assert_eq!(
        bed.recorder.refusals(),
        [Reason::Protocol],
        "the endpoint broke off"
    );
}

#[tokio::test]
async fn a_host_is_known_by_the_name_that_was_given() {
    let bed = Testbed::new();
    let mut options = bed.options(&bed.vim());
    let name = format!("localhost:{}", bed.address.port());
    options.hosts = Source::List(vec![name.parse().unwrap()]);
    let status = once(&options).await;
    assert_eq!(status.state, State::Granted, "{status:?}");
    assert_eq!(status.address, Some(bed.address));
}

#[tokio::test]
async fn a_host_of_an_unknown_authority_is_not_trusted() {
    let bed = Testbed::new();
    let other = Authority::new(bed.directory.path(), "other");
    let mut options = bed.options(&bed.vim());
    options.files.ca.clone_from(&other.file);
    let status = once(&options).await;
    let sentence = format!("no authority in {} issued it", other.file.display());
    assert_failed(&status, "host-distrusted", &sentence);
    other.join_bundle(&bed.authority.file);
    options.files.ca.clone_from(&bed.authority.file);
    assert_eq!(
        once(&options).await.state,
        State::Granted,
        "in a bundle of two"
    );
}

#[tokio::test]
async fn a_host_with_an_expired_or_future_certificate_is_not_trusted() {
    let now = OffsetDateTime::now_utc();
    let expired = bed(&Profile::host().valid(now - DAY, now - time::Duration::HOUR));
    let status = expired.once(&expired.vim()).await;
    assert_failed(&status, "host-distrusted", "it expired at ");
    let early = bed(&Profile::host().valid(now + time::Duration::HOUR, now + DAY));
    let status = early.once(&early.vim()).await;
    assert_failed(&status, "host-distrusted", "it is valid from ");
}

#[tokio::test]
async fn a_client_certificate_does_not_prove_a_host() {
    let bed = bed(&Profile::host().usage(&[ExtendedKeyUsagePurpose::ClientAuth]));
    let status = bed.once(&bed.vim()).await;
    assert_failed(&status, "host-distrusted", "does not include serverAuth");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_named_with_its_address() {
    let bed = Testbed::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut options = bed.options(&bed.vim());
    options.hosts = Source::List(vec![address.to_string().parse().unwrap()]);
    let began = std::time::Instant::now();
    let status = once(&options).await;
    assert_failed(&status, "no-answer", &format!("at UDP {address}"));
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_named() {
    let bed = Testbed::new();
    let mut options: Options = bed.options(&bed.vim());
    options.hosts = Source::List(vec!["no-such-host.invalid".parse().unwrap()]);
    assert_failed(&once(&options).await, "unresolved", "does not resolve");
}

#[tokio::test]
async fn a_family_that_is_not_bound_is_named() {
    let bed = Testbed::new();
    let mut options = bed.options(&bed.vim());
    options.bind = Some(std::net::Ipv6Addr::LOCALHOST.into());
    assert_failed(&once(&options).await, "no-family", "only IPv6");
}
