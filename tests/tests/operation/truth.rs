//! What is said about the host's protection is so.

use std::process::Command;

use anyhow::Result;
use harness::agent::{Hook, binary};
use harness::machine::process::Output;
use harness::net::station::NIC;
use harness::{Agent, Namespace, Policy};

const HEALTHY: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
const NO_AGENT: Option<i32> = Some(4);
const DEGRADED: Option<i32> = Some(20);
const NOT_ENFORCING: Option<i32> = Some(21);
const UNATTENDED: Option<i32> = Some(22);

/// A host with two interfaces that are up.
fn host() -> Result<Namespace> {
    let host = Namespace::new("host")?;
    let script = format!(
        "link add {NIC} type veth peer name far0\n\
         address add 192.0.2.17/24 dev {NIC}\n\
         link set {NIC} up\n\
         link add eth1 type veth peer name far1\n\
         address add 198.51.100.17/24 dev eth1\n\
         link set eth1 up\n"
    );
    host.feed(&["ip", "-batch", "-"], &script)?;
    Ok(host)
}

fn headline(output: &Output) -> &str {
    output.stdout.lines().next().unwrap_or_default()
}

#[test]
fn a_host_with_an_uncovered_interface_is_not_healthy() -> Result<()> {
    let host = host()?;
    let policy = Policy::default().to_string();
    let agent = Agent::start_with(&host, &policy, Hook::Xdp, "door: off\n")?;
    let output = agent.cli(&["status"])?;
    assert_eq!(output.status.code(), DEGRADED, "{}", output.stdout);
    let first = headline(&output);
    assert!(
        first.starts_with("degraded: enforcing host serial 1"),
        "{first}"
    );
    assert!(first.ends_with("1 interface EXPOSED"), "{first}");
    let status = agent.status()?;
    let exposed = |name: &str| {
        let mut rows = status.coverage.iter();
        rows.find(|row| row.interface == name)
            .and_then(|row| row.exposed.clone())
    };
    assert_eq!(exposed(NIC), None);
    assert_eq!(
        exposed("eth1").as_deref(),
        Some("no program is attached to `eth1`")
    );
    assert!(status.is_verified && status.verified.is_some());

    // What arrives there is not said to be dropped.
    let question = ["explain", "--from", "192.0.2.66", "--to", "192.0.2.17"];
    let question = [&question[..], &["--port", "22", "--interface", "eth1"]].concat();
    let output = agent.cli(&question)?;
    assert_eq!(output.status.code(), FAILED, "{}", output.stdout);
    let said = &output.stderr;
    assert!(said.contains("no program is attached to `eth1`"), "{said}");

    let both = Policy {
        serial: 2,
        interfaces: "[eth0, eth1]",
        ..Policy::default()
    };
    let applied = agent.apply(both)?;
    assert!(applied.status.success(), "{}", applied.stderr);
    let output = agent.cli(&["status"])?;
    assert_eq!(output.status.code(), HEALTHY, "{}", output.stdout);
    assert_eq!(
        headline(&output),
        "healthy: enforcing host serial 2 on 2 interfaces"
    );
    let everything = Policy {
        serial: 3,
        interfaces: "[all]",
        ..Policy::default()
    };
    let applied = agent.apply(everything)?;
    assert!(applied.status.success(), "{}", applied.stderr);
    assert_eq!(agent.cli(&["status"])?.status.code(), HEALTHY);
    host.feed(
        &["ip", "-batch", "-"],
        "link add eth2 type veth peer name far2\nlink set eth2 up\n",
    )?;
    let is_covered = || {
        let rows = agent.status()?.coverage;
        let mut rows = rows.iter();
        Ok(rows.any(|row| row.interface == "eth2" && row.exposed.is_none()))
    };
    harness::machine::wait::until(&true, std::time::Duration::from_secs(5), is_covered)?;
    Ok(())
}

/// Runs a command as it is typed, at a host whose agent has this configuration.
fn typed(agent: &Agent<'_>, host: &Namespace, words: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.arg("--socket").arg(agent.socket()).args(words);
    host.output(&command)
}

#[test]
fn without_an_agent_it_is_said_what_the_kernel_enforces() -> Result<()> {
    let host = host()?;
    let mut agent = Agent::start(&host, &Policy::default().to_string())?;
    agent.kill9();
    let config = agent.folder().join("agent.yaml");
    let config = config.to_string_lossy().into_owned();
    let pins = agent.pins().to_string_lossy().into_owned();

    let output = typed(&agent, &host, &["status", "--config", &config])?;
    assert_eq!(output.status.code(), UNATTENDED, "{}", output.stderr);
    assert!(
        headline(&output).starts_with("unattended"),
        "{}",
        output.stdout
    );
    let flat = output
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(flat.contains(&pins) && flat.contains("on eth0"), "{flat}");
    let json = typed(&agent, &host, &["status", "--output", "json"])?;
    assert_eq!(
        json.status.code(),
        UNATTENDED,
        "found without the file, too"
    );
    let failure: serde_json::Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(failure["code"], "unattended");
    let json = typed(&agent, &host, &["stats", "--output", "json"])?;
    assert_eq!(json.status.code(), NO_AGENT);
    let failure: serde_json::Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(failure["code"], "no-agent");

    // The default configuration names other pins: nothing is said to be detached that is not.
    let output = typed(&agent, &host, &["detach", "--yes"])?;
    assert_eq!(output.status.code(), FAILED, "{}", output.stdout);
    assert!(output.stderr.contains(&pins), "{}", output.stderr);
    let output = typed(&agent, &host, &["detach", "--yes", "--config", &config])?;
    assert!(output.status.success(), "{}", output.stderr);
    assert!(
        output.stdout.starts_with("Detached from eth0: "),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("started again"), "{}", output.stdout);
    let output = typed(&agent, &host, &["status", "--config", &config])?;
    assert_eq!(output.status.code(), NO_AGENT, "{}", output.stdout);
    Ok(())
}

#[test]
fn a_host_without_a_policy_is_not_enforcing() -> Result<()> {
    let host = host()?;
    let agent = Agent::start(&host, "serial: nonsense\n")?;
    let output = agent.cli(&["status"])?;
    assert_eq!(output.status.code(), NOT_ENFORCING, "{}", output.stdout);
    let problems = agent.status()?.problems;
    assert!(
        problems.iter().all(|problem| problem.code == "policy"),
        "{problems:?}"
    );
    Ok(())
}
