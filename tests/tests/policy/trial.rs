//! A policy on trial: in force until it is confirmed over what it admits, or until its time is over,
//! which the kernel keeps.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::agent::Hook;
use harness::machine::process::Output;
use harness::machine::wait;
use harness::net::station::{HOST, HOST_GUESTS, HOST_OPERATIONS};
use harness::programs::openssh::{self, Sshd};
use harness::scene::topology::GUEST_PORT;
use harness::scene::watch::enforced;
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
/// The shortest trial.
const TERM: Duration = Duration::from_secs(3);

/// Refused, to protect the host.
const REFUSED: Option<i32> = Some(5);

/// A policy that lets the intruder in, and the bastion, and shuts the VIM out.
fn mistake() -> Policy<'static> {
    Policy {
        serial: 2,
        endpoints: "{ new: { role: nm, addresses: [192.0.2.66] },
                      bastion: { role: bastion, addresses: [198.51.100.0/28] } }",
        reference_points: "{ other: { from: [nm, bastion], services: [ssh] } }",
        ..Policy::default()
    }
}

fn try_out(agent: &Agent<'_>, policy: &Policy<'_>, term: &str) -> Result<Output> {
    let path = agent.folder().join("candidate.yaml");
    fs::write(&path, policy.to_string())?;
    let path = path.to_string_lossy();
    agent.cli(&["policy", "apply", "--confirm-within", term, &path])
}

/// What `status` tells of the trial.
fn trial(agent: &Agent<'_>) -> Result<serde_json::Value> {
    // It ends with a code of its own where something is wrong.
    let output = agent.cli(&["status", "--output", "json"])?;
    let status: serde_json::Value = serde_json::from_str(&output.stdout)?;
    Ok(status["trial"].clone())
}

/// Waits until the policy of serial 1 judges again, and returns when that was.
fn await_return(scene: &Topology) -> Result<Instant> {
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    wait::until(&Outcome::Connected, PATIENCE, || {
        openssh::connect(&scene.vim, SHORT)
    })?;
    let then = Instant::now();
    assert_eq!(openssh::connect(&scene.intruder, SHORT)?, Outcome::TimedOut);
    Ok(then)
}

fn mistaken(scene: &Topology) -> Result<()> {
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let outcomes = (
        openssh::connect(&scene.intruder, PATIENCE)?,
        openssh::connect(&scene.vim, SHORT)?,
    );
    assert_eq!(outcomes, (Outcome::Connected, Outcome::TimedOut));
    Ok(())
}

#[test]
fn without_an_agent_the_kernel_goes_back_in_time() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let begun = Instant::now();
    try_out(&agent, &mistake(), "3s")?.succeeded()?;
    let applied = Instant::now();
    agent.kill9();
    mistaken(&scene)?;
    let over = await_return(&scene)?;
    assert!(over.duration_since(begun) >= TERM, "too early");
    let late = over.duration_since(applied);
    assert!(late < TERM + Duration::from_secs(1), "after {late:?}");

    // The agent, once it is back, knows and says so, also where the file has the policy.
    agent.write_policy(&mistake().to_string())?;
    for _ in 0..2 {
        agent.restart()?;
        assert_eq!(agent.serial()?, Some(1));
        enforced(&scene)?;
        assert!(trial(&agent)?.is_null());
        let problems = agent.problems()?.join("\n");
        assert!(problems.contains("not confirmed"), "{problems}");
        let log = agent.log();
        assert!(log.contains("not confirmed"), "{log}");
    }
    // Somebody who says so can apply it.
    let output = agent.apply(mistake())?;
    output.succeeded()?;
    mistaken(&scene)?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(2));
    assert_eq!(agent.problems()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn the_agent_goes_back_with_the_kernel() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let output = try_out(&agent, &mistake(), "3s")?;
    output.succeeded()?;
    assert!(
        output.stdout.contains("serial 1 returns"),
        "{}",
        output.stdout
    );
    let status = trial(&agent)?;
    let left = status["left_seconds"].as_f64().context("time left")?;
    assert!((0.0..=3.1).contains(&left), "{status}");
    assert_eq!(status["goes_back_to"], 1);
    let shown = agent.ask(&["status"])?;
    assert!(shown.contains("on trial    serial 1 returns in"), "{shown}");
    mistaken(&scene)?;
    await_return(&scene)?;
    wait::until(&Some(1), PATIENCE, || agent.serial())?;
    let problems = agent.problems()?.join("\n");
    assert!(
        problems.contains("serial 2 was not confirmed within 3 s: serial 1 is in force again"),
        "{problems}"
    );
    // Host and kernel agree about a packet.
    let asked = ["--from", "192.0.2.10", "--to", "192.0.2.17", "--port", "22"];
    agent.ask(&[&["explain"], &asked[..]].concat())?;
    Ok(())
}

