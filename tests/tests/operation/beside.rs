//! Requests at the same time: a slow explanation delays other explanations only.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::machine::scratch::Scratch;
use harness::net::station::{HOST, INTRUDER, NIC, VIM};
use harness::programs::openssh;
use harness::{Namespace, Policy};
use manoward::config::{Config, DoorMode};
use manoward::control::{client::Client, listen, server};
use manoward::datapath::interface::Interfaces;
use manoward::enforcer::Handle;
use manoward::pulse::Pulses;
use manoward_api::{Fate, FlowQuery, Question, Way};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Timeout, far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

const LATE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 18);

fn from(source: Ipv4Addr) -> Question {
    Question::Packet {
        from: source.into(),
        to: HOST.v4.into(),
        protocol: "tcp".into(),
        port: Some(openssh::PORT),
        source_port: None,
        mac: None,
        vlan: None,
        interface: None,
        direction: Way::In,
    }
}

#[test]
fn nothing_waits_for_an_explanation_that_is_under_way() -> Result<()> {
    let host = Namespace::new("host")?;
    let address = format!("address add {}/24 dev {NIC}\n", HOST.v4);
    let link = format!("link add {NIC} type veth\nlink set {NIC} up\n{address}");
    host.feed(&["ip", "-batch", "-"], &link)?;
    let folder = Scratch::new("beside")?;
    let config = Config {
        policy: folder.path().join("policy.yaml"),
        state: folder.path().join("state"),
        socket: folder.path().join("control.sock"),
        pins: format!("/sys/fs/bpf/mw-beside-{}", std::process::id()).into(),
        // This process has other mounts than its threads.
        door: Some(DoorMode::Off),
        ..Config::default()
    };
    std::fs::write(&config.policy, Policy::default().to_string())?;
    host.enter(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(explain_slowly(&host, config))
    })?
}

async fn explain_slowly(host: &Namespace, config: Config) -> Result<()> {
    let listener = listen::open(&config.socket, None)?;
    let client = Client::new(&config.socket);
    let enforcer = Handle::start(config, Interfaces::read().await?).await?;
    let end = Arc::new(Notify::new());
    let served = tokio::spawn(server::serve(
        listener,
        enforcer.clone(),
        Arc::clone(&end),
        Pulses::default().part("api"),
    ));

    let (finish, is_to_finish) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel::<()>();
    let explaining = enforcer.clone();
    let slow = tokio::spawn(async move {
        let work = move |_: &mut _| {
            let _ = begun.send(());
            let _ = is_to_finish.recv();
        };
        explaining.explainers().run(work).await
    });
    has_begun.recv_timeout(PATIENCE)?;
    let asking = client.clone();
    let waiting = tokio::spawn(async move { asking.explain(&from(VIM.v4)).await });

    host.run(&["ip", "address", "add", &format!("{LATE}/24"), "dev", NIC])?;
    let interfaces = Interfaces::read().await?;
    let follow = enforcer.change(|enforcer| enforcer.follow(interfaces));
    timeout(PATIENCE, follow).await.context("following")??;
    let status = timeout(PATIENCE, client.status())
        .await
        .context("status")??;
    assert!(status.protected.contains(&IpAddr::from(LATE)));
    assert_eq!(status.problems, []);
    timeout(PATIENCE, client.stats()).await.context("stats")??;
    timeout(PATIENCE, client.flows(&FlowQuery::default()))
        .await
        .context("flows")??;

    assert!(!slow.is_finished() && !waiting.is_finished());
    finish.send(())?;
    slow.await??;
    let explanation = timeout(PATIENCE, waiting).await???;
    assert_eq!(explanation.fate, Fate::Passed);
    let explanation = client.explain(&from(INTRUDER.v4)).await?;
    assert_eq!(explanation.fate, Fate::Dropped);

    client.detach().await?;
    timeout(PATIENCE, served).await??;
    Ok(())
}
