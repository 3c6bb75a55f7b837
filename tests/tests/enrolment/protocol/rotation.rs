//! New certificates and restarts of the host: sessions are kept, or come back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use manoward::{
    enrolment::{End, Server},
    join::{HostStatus, Join, Source, State},
};

use super::{
    authority::{Profile, replace},
    testbed::{Testbed, VIM, until},
};

#[tokio::test]
async fn a_new_certificate_replaces_the_old_session_without_a_gap() {
    let bed = Testbed::new();
    let join = bed.join(&bed.vim()).await;
    for round in 1..=3 {
        // The same files, as a renewal program writes them.
        let next = bed.vim();
        join.reload_credentials().unwrap();
        until("the old session ends", || {
            bed.recorder.ends().len() == round
        })
        .await;
        let sessions = bed.server().sessions();
        assert_eq!(sessions.len(), 1);
        let serial = u64::from_str_radix(&sessions[0].certificate.serial, 16).unwrap();
        assert_eq!(rcgen::SerialNumber::from(serial), next.serial);
        assert_eq!(bed.recorder.fewest(), 1, "{:?}", bed.recorder.entries());
    }
    assert_eq!(join.status().hosts[0].state, State::Granted);
}

#[tokio::test]
async fn a_refused_new_certificate_keeps_the_old_session() {
    let bed = Testbed::new();
    let join = bed.join(&bed.vim()).await;
    bed.authority.issue(
        "vim",
        &Profile::endpoint("spiffe://operator.example/nobody"),
    );
    join.reload_credentials().unwrap();
    let told = || join.status().hosts[0].reason.as_deref() == Some("no-matching-identity");
    until("the refusal is told", told).await;
    assert_eq!(join.status().hosts[0].state, State::Granted);
    assert_eq!(bed.server().counts().sessions, 1);
    bed.authority.issue("vim", &Profile::endpoint(VIM));
    join.reload_credentials().unwrap();
    until("the next one is granted", || {
        bed.recorder.ends() == [End::Closed]
    })
    .await;
    assert_eq!(bed.recorder.fewest(), 1);
}

#[tokio::test]
async fn half_written_files_are_not_used() {
    let bed = Testbed::new();
    let vim = bed.vim();
    let join = bed.join(&vim).await;
    let other = bed.authority.issue("other", &Profile::endpoint(VIM));
    replace(
        &vim.certificate,
        &std::fs::read_to_string(&other.certificate).unwrap(),
    );
    let error = join.reload_credentials().unwrap_err().to_string();
    assert!(error.contains("does not belong to"), "{error}");
    replace(&vim.key, &std::fs::read_to_string(&other.key).unwrap());
    join.reload_credentials().unwrap();
    until("the new session is there", || {
        bed.recorder.claims().len() == 2
    })
    .await;
}

#[tokio::test]
async fn a_host_that_starts_again_is_joined_again() {
    let mut bed = Testbed::new();
    let join = bed.join(&bed.vim()).await;
    bed.server.take().unwrap().shutdown().await;
    assert_eq!(bed.recorder.ends(), [End::Shutdown]);
    until("the endpoint notices", || join.status().granted == 0).await;
    bed.start();
    let began = Instant::now();
    until("the endpoint is back", || join.status().granted == 1).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(bed.recorder.claims().len(), 2);
}

#[tokio::test]
async fn a_host_that_crashed_is_joined_again_before_the_idle_timeout() {
    let mut bed = Testbed::with(|_, config| config.idle_timeout = Duration::from_mins(2));
    bed.server.take().unwrap().shutdown().await;
    // The kernel closes the sockets of a process that is killed, without closing its sessions.
    let (config, recorder) = (bed.config.clone(), Arc::clone(&bed.recorder));
    let (crash, told) = std::sync::mpsc::channel::<()>();
    let (started, ready) = std::sync::mpsc::channel::<()>();
    let agent = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let guard = runtime.enter();
        let server = Server::start(config, recorder).unwrap();
        started.send(()).unwrap();
        told.recv().unwrap();
        drop(guard);
        runtime.shutdown_timeout(Duration::from_secs(1));
        drop(server);
    });
    ready.recv().unwrap();
    let (say, said) = std::sync::mpsc::channel();
    let report = move |host: &HostStatus| {
        let _ = say.send(host.sentence.clone());
    };
    let join = Join::start(bed.options(&bed.vim()), report).unwrap();
    until("the session begins", || join.status().granted == 1).await;
    crash.send(()).unwrap();
    agent.join().unwrap();
    assert!(bed.recorder.ends().is_empty(), "nobody noticed");
    // Packets in flight are lost.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(join.status().granted, 1);
    bed.start();
    let began = Instant::now();
    until("the endpoint is back", || {
        bed.server().counts().sessions == 1
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    until("it knows", || join.status().granted == 1).await;
    let sentences: Vec<_> = said.try_iter().flatten().collect();
    assert_eq!(sentences.len(), 1, "{sentences:?}");
    assert!(sentences[0].contains("reset by peer"), "{sentences:?}");
}

#[tokio::test]
async fn an_endpoint_waits_for_a_host_that_is_not_there_yet() {
    let mut bed = Testbed::new();
    bed.server.take().unwrap().shutdown().await;
    let options = bed.options(&bed.vim());
    let join = Join::start(options, |_| {}).unwrap();
    until("the attempt fails", || {
        join.status().hosts[0].state == State::Failed
    })
    .await;
    assert_eq!(join.status().hosts[0].reason.as_deref(), Some("no-answer"));
    bed.start();
    until("the host is joined", || join.status().granted == 1).await;
}

#[tokio::test]
async fn hosts_come_and_go_with_their_file() {
    let (one, other) = (Testbed::new(), Testbed::new());
    other.authority.join_bundle(&one.authority.file);
    one.authority.join_bundle(&other.authority.file);
    other.server().reload().unwrap();
    let file = one.path("hosts");
    std::fs::write(&file, format!("{}\n", one.address)).unwrap();
    let mut options = one.options(&one.vim());
    options.hosts = Source::File(file.clone());
    let join = Join::start(options, |_| {}).unwrap();
    until("the first is joined", || {
        one.server().counts().sessions == 1
    })
    .await;
    std::fs::write(&file, format!("{}\n{} # new\n", one.address, other.address)).unwrap();
    join.reload_hosts().unwrap();
    until("the second is joined", || {
        other.server().counts().sessions == 1
    })
    .await;
    assert_eq!(one.recorder.claims().len(), 1, "the first was left alone");
    std::fs::write(&file, format!("{}\n", other.address)).unwrap();
    join.reload_hosts().unwrap();
    until("the first is left", || one.recorder.ends() == [End::Closed]).await;
    assert_eq!(join.count(), (1, 1));
    std::fs::write(&file, "").unwrap();
    join.reload_hosts().unwrap_err();
    assert_eq!(join.count(), (1, 1), "an empty file is a mistake");
}