#[test]
fn only_who_came_in_by_the_new_policy_confirms_it() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let sshd = Sshd::start(&scene.host)?;
    let go = agent.folder().join("go");
    let confirm = format!("{:?}", agent.command(&["policy", "confirm"])?).replace('"', "");
    let waiting = format!(
        "echo here; until test -e {}; do sleep 0.05; done; {confirm} 2>&1; echo ended $?",
        go.display()
    );
    let mut early = sshd.session(&scene.bastion, HOST_OPERATIONS.v4, &waiting)?;
    early.wait_for("here", PATIENCE)?;
    try_out(&agent, &mistake(), "60s")?.succeeded()?;

    // From nowhere, and over a connection from before, also after the agent was killed.
    let output = agent.cli(&["policy", "confirm"])?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    assert!(output.stderr.contains("no connection"), "{}", output.stderr);
    agent.kill9();
    agent.restart()?;
    assert_eq!(trial(&agent)?["goes_back_to"], 1);
    mistaken_over(&sshd, &scene)?;
    fs::write(&go, "")?;
    early.wait_for("ended", PATIENCE)?;
    let said = early.stderr() + &early.stdout();
    assert!(said.contains("was open before the change"), "{said}");
    assert!(said.contains("ended 5"), "{said}");

    // A claim in the environment is none.
    let mut command = agent.command(&["policy", "confirm"])?;
    command.env("SSH_CONNECTION", "198.51.100.1 50022 198.51.100.17 22");
    let output = scene.host.output(&command)?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);

    let output = sshd.login(&scene.bastion, HOST_OPERATIONS.v4, &confirm)?;
    output.succeeded()?;
    assert!(trial(&agent)?.is_null());
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(2));
    let output = agent.cli(&["policy", "confirm"])?;
    assert!(
        output.stderr.contains("no policy waits"),
        "{}",
        output.stderr
    );
    Ok(())
}

/// The policy on trial judges.
fn mistaken_over(sshd: &Sshd, scene: &Topology) -> Result<()> {
    let output = sshd.login(&scene.intruder, HOST.v4, "true")?;
    ensure!(output.status.success(), "{}", output.stderr);
    assert_eq!(openssh::connect(&scene.vim, SHORT)?, Outcome::TimedOut);
    Ok(())
}

#[test]
fn the_console_confirms() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    try_out(&agent, &mistake(), "60s")?.succeeded()?;
    let confirm = format!("{:?}", agent.command(&["policy", "confirm"])?).replace('"', "");
    let mut console = Command::new("sh");
    let script = format!("exec setsid --wait --ctty {confirm} < /dev/tty20");
    console.args(["-c", &script]);
    scene.host.output(&console)?.succeeded()?;
    assert!(trial(&agent)?.is_null());
    assert_eq!(agent.serial()?, Some(2));
    Ok(())
}

