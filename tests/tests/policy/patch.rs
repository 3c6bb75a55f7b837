//! Changing single addresses of the policy in force.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::agent::policy::{crowd, member};
use harness::machine::wait;
use harness::net::packet::{Ethernet, Ipv4, Packet, Tcp};
use harness::net::station::{HOST, HOST_OPERATIONS, NIC};
use harness::net::wire::Wire;
use harness::programs::openssh::{self, Sshd};
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
/// Refused, to protect the host.
const REFUSED: Option<i32> = Some(5);

const INTRUDER: &str = "vim-1=192.0.2.66";

fn patch(agent: &Agent<'_>, words: &[&str]) -> Result<()> {
    let words = [&["policy", "patch"], words].concat();
    agent.cli(&words)?.succeeded()?;
    Ok(())
}

/// Whether the intruder gets in.
fn gets_in(scene: &Topology) -> Result<bool> {
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    Ok(openssh::connect(&scene.intruder, SHORT)? == Outcome::Connected)
}

#[test]
fn an_address_is_added_and_removed_under_a_serial_of_its_own() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    patch(
        &agent,
        &["--add-address", INTRUDER, "--message", "ticket-4711"],
    )?;
    assert!(gets_in(&scene)?);
    assert_eq!(agent.serial()?, Some(2));
    let shown = agent.ask(&["policy", "show"])?;
    assert!(shown.contains("\"192.0.2.66\", 192.0.2.10"), "{shown}");
    let history = agent.ask(&["policy", "history"])?;
    assert!(history.contains("ticket-4711"), "{history}");
    agent.ask(&["policy", "history", "--verify"])?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(2));
    assert!(gets_in(&scene)?, "after a restart");

    patch(&agent, &["--remove-address", INTRUDER])?;
    assert!(!gets_in(&scene)?);
    let access = agent.ask(&["policy", "diff", "2", "3"])?;
    assert!(access.contains("192.0.2.66"), "{access}");
    agent.ask(&["policy", "rollback"])?;
    assert_eq!(agent.serial()?, Some(4));
    assert!(gets_in(&scene)?, "after the rollback");

    for (words, said) in [
        (["--add-address", INTRUDER], "has `192.0.2.66/32` already"),
        (["--add-address", "vim-2=192.0.2.67"], "no endpoint `vim-2`"),
        (["--remove-address", "vim-1=192.0.2.67"], "does not have"),
        (["--add-address", "vim-1=192.0.2.67/24"], "bits set beyond"),
    ] {
        let output = agent.cli(&[&["policy", "patch"], &words[..]].concat())?;
        assert!(
            !output.status.success() && output.stderr.contains(said),
            "{}",
            output.stderr
        );
    }
    assert_eq!(agent.serial()?, Some(4));
    Ok(())
}

#[test]
fn a_patch_is_tried_and_refused_like_a_policy() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    patch(
        &agent,
        &["--confirm-within", "3s", "--add-address", INTRUDER],
    )?;
    assert!(gets_in(&scene)?);
    wait::until(&false, PATIENCE, || gets_in(&scene))?;
    wait::until(&Some(1), PATIENCE, || agent.serial())?;

    // Not what would cut the session that it comes from.
    let sshd = Sshd::start(&scene.host)?;
    patch(&agent, &["--add-address", "bastion=203.0.113.99"])?;
    let words = [
        "policy",
        "patch",
        "--remove-address",
        "bastion=198.51.100.0/28",
    ];
    let remove = format!("{:?}", agent.command(&words)?).replace('"', "");
    let output = sshd.login(&scene.bastion, HOST_OPERATIONS.v4, &remove)?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    assert!(
        output.stderr.contains("would cut the session"),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
fn one_address_among_a_hundred_thousand() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let endpoints = format!("{{ {} }}", crowd(100_000));
    let large = Policy {
        serial: 2,
        endpoints: &endpoints,
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        ..Policy::default()
    };
    agent.apply(large)?.succeeded()?;
    let (old, new) = (member(50_000), std::net::Ipv4Addr::new(11, 0, 0, 1));
    let added = format!("crowd={new}");
    let removed = format!("crowd={old}");
    let words = [
        "policy",
        "patch",
        "--add-address",
        &added,
        "--remove-address",
        &removed,
    ];
    let applied = agent.ask_json(&words)?;
    assert_eq!(applied["addresses"], 100_000);
    let mut wire = Wire::open(&scene.vim, NIC)?;
    for round in 1..=2 {
        for source in [old, new, member(0), member(99_999)] {
            let syn = Packet::new()
                .with(Ethernet::default())
                .with(Ipv4::between(source, HOST.v4))
                .with(Tcp::syn(openssh::PORT));
            wire.send(&syn.build())?;
        }
        agent.await_packets("Nf-Vi", "permitted", 3 * round)?;
        agent.await_packets("Nf-Vi", "unknown-source", round)?;
        // What was read from the text is the same.
        agent.restart()?;
    }
    let address = applied["serial"].as_u64().context("a serial")?;
    assert_eq!(address, 3);
    // And again, as often as the slots of images take turns.
    for number in 0..4 {
        patch(
            &agent,
            &["--add-address", &format!("crowd=11.0.1.{number}")],
        )?;
    }
    assert_eq!(agent.serial()?, Some(7));
    Ok(())
}
