//! What is granted, and how sessions live and end.

use std::time::{Duration, Instant};

use manoward::{
    enrolment::{End, Identity, SessionId},
    join::{Join, State},
};

use super::{
    authority::Profile,
    testbed::{Entry, Testbed, VIM, until},
};

#[tokio::test]
async fn a_claim_has_identities_addresses_and_certificate() {
    let bed = Testbed::new();
    let status = bed.once(&bed.vim()).await;
    assert_eq!(status.state, State::Granted, "{status:?}");
    assert_eq!(status.endpoint.as_deref(), Some("vim-1"));
    assert_eq!(status.role.as_deref(), Some("vim"));
    let claims = bed.recorder.claims();
    let [claim] = claims.as_slice() else {
        panic!("{claims:?}");
    };
    assert_eq!(claim.identities, [Identity::Uri(VIM.into())]);
    assert_eq!(claim.remote.ip(), bed.address.ip());
    assert_eq!(claim.local, bed.address.ip());
    assert_eq!(claim.certificate.subject, "CN=under test");
    assert_eq!(claim.certificate.issuer, "CN=operator");
    assert_eq!(claim.certificate.fingerprint.len(), 64);
    assert!(claim.program.starts_with("manoward "));
    until("the session ends", || bed.recorder.ends() == [End::Closed]).await;
    assert_eq!(bed.server().counts().sessions, 0);
}

#[tokio::test]
async fn a_session_is_renewed_while_it_lives_and_ends_with_silence() {
    let bed = Testbed::new();
    let join = bed.join(&bed.vim()).await;
    let renewals = || {
        let entries = bed.recorder.entries();
        entries
            .iter()
            .filter(|&entry| *entry == Entry::Renewed(SessionId(1)))
            .count()
    };
    until("renewals come", || renewals() >= 3).await;
    let session = bed.server().sessions().remove(0);
    assert_eq!(
        (session.endpoint.as_str(), session.role.as_str()),
        ("vim-1", "vim")
    );
    assert_eq!(session.local, bed.address);
    join.shutdown().await;
    until("the host knows", || bed.recorder.ends() == [End::Closed]).await;
}

#[tokio::test]
async fn silence_ends_a_session() {
    let bed = Testbed::new();
    let vim = bed.vim();
    let options = bed.options(&vim);
    // An endpoint in another thread, which stops without closing its session.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let endpoint = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let join = runtime.block_on(async { Join::start(options, |_| {}).unwrap() });
        runtime.block_on(async {
            while stopped.try_recv().is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        std::mem::forget((runtime, join));
    });
    until("the session begins", || bed.server().counts().sessions == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.send(()).unwrap();
    endpoint.join().unwrap();
    let began = Instant::now();
    until("silence is noticed", || {
        bed.recorder.ends() == [End::Silence]
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_host_says_why_it_ends_a_session() {
    let bed = Testbed::new();
    let join = bed.join(&bed.vim()).await;
    let end = End::Withdrawn("the operator revoked the lease".into());
    assert!(bed.server().close(SessionId(1), end.clone()));
    assert!(!bed.server().close(SessionId(99), End::Shutdown));
    until("the registrar knows", || {
        bed.recorder.ends() == [end.clone()]
    })
    .await;
    let told = || {
        let status = join.status().hosts.remove(0);
        status
            .sentence
            .is_some_and(|s| s.contains("(withdrawn): the operator revoked the lease"))
    };
    until("the endpoint is told", told).await;
    // It comes back with a new claim, which is decided anew.
    until("the endpoint comes back", || {
        bed.recorder.claims().len() == 2
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_with_its_certificate() {
    let bed = Testbed::new();
    let now = time::OffsetDateTime::now_utc();
    let profile =
        Profile::endpoint(VIM).valid(now - time::Duration::DAY, now + time::Duration::seconds(3));
    let _join = bed.join(&bed.authority.issue("vim", &profile)).await;
    until("the certificate ends", || {
        bed.recorder.ends() == [End::Expired]
    })
    .await;
    let late = time::OffsetDateTime::now_utc() - now;
    assert!(late < time::Duration::seconds(6), "{late}");
}

#[tokio::test]
async fn all_families_and_several_addresses_are_served() {
    let bed = Testbed::with(|_, config| {
        config
            .listen
            .push((std::net::Ipv6Addr::LOCALHOST, 0).into());
    });
    let vim = bed.vim();
    for address in bed.server().addresses() {
        let mut options = bed.options(&vim);
        options.hosts = manoward::join::Source::List(vec![address.to_string().parse().unwrap()]);
        let status = super::testbed::once(&options).await;
        assert_eq!(status.state, State::Granted, "{status:?}");
        assert_eq!(bed.recorder.claims().last().unwrap().local, address.ip());
    }
}