#[test]
fn a_policy_that_follows_takes_the_trial_over_and_cancel_ends_it() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    try_out(&agent, &mistake(), "5s")?.succeeded()?;
    let next = Policy {
        serial: 3,
        ..mistake()
    };
    // Without a time of its own it waits as long again.
    thread::sleep(Duration::from_secs(3));
    agent.apply(next)?.succeeded()?;
    let status = trial(&agent)?;
    assert_eq!(status["goes_back_to"], 1);
    assert!(status["left_seconds"].as_f64() > Some(4.0), "{status}");
    thread::sleep(Duration::from_secs(3));
    assert_eq!(agent.serial()?, Some(3), "the first term is over");
    mistaken(&scene)?;
    let output = agent.ask(&["policy", "cancel"])?;
    assert!(output.contains("serial 1 is in force again"), "{output}");
    enforced(&scene)?;
    assert_eq!(agent.problems()?, Vec::<String>::new());
    let output = agent.cli(&["policy", "cancel"])?;
    assert!(
        output.stderr.contains("no policy waits"),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
fn a_host_that_restarts_before_the_confirmation_goes_back() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    try_out(&agent, &mistake(), "60s")?.succeeded()?;
    agent.write_policy(&mistake().to_string())?;
    agent.kill9();
    // Nothing in the kernel outlives a restart.
    scene.host.enter(|| fs::remove_dir_all(agent.pins()))??;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(1));
    enforced(&scene)?;
    let problems = agent.problems()?.join("\n");
    assert!(problems.contains("not confirmed"), "{problems}");
    Ok(())
}

#[test]
fn interfaces_of_both_policies_stay_enforced_and_new_ones_are_free_again() -> Result<()> {
    other_interfaces("door: off\n", Outcome::Connected)
}

#[test]
fn at_interfaces_that_are_free_again_the_inner_door_judges() -> Result<()> {
    other_interfaces("door: enforce\n", Outcome::TimedOut)
}

/// A trial of a policy that names another interface in place of the one before, and what an intruder finds
/// there without it.
fn other_interfaces(door: &str, without: Outcome) -> Result<()> {
    let scene = Topology::new()?;
    let mut agent =
        Agent::start_with(&scene.host, &Policy::default().to_string(), Hook::Xdp, door)?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let guest = |timeout| {
        scene
            .guest
            .tcp_connect((HOST_GUESTS.v4, openssh::PORT), timeout)
    };
    assert_eq!(guest(SHORT)?, without);
    let interfaces = format!("[{GUEST_PORT}]");
    let elsewhere = Policy {
        serial: 2,
        interfaces: &interfaces,
        ..Policy::default()
    };
    try_out(&agent, &elsewhere, "3s")?.succeeded()?;
    assert_eq!(guest(SHORT)?, Outcome::TimedOut);
    enforced(&scene)?;
    agent.kill9();
    thread::sleep(TERM);
    assert_eq!(guest(SHORT)?, without);
    enforced(&scene)?;
    agent.restart()?;
    assert_eq!(guest(SHORT)?, without);
    enforced(&scene)?;
    let names: Vec<_> = agent.status()?.attachments;
    assert!(names.iter().all(|at| at.interface == "eth0"), "{names:?}");
    Ok(())
}

#[test]
fn before_the_first_policy_it_goes_back_to_none() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    agent.ask(&["detach", "--yes"])?;
    agent.kill9();
    fs::remove_file(agent.folder().join("policy.yaml"))?;
    fs::remove_dir_all(agent.folder().join("state"))?;
    agent.restart()?;
    assert_eq!(agent.serial()?, None);
    try_out(&agent, &mistake(), "3s")?.succeeded()?;
    mistaken(&scene)?;
    agent.kill9();
    let ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    wait::until(&Outcome::Connected, PATIENCE, || {
        openssh::connect(&scene.vim, SHORT)
    })?;
    // Everybody gets in, as before.
    assert_eq!(openssh::connect(&scene.tenant, SHORT)?, Outcome::Connected);
    agent.restart()?;
    assert_eq!(agent.serial()?, None);
    assert!(agent.status()?.attachments.is_empty());
    assert_eq!(openssh::connect(&scene.tenant, SHORT)?, Outcome::Connected);
    agent.apply(Policy::default())?.succeeded()?;
    drop(ssh);
    enforced(&scene)
}

#[test]
fn numbers_of_both_policies_are_kept() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    enforced(&scene)?;
    let before = agent.counters()?.endpoint("vim-1")?.passed.packets;
    assert!(before > 0);
    try_out(&agent, &mistake(), "30s")?.succeeded()?;
    mistaken(&scene)?;
    agent.ask(&["policy", "cancel"])?;
    let after = agent.counters()?.endpoint("vim-1")?.passed.packets;
    assert_eq!(after, before, "the counts go on");
    assert!(agent.counters()?.packets("Nf-Vi", "permitted") > 0);
    Ok(())
}
