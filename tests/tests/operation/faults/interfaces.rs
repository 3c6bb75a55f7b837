//! Interfaces that go up and down, or are made and deleted, faster than the agent can follow.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::machine::wait;
use harness::net::station::{HOST, NIC};
use harness::scene::watch::{Watch, enforced};
use harness::{Agent, Policy, Topology};

use super::PATIENCE;

/// How often the interface goes down and up.
const FLAPS: usize = 10_000;
/// How often another one is made and deleted.
const CREATIONS: usize = 150;

/// What the agent may have grown by afterwards, kB.
const GROWTH: u64 = 8 << 10;

#[test]
fn ten_thousand_flaps_leave_nothing_behind() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    // IPv6 addresses outlast it, as those of IPv4 do.
    scene
        .host
        .sysctl(&format!("net/ipv6/conf/{NIC}/keep_addr_on_down"), "1")?;
    enforced(&scene)?;
    let before = (agent.ingress()?, agent.descriptors()?, agent.memory_kb()?);
    let busy = agent.processor_time()?;
    let start = Instant::now();
    let script = format!("link set {NIC} down\nlink set {NIC} up\n").repeat(FLAPS);
    scene.host.feed(&["ip", "-batch", "-"], &script)?;
    let flapping = start.elapsed();
    enforced(&scene)?;
    let descriptors = || Ok(agent.descriptors()? <= before.1 + 2);
    wait::until(&true, PATIENCE, descriptors)?;
    let grown = agent.memory_kb()?.saturating_sub(before.2);
    let busy = agent.processor_time()?.saturating_sub(busy);
    println!("{FLAPS} flaps in {flapping:?}: {grown} kB more, {busy:?} of a CPU");
    ensure!(grown < GROWTH, "the agent has grown by {grown} kB");
    ensure!(agent.ingress()? == before.0);
    ensure!(agent.problems()?.is_empty(), "{:?}", agent.status()?);
    // It still follows.
    let late = "192.0.2.18".parse()?;
    let add = ["ip", "address", "add", "192.0.2.18/24", "dev", NIC];
    scene.host.run(&add)?;
    wait::until(&true, Duration::from_secs(2), || {
        Ok(agent.status()?.protected.contains(&late))
    })?;
    enforced(&scene)
}

#[test]
fn interfaces_that_come_and_go_leave_nothing_behind() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        interfaces: "[eth0, eth1]",
        ..Policy::default()
    };
    let create = "link add eth1 type veth peer name wire1\nlink set eth1 up\n";
    scene.host.feed(&["ip", "-batch", "-"], create)?;
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let watch = Watch::begin(&scene)?;
    let before = (agent.descriptors()?, agent.memory_kb()?);
    // Slowly enough that it is attached to now and then, fast enough that it is often gone again.
    let round = format!("link delete eth1\n{create}");
    for _ in 0..CREATIONS / 30 {
        scene.host.feed(&["ip", "-batch", "-"], &round.repeat(30))?;
        watch.check()?;
    }
    let attached = || Ok(agent.ingress()?.len());
    wait::until(&2, PATIENCE, attached)?;
    wait::until(&Vec::<String>::new(), PATIENCE, || agent.problems())?;
    // One link for each direction of each interface, and none of those that are gone.
    let pins = scene
        .host
        .run(&["ls", &agent.pins().join("links").to_string_lossy()])?;
    ensure!(pins.lines().count() == 4, "{pins}");
    let grown = agent.memory_kb()?.saturating_sub(before.1);
    ensure!(grown < GROWTH, "the agent has grown by {grown} kB");
    ensure!(agent.descriptors()? <= before.0 + 2);
    ensure!(agent.status()?.protected.contains(&HOST.v4.into()));
    watch.end()
}
