//! The process that strangers talk to: what it may do, and what its end does to leases.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::agent::operator::{Operator, policy};
use harness::machine::wait;
use harness::net::station::HOST;
use harness::net::traffic::Stream;
use harness::{Agent, Topology};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{PATIENCE, PORT};

/// How long until an endpoint has come back: it asks after six seconds of silence.
const BACK: Duration = Duration::from_secs(20);

/// The process that the agent has started.
fn process(agent: &Agent<'_>) -> Result<i32> {
    for thread in fs::read_dir(format!("/proc/{}/task", agent.pid()?))? {
        let children = fs::read_to_string(thread?.path().join("children"))?;
        if let Some(child) = children.split_whitespace().next() {
            return Ok(child.parse()?);
        }
    }
    anyhow::bail!("the agent has started no process")
}

/// The fields of `/proc/PID/status`.
fn status(pid: i32) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let fields = text.lines().filter_map(|line| line.split_once(":\t"));
    Ok(fields
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}

#[test]
fn who_looks_at_proofs_can_do_nothing_else() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let agent = operator.agent(&scene.host, &policy())?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let pid = process(&agent)?;
    let fields = status(pid)?;
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        ensure!(fields[capabilities] == "0000000000000000", "{fields:?}");
    }
    ensure!(
        fields["NoNewPrivs"] == "1" && fields["Seccomp"] == "2",
        "{fields:?}"
    );
    // It has sockets, what waits for them, and where it logs to: no file.
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let descriptor = descriptor?;
        let number = descriptor.file_name().to_string_lossy().into_owned();
        let target = fs::read_link(descriptor.path())?
            .to_string_lossy()
            .into_owned();
        let harmless = ["socket:", "anon_inode:", "pipe:", "/dev/null"];
        let logs = number == "2";
        ensure!(
            logs || harmless.iter().any(|it| target.starts_with(it)),
            "{number}: {target}"
        );
    }
    // The agent itself has no part of it any more.
    ensure!(status(agent.pid()?.cast_signed())?["CapEff"] != "0000000000000000");
    Ok(())
}

#[test]
fn when_it_ends_leases_stay_and_endpoints_come_back() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let agent = operator.agent(&scene.host, &policy())?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let stream = Stream::start(&scene.vim, &scene.host, (HOST.v4, PORT).into())?;
    let before = process(&agent)?;
    kill(Pid::from_raw(before), Signal::SIGKILL)?;
    let orphaned = || {
        let leases = agent.leases()?.leases;
        let lease = leases.first().context("the lease has ended")?;
        Ok(lease.since.is_none())
    };
    wait::until(&true, PATIENCE, orphaned)?;
    wait::until(&false, BACK, orphaned)?;
    ensure!(process(&agent)? != before, "it was not started anew");
    ensure!(agent.log().contains("started anew"), "{}", agent.log());
    ensure!(stream.stop()? > 0);
    Ok(())
}
