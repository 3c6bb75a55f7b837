//! Agents that are ended while they apply a policy, and two agents at once.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::agent::binary;
use harness::machine::process::Process;
use harness::machine::wait;
use harness::scene::watch::Watch;
use harness::{Agent, Policy, Topology};
use nix::sys::signal::Signal;

use super::{PATIENCE, many_endpoints};

/// When the agent is ended after `policy apply` has begun, milliseconds. Applying takes one to two
/// seconds.
const DELAYS_MS: [u64; 2] = [100, 1000];

/// Ends the agent while it applies a policy. Then the old or the new policy must be in force,
/// whole.
fn ended_while_applying(signal: Signal) -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let watch = Watch::begin(&scene)?;
    let endpoints = many_endpoints();
    let mut ended = [0; 2];
    for (serial, delay_ms) in (2..).zip(DELAYS_MS) {
        let before = agent.serial()?.context("a policy is in force")?;
        let policy = Policy {
            serial,
            endpoints: &endpoints,
            ..Policy::default()
        };
        let path = agent.folder().join("next.yaml");
        std::fs::write(&path, policy.to_string())?;
        let apply = agent.command(&["policy", "apply", &path.to_string_lossy()])?;
        let apply = scene.host.spawn(&apply)?;
        thread::sleep(Duration::from_millis(delay_ms));
        agent.signal(signal)?;
        agent.await_end()?;
        let told = apply.finish(PATIENCE)?;
        watch.check()?;
        agent.kill9();
        agent.restart()?;
        let after = agent.serial()?.context("a policy is in force")?;
        ensure!(
            [before, serial].contains(&after),
            "serial {after} is in force"
        );
        ensure!(
            !told.status.success() || after == serial,
            "serial {serial} was applied, and {after} is in force: {}",
            told.stdout
        );
        ensure!(agent.problems()?.is_empty(), "{:?}", agent.status()?);
        ended[usize::from(after == serial)] += 1;
        watch.check()?;
    }
    println!("{ended:?}: the policy before is in force, or the new one");
    watch.end()
}

#[test]
fn an_agent_that_is_told_to_end_while_it_applies_leaves_one_policy_whole() -> Result<()> {
    ended_while_applying(Signal::SIGTERM)
}

#[test]
fn an_agent_that_is_killed_while_it_applies_leaves_one_policy_whole() -> Result<()> {
    ended_while_applying(Signal::SIGKILL)
}

#[test]
fn of_two_agents_that_are_started_at_once_one_runs() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let watch = Watch::begin(&scene)?;
    agent.kill9();
    for _ in 0..2 {
        let mut command = Command::new(binary()?);
        command
            .arg("agent")
            .arg("--config")
            .arg(agent.folder().join("agent.yaml"));
        let mut both = [scene.host.spawn(&command)?, scene.host.spawn(&command)?];
        let deadline = Instant::now() + PATIENCE;
        while both.iter_mut().all(Process::is_running) {
            ensure!(Instant::now() < deadline, "both agents run");
            thread::sleep(Duration::from_millis(10));
        }
        wait::until(&true, PATIENCE, || {
            Ok(agent.cli(&["status"])?.status.success())
        })?;
        let [one, other] = &mut both;
        let (running, ended) = if one.is_running() {
            (one, other)
        } else {
            (other, one)
        };
        ensure!(running.is_running() && !ended.is_running(), "none runs");
        let said = ended.stderr();
        ensure!(said.contains("Stop it first"), "{said}");
        ensure!(agent.status()?.pid == running.id());
        watch.check()?;
    }
    watch.end()
}

#[test]
fn the_service_manager_hears_from_an_agent_that_goes_on_and_not_from_one_that_does_not()
-> Result<()> {
    /// What the service manager waits for; the agent tells it three times in that.
    const WATCHDOG: Duration = Duration::from_millis(4500);

    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let path = agent.folder().join("notify.sock");
    let manager = UnixDatagram::bind(&path)?;
    agent.set("NOTIFY_SOCKET", &path);
    agent.set("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    agent.restart()?;
    manager.set_read_timeout(Some(WATCHDOG))?;
    let told = || -> Result<String> {
        let mut text = [0; 256];
        let length = manager.recv(&mut text).context("nothing is told")?;
        Ok(String::from_utf8_lossy(&text[..length]).into_owned())
    };
    let mut alive = 0;
    while alive < 3 {
        alive += u32::from(told()?.contains("WATCHDOG=1"));
    }
    agent.signal(Signal::SIGSTOP)?;
    while told().is_ok() {}
    agent.signal(Signal::SIGCONT)?;
    ensure!(told()?.contains("WATCHDOG=1"));
    Ok(())
}
