//! Replacing the policy in force.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::machine::process::Output;
use harness::net::packet::{Packet, Tcp};
use harness::net::stack_counter::StackCounter;
use harness::net::station::{BASTION, HOST, HOST_OPERATIONS, INTRUDER, NIC, VIM};
use harness::net::traffic::{Flood, Stream, retransmissions};
use harness::net::wire::Wire;
use harness::programs::openssh;
use harness::scene::topology::GUEST_PORT;
use harness::scene::watch::intruder_syn;
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

/// Refused, to protect the host.
const REFUSED: Option<i32> = Some(5);
/// The policy has mistakes.
const INVALID: Option<i32> = Some(3);

const STREAM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(HOST.v4), 7000);

fn succeeded(output: &Output) -> bool {
    output.status.success()
}

#[test]
fn a_higher_serial_replaces_the_policy() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert_eq!(openssh::connect(&scene.vim, PATIENCE)?, Outcome::Connected);
    let intruder = Policy {
        serial: 2,
        endpoints: "{ new: { role: nm, addresses: [192.0.2.66] } }",
        reference_points: "{ Nf-Vi: { from: [nm], services: [ssh] } }",
        ..Policy::default()
    };
    let applied = agent.apply(&intruder)?;
    assert!(succeeded(&applied), "{}", applied.stderr);
    assert!(
        applied.stdout.contains("serial 2 is in force"),
        "{}",
        applied.stdout
    );
    assert_eq!(agent.serial()?, Some(2));
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    assert_eq!(openssh::connect(&scene.vim, SHORT)?, Outcome::TimedOut);
    let shown = agent.ask(&["policy", "show"])?;
    assert_eq!(shown.trim(), intruder.to_string().trim());
    // Applying it again changes nothing, and is no error.
    assert!(succeeded(&agent.apply(&intruder)?));
    Ok(())
}

#[test]
fn an_older_or_invalid_policy_changes_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        serial: 7,
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let opened = "{ all: { role: vim, addresses: [192.0.2.0/24] },
                    bastion: { role: bastion, addresses: [198.51.100.1] } }";
    let older = Policy {
        serial: 6,
        endpoints: opened,
        ..policy.clone()
    };
    let as_old = Policy {
        serial: 7,
        endpoints: opened,
        ..policy.clone()
    };
    let invalid = Policy {
        serial: 8,
        endpoints: "{ all: { role: vim, addresses: [192.0.2.0/33] } }",
        ..policy.clone()
    };
    let before = agent.ask_json(&["policy", "show"])?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    for (refused, code, why) in [
        (older, REFUSED, "serial 7 is in force"),
        (as_old, REFUSED, "Give it a higher serial"),
        (invalid, INVALID, "192.0.2.0/33"),
    ] {
        let output = agent.apply(&refused)?;
        assert_eq!(output.status.code(), code, "{}", output.stderr);
        assert!(output.stderr.contains(why), "{}", output.stderr);
        assert_eq!(agent.ask_json(&["policy", "show"])?, before);
        let outcome = openssh::connect(&scene.intruder, SHORT)?;
        assert_eq!(outcome, Outcome::TimedOut);
    }
    let outcome = openssh::connect(&scene.vim, PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);
    Ok(())
}

