//! Enforcement while the agent is killed, stopped, restarted or detached.

use std::time::Duration;

use anyhow::Result;
use harness::machine::wait;
use harness::net::stack_counter::StackCounter;
use harness::net::station::{HOST, INTRUDER, NIC};
use harness::net::traffic::{Flood, Stream, retransmissions};
use harness::net::wire::Wire;
use harness::programs::openssh;
use harness::scene::watch::{STREAM, await_traffic, intruder_syn};
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn not_one_packet_goes_unjudged_when_the_agent_is_killed_and_restarted() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        serial: 3,
        ..Policy::default()
    };
    let mut agent = Agent::start(&scene.host, &policy.to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let seen = StackCounter::of(&scene.host, INTRUDER.v4)?;
    let again = retransmissions(&scene.vim)? + retransmissions(&scene.host)?;
    let flood = Flood::start(Wire::open(&scene.intruder, NIC)?, vec![intruder_syn()]);
    let stream = Stream::start(&scene.vim, &scene.host, STREAM)?;
    let before = agent.status()?;
    for _ in 0..3 {
        await_traffic(&flood, &stream)?;
        let counted = agent.counters()?;
        agent.kill9();
        assert_eq!(agent.cli(&["stats"])?.status.code(), Some(4), "it is gone");
        await_traffic(&flood, &stream)?;
        agent.restart()?;
        await_traffic(&flood, &stream)?;
        let status = agent.status()?;
        assert_ne!(status.pid, before.pid);
        assert_eq!(status.attachments, before.attachments);
        assert_eq!(agent.serial()?, Some(3));
        assert_eq!(agent.problems()?, Vec::<String>::new());
        for (point, reason) in [("Nf-Vi", "permitted"), ("Nf-Vi", "unknown-source")] {
            let earlier = counted.packets(point, reason);
            assert!(earlier > 0 && agent.counters()?.packets(point, reason) > earlier + 10);
        }
    }
    let rounds = stream.stop()?;
    let sent = flood.stop()?;
    // Also what came while no agent ran was counted: every frame of the flood.
    agent.await_packets("Nf-Vi", "unknown-source", sent)?;
    assert_eq!(seen.packets()?, 0, "of {sent} packets");
    assert_eq!(agent.counters()?.endpoint("vim-1")?.dropped.packets, 0);
    let after = retransmissions(&scene.vim)? + retransmissions(&scene.host)?;
    assert_eq!(after, again, "packets were lost in {rounds} rounds");
    Ok(())
}

#[test]
fn enforcement_outlives_an_agent_that_is_told_to_end() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    agent.stop()?;
    assert!(!agent.socket().exists(), "its socket is gone");
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    assert_eq!(openssh::connect(&scene.vim, PATIENCE)?, Outcome::Connected);
    // A policy file that is not newer does not replace what was applied.
    let opened = Policy {
        endpoints: "{ all: { role: vim, addresses: [192.0.2.0/24] }, bastion: { role: bastion, addresses: [198.51.100.1] } }",
        ..Policy::default()
    };
    agent.write_policy(&opened.to_string())?;
    agent.restart()?;
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    // One that is newer does.
    let newer = Policy {
        serial: 2,
        ..opened
    };
    agent.write_policy(&newer.to_string())?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(2));
    assert_eq!(
        openssh::connect(&scene.intruder, PATIENCE)?,
        Outcome::Connected
    );
    Ok(())
}

#[test]
fn a_policy_file_that_became_invalid_does_not_end_enforcement() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    agent.write_policy("serial: nonsense\n")?;
    agent.restart()?;
    let problems = agent.problems()?;
    assert_eq!(agent.serial()?, Some(1));
    let told = problems
        .iter()
        .any(|problem| problem.contains("policy.yaml"));
    assert!(told, "{problems:?}");
    let outcome = openssh::connect(&scene.intruder, SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut);
    Ok(())
}

/// What is pinned, links and maps.
fn pinned(scene: &Topology, agent: &Agent<'_>) -> Result<bool> {
    scene.host.enter(|| agent.pins().exists())
}

#[test]
fn detach_ends_enforcement_and_a_start_begins_it_again() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let connect = |timeout| openssh::connect(&scene.intruder, timeout);
    assert_eq!(connect(SHORT)?, Outcome::TimedOut);

    let unsure = agent.cli(&["detach"])?;
    assert_eq!(
        unsure.status.code(),
        Some(2),
        "nobody was asked: {}",
        unsure.stderr
    );
    assert_eq!(connect(SHORT)?, Outcome::TimedOut);

    let told = agent.ask(&["detach", "--yes"])?;
    assert!(told.contains("eth0"), "{told}");
    assert_eq!(connect(PATIENCE)?, Outcome::Connected);
    assert!(!pinned(&scene, &agent)?);
    let gone = || Ok(agent.cli(&["status"])?.status.code());
    wait::until(&Some(4), PATIENCE, gone)?;

    agent.kill9();
    agent.restart()?;
    assert_eq!(connect(SHORT)?, Outcome::TimedOut);
    assert_eq!(agent.serial()?, Some(1));
    Ok(())
}

#[test]
fn detach_works_without_an_agent() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let connect = |timeout| openssh::connect(&scene.intruder, timeout);
    agent.kill9();
    assert_eq!(connect(SHORT)?, Outcome::TimedOut);
    let pins = agent.pins().to_string_lossy().into_owned();
    let detach = || agent.cli(&["detach", "--yes", "--pins", &pins]);
    let output = detach()?;
    assert!(output.status.success(), "{}", output.stderr);
    assert!(output.stdout.contains("eth0"), "{}", output.stdout);
    assert_eq!(connect(PATIENCE)?, Outcome::Connected);
    assert!(!pinned(&scene, &agent)?);
    let again = detach()?;
    assert!(again.status.success() && again.stdout.contains("Nothing was attached"));

    agent.restart()?;
    assert_eq!(connect(SHORT)?, Outcome::TimedOut);
    Ok(())
}
