//! An agent that gets no more memory, or no more file descriptors.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::machine::wait;
use harness::net::station::NIC;
use harness::scene::watch::Watch;
use harness::{Agent, Policy, Topology};

use super::{PATIENCE, many_endpoints};

/// Memory that an agent gets beyond what it has, bytes. A large policy takes more.
const SPARE: u64 = 4 << 20;

const LATE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 18);

#[test]
fn an_agent_that_runs_out_of_memory_ends_and_the_next_goes_on() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let watch = Watch::begin(&scene)?;
    let limit = agent.data_kb()? * 1024 + SPARE;
    agent.limit(&[&format!("--data={limit}")])?;
    let endpoints = many_endpoints();
    let policy = Policy {
        serial: 2,
        endpoints: &endpoints,
        ..Policy::default()
    };
    let output = agent.apply(&policy)?;
    ensure!(!output.status.success(), "{}", output.stdout);
    let ended = agent.await_end()?;
    ensure!(!ended.success(), "it has ended as if told to");
    ensure!(agent.log().contains("memory allocation"), "{}", agent.log());
    watch.check()?;

    // The service manager starts it again.
    agent.kill9();
    agent.restart()?;
    ensure!(agent.serial()? == Some(1));
    watch.check()?;
    let output = agent.apply(&policy)?;
    ensure!(output.status.success(), "{}", output.stderr);
    ensure!(agent.problems()?.is_empty(), "{:?}", agent.status()?);
    watch.end()
}

#[test]
fn an_agent_without_descriptors_catches_up_once_it_has_some() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let watch = Watch::begin(&scene)?;
    let open = agent.descriptors()?;
    // Fewer than it has open, of which some may be open for a moment only.
    agent.limit(&["--nofile=3:"])?;
    // The agent can neither inspect the host nor accept requests.
    let address = format!("{LATE}/24");
    scene
        .host
        .run(&["ip", "address", "add", &address, "dev", NIC])?;
    thread::sleep(Duration::from_secs(1));
    ensure!(
        agent.log().contains("Too many open files"),
        "{}",
        agent.log()
    );
    watch.check()?;

    agent.limit(&[&format!("--nofile={}:", 2 * open)])?;
    wait::until(&true, PATIENCE, || {
        Ok(agent.status()?.protected.contains(&IpAddr::from(LATE)))
    })?;
    wait::until(&Vec::<String>::new(), PATIENCE, || agent.problems())?;
    watch.end()
}