#[test]
fn counters_of_names_that_stay_go_on_and_new_ones_begin_at_zero() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let mut vim = Wire::open(&scene.vim, NIC)?;
    let syn = Packet::v4().with(Tcp::syn(openssh::PORT)).build();
    let mut send = |agent: &Agent<'_>, point, times, total| -> Result<()> {
        for _ in 0..times {
            vim.send(&syn)?;
        }
        agent.await_packets(point, "permitted", total)
    };
    send(&agent, "Nf-Vi", 3, 3)?;

    let renamed = |serial, point: &'static str, name: &'static str| -> Result<()> {
        let endpoints = format!("{{ {name}: {{ role: vim, addresses: [192.0.2.10] }} }}");
        let reference_points = format!("{{ {point}: {{ from: [vim], services: [ssh] }} }}");
        let output = agent.apply(Policy {
            serial,
            endpoints: &endpoints,
            reference_points: &reference_points,
            ..Policy::default()
        })?;
        assert!(succeeded(&output), "{}", output.stderr);
        Ok(())
    };
    renamed(2, "Nf-Vi", "vim-1")?;
    assert_eq!(agent.counters()?.packets("Nf-Vi", "permitted"), 3);
    send(&agent, "Nf-Vi", 2, 5)?;
    assert_eq!(agent.counters()?.endpoint("vim-1")?.passed.packets, 5);

    renamed(3, "other", "vim-2")?;
    assert_eq!(agent.counters()?.packets("*", "permitted"), 0);
    assert_eq!(agent.counters()?.endpoint("vim-2")?.passed.packets, 0);
    send(&agent, "other", 1, 1)?;

    // A name that comes back begins at zero again.
    renamed(4, "Nf-Vi", "vim-1")?;
    assert_eq!(agent.counters()?.packets("*", "permitted"), 0);
    assert_eq!(agent.counters()?.endpoint("vim-1")?.passed.packets, 0);
    Ok(())
}

#[test]
fn a_policy_that_would_cut_the_callers_session_needs_force() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let without_bastion = Policy {
        serial: 2,
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        ..Policy::default()
    };
    let path = agent.folder().join("candidate.yaml");
    std::fs::write(&path, without_bastion.to_string())?;
    let path = path.to_string_lossy();
    let from = |peer: std::net::IpAddr, host: std::net::IpAddr, words: &[&str]| {
        let mut command = agent.command(&[&["policy", "apply"], words, &[&path]].concat())?;
        command.env("SSH_CONNECTION", format!("{peer} 50022 {host} 22"));
        scene.host.output(&command)
    };
    for (peer, host) in [
        (BASTION.v4.into(), HOST_OPERATIONS.v4.into()),
        (BASTION.v6.into(), HOST_OPERATIONS.v6.into()),
    ] {
        let output = from(peer, host, &[])?;
        assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
        let names =
            output.stderr.contains("would cut the session") && output.stderr.contains("--force");
        assert!(
            names && output.stderr.contains(&peer.to_string()),
            "{}",
            output.stderr
        );
        assert_eq!(agent.serial()?, Some(1));
    }
    let output = from(BASTION.v4.into(), HOST_OPERATIONS.v4.into(), &["--force"])?;
    assert!(succeeded(&output), "{}", output.stderr);
    assert_eq!(agent.serial()?, Some(2));

    // A caller who stays admitted needs no --force.
    std::fs::write(
        path.as_ref(),
        Policy {
            serial: 3,
            ..without_bastion
        }
        .to_string(),
    )?;
    let output = from(VIM.v4.into(), HOST.v4.into(), &[])?;
    assert!(succeeded(&output), "{}", output.stderr);
    Ok(())
}

