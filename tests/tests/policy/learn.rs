//! A draft that was learnt from the traffic of the demo's host admits what was used, and nobody else.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use harness::net::station::{HOST, HOST_OPERATIONS};
use harness::programs::openssh::{self, Sshd};
use harness::programs::tls::{self, Handshake, TlsServer};
use harness::{Agent, Outcome, Topology, agent};

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(500);

/// What the VIM and the bastion do all day.
fn legitimate(scene: &Topology, sshd: &Sshd, libvirt: &TlsServer) -> Result<()> {
    for host in [HOST.v4.into(), std::net::IpAddr::from(HOST.v6)] {
        let session = libvirt.handshake(&scene.vim, (host, tls::PORT), PATIENCE)?;
        ensure!(
            matches!(session, Handshake::Established(_)),
            "TLS to {host}"
        );
    }
    for (from, to) in [(&scene.vim, HOST.v4), (&scene.bastion, HOST_OPERATIONS.v4)] {
        sshd.login(from, to, "true")?.succeeded()?;
    }
    Ok(())
}

#[test]
fn the_draft_of_the_demos_host_admits_what_was_used() -> Result<()> {
    let scene = Topology::new()?;
    let sshd = Sshd::start(&scene.host)?;
    let libvirt = TlsServer::libvirt(&scene.host)?;
    let mut learn = Command::new(agent::binary()?);
    learn.args(["policy", "learn", "--for", "8s"]);
    let watching = scene.host.spawn(&learn)?;
    std::thread::sleep(Duration::from_secs(2));
    legitimate(&scene, &sshd, &libvirt)?;
    // Somebody who scans meanwhile is not learnt: nothing answers there.
    let scanned = scene.intruder.tcp_connect((HOST.v4, 4444), SHORT)?;
    assert_eq!(scanned, Outcome::Refused);
    let output = watching.finish(Duration::from_secs(20))?;
    output.succeeded()?;
    let draft = output.stdout;
    assert!(draft.contains("DECIDE"), "{draft}");

    let agent = Agent::start(&scene.host, &draft).with_context(|| draft.clone())?;
    let path = agent.folder().join("draft.yaml");
    fs::write(&path, &draft)?;
    agent
        .cli(&["policy", "check", &path.to_string_lossy()])?
        .succeeded()?;
    legitimate(&scene, &sshd, &libvirt).with_context(|| draft.clone())?;
    for port in [openssh::PORT, tls::PORT] {
        let outcome = scene.intruder.tcp_connect((HOST.v4, port), SHORT)?;
        assert_eq!(outcome, Outcome::TimedOut, "{port}");
    }
    let over_ipv6 = scene
        .intruder
        .tcp_connect((HOST.v6, openssh::PORT), SHORT)?;
    assert_eq!(over_ipv6, Outcome::TimedOut);
    // The bastion has never used TLS.
    let outcome = scene
        .bastion
        .tcp_connect((HOST_OPERATIONS.v4, tls::PORT), SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut);
    Ok(())
}
