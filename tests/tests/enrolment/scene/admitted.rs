//! An endpoint is admitted as long as its lease lasts.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use harness::agent::Hook;
use harness::agent::operator::{Operator, VIM_1, policy};
use harness::net::station::{HOST, INTRUDER, NIC, VIM};
use harness::net::traffic::retransmissions;
use harness::net::wire::Wire;
use harness::{Agent, Policy, Topology};
use manoward::join::{self, Files, Host, Options, Source, State};
use manoward_pki::{Reason, Which};
use nix::sys::signal::Signal;

use super::{LEASE, PATIENCE, PORT, SHORT, SILENCE, connects, syn};

#[test]
fn an_endpoint_gets_in_while_it_holds_a_lease() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &policy())?;
    assert!(!connects(&scene.vim)?, "it has proven nothing");
    agent.await_any("Nf-Vi", "no-lease")?;

    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    let list = agent.ask_json(&["lease", "list"])?;
    let lease = &list["leases"][0];
    assert_eq!(lease["endpoint"], "vim-1");
    assert_eq!(lease["identity"], VIM_1);
    assert_eq!(lease["address"], VIM.v4.to_string());
    assert_eq!(lease["mac"], VIM.mac.to_string());
    assert_eq!(lease["interface"], NIC);

    // `explain` assumes the MAC address and the interface of the lease.
    let (from, to) = (VIM.v4.to_string(), HOST.v4.to_string());
    let port = PORT.to_string();
    let question = ["explain", "--from", &from, "--to", &to, "--port", &port];
    assert_eq!(agent.ask_json(&question)?["reason"], "permitted");

    // The same address from another MAC address has proven nothing.
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    intruder.send(&syn(INTRUDER.mac))?;
    agent.await_packets("Nf-Vi", "wrong-mac", 1)?;

    // Open connections are cut with the lease.
    let stream = scene.vim.tcp_stream((HOST.v4, PORT), PATIENCE)?;
    let mut stream = stream.map_err(|outcome| anyhow!("the connection {outcome:?}"))?;
    stream.write_all(b"in")?;
    let mut accepted = listener.accept()?.0;
    accepted.set_read_timeout(Some(SHORT))?;
    // Connections before it in the queue are closed already.
    while accepted.read_exact(&mut [0; 2]).is_err() {
        accepted = listener.accept()?.0;
        accepted.set_read_timeout(Some(SHORT))?;
    }
    let revoked = agent.ask_json(&["lease", "revoke", "vim-1"])?;
    assert_eq!(revoked["leases"], 1);
    stream.write_all(b"in")?;
    assert!(accepted.read_exact(&mut [0; 2]).is_err(), "it was cut");
    assert!(!connects(&scene.vim)?);
    agent.await_leases(0, Duration::ZERO)?;
    join.kill();
    Ok(())
}

/// The lease is in force before the endpoint gets the answer: a connection that begins then needs
/// no retransmission.
#[test]
fn the_first_packet_after_the_grant_is_admitted() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &policy())?;
    let options = Options {
        hosts: Source::List(vec![Host {
            name: HOST.v4.to_string(),
            port: manoward::enrolment::wire::PORT,
        }]),
        files: Files {
            certificate: operator.vim.certificate.clone(),
            key: operator.vim.key.clone(),
            ca: operator.authority.bundle().to_owned(),
        },
        bind: None,
    };
    for round in 0..5 {
        let before = retransmissions(&scene.vim)?;
        let connected = Arc::<Mutex<Option<std::io::Result<()>>>>::default();
        let told = Arc::clone(&connected);
        let on_grant = move |host: &join::HostStatus| {
            if host.state == State::Granted {
                let address = (HOST.v4, PORT).into();
                let stream = std::net::TcpStream::connect_timeout(&address, PATIENCE);
                *told.lock().unwrap() = Some(stream.map(drop));
            }
        };
        scene.vim.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(join::once(&options, on_grant))?;
            anyhow::Ok(())
        })??;
        let outcome = connected.lock().unwrap().take();
        outcome.context("nothing was granted")??;
        assert_eq!(retransmissions(&scene.vim)?, before, "round {round}");
        // The endpoint has left, and its lease with it.
        agent.await_leases(0, PATIENCE)?;
    }
    Ok(())
}

#[test]
fn a_lease_ends_with_its_certificate_and_with_silence() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &policy())?;
    let join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    join.signal(Signal::SIGSTOP)?;
    agent.await_leases(0, SILENCE)?;
    assert!(!connects(&scene.vim)?);
    join.signal(Signal::SIGCONT)?;
    agent.await_leases(1, SILENCE)?;
    assert!(connects(&scene.vim)?);

    let which = Which::Named("vim-1".to_owned());
    operator.authority.revoke(&which, Reason::KeyCompromise)?;
    agent.await_leases(0, Duration::from_secs(8))?;
    assert!(!connects(&scene.vim)?);
    Ok(())
}

#[test]
fn connections_outlast_the_agent_for_the_time_of_a_lease() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host, &policy())?;
    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    agent.kill9();
    assert!(connects(&scene.vim)?, "the lease goes on");
    agent.restart()?;
    assert!(connects(&scene.vim)?, "and under the next agent");
    agent.await_leases(1, SILENCE)?;
    assert!(connects(&scene.vim)?);

    join.kill();
    agent.kill9();
    std::thread::sleep(LEASE);
    assert!(!connects(&scene.vim)?, "nobody renews it");
    agent.restart()
}

#[test]
fn the_policy_must_name_the_configured_port() -> Result<()> {
    const OTHER: &str = "  port: 8443\n";
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let moved = Policy {
        services: "{ control: { protocol: tcp, ports: [7000] },
            enrolment: { protocol: udp, ports: [8443] } }",
        ..policy()
    };
    let settings = operator.settings() + OTHER;
    let agent = Agent::start_with(&scene.host, &moved.to_string(), Hook::Xdp, &settings)?;
    let there = ["--to", &format!("{}:8443", HOST.v4)];
    let _join = operator.join(&scene.vim, &operator.vim, &there)?;
    agent.await_leases(1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    let disagreeing = agent.apply(Policy {
        serial: 2,
        ..policy()
    })?;
    assert!(!disagreeing.status.success());
    assert!(
        disagreeing.stderr.contains("no UDP port 8443"),
        "{}",
        disagreeing.stderr
    );
    Ok(())
}