#[test]
fn a_binding_that_the_callers_session_does_not_keep_is_foreseen() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    // The host learns where the VIM is.
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert_eq!(openssh::connect(&scene.vim, PATIENCE)?, Outcome::Connected);
    let right = "mac: \"52:54:00:aa:bb:01\", vlan: untagged, interface: eth0";
    let run = |binding: &str, verb: &str| {
        let endpoints = format!("{{ vim-1: {{ role: vim, addresses: [192.0.2.10], {binding} }} }}");
        let policy = Policy {
            serial: 2,
            endpoints: &endpoints,
            reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
            ..Policy::default()
        };
        let path = agent.folder().join("candidate.yaml");
        std::fs::write(&path, policy.to_string())?;
        let path = path.to_string_lossy();
        let mut command = agent.command(&["policy", verb, &path])?;
        command.env("SSH_CONNECTION", format!("{} 50022 {} 22", VIM.v4, HOST.v4));
        scene.host.output(&command)
    };
    for wrong in [
        "mac: \"52:54:00:00:00:01\"",
        "vlan: 17",
        &format!("interface: {GUEST_PORT}"),
    ] {
        for verb in ["check", "diff"] {
            let output = run(wrong, verb)?;
            let told = output.stderr.contains("apply would refuse it")
                && output.stderr.contains("would cut the session");
            assert!(succeeded(&output) && told, "{wrong}, {verb}: {output:?}");
        }
        let output = run(wrong, "apply")?;
        assert_eq!(output.status.code(), REFUSED, "{wrong}: {}", output.stderr);
        assert_eq!(agent.serial()?, Some(1));
    }
    for verb in ["check", "diff", "apply"] {
        let output = run(right, verb)?;
        assert!(succeeded(&output), "{}", output.stderr);
        assert!(!output.stderr.contains("refuse"), "{}", output.stderr);
    }
    // Now its serial is in force, with another text.
    let output = run("vlan: untagged", "check")?;
    assert!(output.stderr.contains("serial"), "{}", output.stderr);
    Ok(())
}

#[test]
fn a_file_that_cuts_an_open_session_is_not_applied_by_a_start() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let listener = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let session = scene.vim.tcp_stream((HOST.v4, openssh::PORT), PATIENCE)??;
    let accepted = listener.accept()?;
    let cutting = Policy {
        serial: 2,
        reference_points: "{ operations: { from: [bastion], services: [ssh] } }",
        ..Policy::default()
    };
    agent.write_policy(&cutting.to_string())?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(1));
    let problems = agent.problems()?.join("\n");
    let told = problems.contains("would cut the session") && problems.contains("--force");
    assert!(told && problems.contains(&VIM.v4.to_string()), "{problems}");
    // Once nobody is there, it is.
    drop((session, accepted, listener));
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(2));
    assert_eq!(agent.problems()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn applying_lets_nothing_in_and_interrupts_nobody() -> Result<()> {
    const APPLIES: u64 = 20;
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let seen = StackCounter::of(&scene.host, INTRUDER.v4)?;
    let again = retransmissions(&scene.vim)? + retransmissions(&scene.host)?;
    let syn = intruder_syn();
    let flood = Flood::start(Wire::open(&scene.intruder, NIC)?, vec![syn]);
    let stream = Stream::start(&scene.vim, &scene.host, STREAM)?;
    for serial in 2..2 + APPLIES {
        let (sent, rounds) = (flood.sent(), stream.rounds());
        let crowd: Vec<_> = (0..serial * 50)
            .map(|number| format!("10.{}.{}.1", number / 256, number % 256))
            .collect();
        let endpoints = format!(
            "{{ vim-1: {{ role: vim, addresses: [192.0.2.10] }},
                crowd: {{ role: nm, addresses: [{}] }} }}",
            crowd.join(", ")
        );
        let output = agent.apply(Policy {
            serial,
            endpoints: &endpoints,
            reference_points: "{ Nf-Vi: { from: [vim], services: [ssh, control] } }",
            ..Policy::default()
        })?;
        assert!(succeeded(&output), "{}", output.stderr);
        assert!(flood.sent() > sent && stream.rounds() > rounds);
    }
    assert_eq!(agent.serial()?, Some(1 + APPLIES));
    let rounds = stream.stop().context("the permitted stream")?;
    let sent = flood.stop()?;
    agent.await_packets("Nf-Vi", "unknown-source", sent)?;
    assert_eq!(seen.packets()?, 0, "of {sent} packets");
    let counters = agent.counters()?;
    assert_eq!(counters.endpoint("vim-1")?.dropped.packets, 0);
    assert_eq!(counters.packets("-", "no-policy"), 0);
    let after = retransmissions(&scene.vim)? + retransmissions(&scene.host)?;
    assert_eq!(after, again, "packets were lost in {rounds} rounds");
    Ok(())
}
