//! What was done to the policy in force, and going back to an earlier one.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::net::station::{HOST, HOST_OPERATIONS};
use harness::programs::openssh::{self, Sshd};
use harness::scene::watch::enforced;
use harness::{Agent, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(3);

/// Lets in the intruder, and nobody else.
fn other() -> Policy<'static> {
    Policy {
        serial: 2,
        endpoints: "{ new: { role: nm, addresses: [192.0.2.66] } }",
        reference_points: "{ Nf-Vi: { from: [nm], services: [ssh] } }",
        ..Policy::default()
    }
}

/// Serial and event of each entry.
fn entries(agent: &Agent<'_>) -> Result<Vec<(u64, String)>> {
    let history = agent.ask_json(&["policy", "history"])?;
    let entries = history["entries"].as_array().context("entries")?;
    let read = |entry: &serde_json::Value| {
        let event = entry["event"].as_str().context("an event")?;
        Ok((
            entry["serial"].as_u64().context("a serial")?,
            event.to_owned(),
        ))
    };
    entries.iter().map(read).collect()
}

#[test]
fn a_policy_from_before_returns_under_a_serial_of_its_own() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let output = agent.cli(&["policy", "rollback"])?;
    assert!(
        output.stderr.contains("no other policy"),
        "{}",
        output.stderr
    );
    agent.apply(other())?.succeeded()?;
    {
        let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
        let outcome = openssh::connect(&scene.intruder, PATIENCE)?;
        assert_eq!(outcome, Outcome::Connected);
    }
    let output = agent.ask(&["policy", "rollback", "-m", "a mistake"])?;
    assert!(output.contains("serial 3 is in force"), "{output}");
    enforced(&scene)?;
    let text = agent.ask(&["policy", "show"])?;
    assert_eq!(
        text,
        agent
            .ask(&["policy", "show", "1"])?
            .replace("serial: 1", "serial: 3")
    );
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(3));

    // By its serial, and the text that a revert of the file gives.
    agent.ask(&["policy", "rollback", "2", "--quiet"])?;
    let path = agent.folder().join("candidate.yaml");
    fs::write(&path, Policy::default().to_string())?;
    let path = path.to_string_lossy();
    let stale = agent.cli(&["policy", "apply", &path])?;
    assert_eq!(stale.status.code(), Some(5), "{}", stale.stderr);
    let quiet = agent.ask(&["policy", "apply", "--serial", "auto", "--quiet", &path])?;
    assert_eq!(quiet, "");
    enforced(&scene)?;
    let serials: Vec<u64> = entries(&agent)?.iter().map(|(serial, _)| *serial).collect();
    assert_eq!(serials, [1, 2, 3, 4, 5]);
    let shown = agent.ask(&["policy", "history"])?;
    assert!(shown.contains("a mistake; the text of serial 1"), "{shown}");
    let output = agent.cli(&["policy", "rollback", "77"])?;
    assert!(
        output.stderr.contains("no policy with serial 77"),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
fn policies_are_compared_by_who_may_connect() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    agent.apply(other())?.succeeded()?;
    let shown = agent.ask(&["policy", "diff", "1", "2"])?;
    for part in [
        "May newly connect:\n  + new (192.0.2.66) to ssh (tcp 22)\n",
        "  - bastion (198.51.100.0/28, 2001:db8:0:51::/112) to ssh (tcp 22)\n",
        "  - vim-1 (192.0.2.10, 2001:db8:0:17::10) to control (tcp 7000)\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let path = agent.write_policy(
        &Policy {
            serial: 3,
            ..other()
        }
        .to_string(),
    )?;
    let difference = agent.ask_json(&["policy", "diff", &path.to_string_lossy()])?;
    assert_eq!(difference["gained"].as_array().map(Vec::len), Some(0));
    Ok(())
}

#[test]
fn the_history_tells_who_did_what_and_why() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let sshd = Sshd::start(&scene.host)?;
    let path = agent.folder().join("candidate.yaml");
    let bastion_stays = Policy {
        serial: 2,
        ..Policy::default()
    };
    fs::write(&path, bastion_stays.to_string())?;
    let path = path.to_string_lossy();
    let words = [
        "policy",
        "apply",
        "--confirm-within",
        "3s",
        "-m",
        "ticket-7",
        &path,
    ];
    let remote = format!("{:?}", agent.command(&words)?).replace('"', "");
    sshd.login(&scene.bastion, HOST_OPERATIONS.v4, &remote)?
        .succeeded()?;
    agent.kill9();
    std::thread::sleep(Duration::from_secs(4));
    agent.restart()?;
    let known = [(1, "applied"), (2, "tried"), (2, "lapsed")];
    let known = known.map(|(serial, event)| (serial, event.to_owned()));
    assert_eq!(entries(&agent)?, known);
    let history = agent.ask_json(&["policy", "history"])?;
    let tried = &history["entries"][1];
    assert_eq!(tried["message"], "ticket-7");
    assert_eq!(tried["who"]["uid"], 0);
    let peer = tried["who"]["peer"].as_str().context("a peer")?;
    assert!(peer.starts_with("198.51.100."), "{peer}");
    Ok(())
}

#[test]
fn tampering_is_found_and_a_torn_line_is_not_taken_for_it() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    agent.apply(other())?.succeeded()?;
    let verify = |agent: &Agent<'_>| agent.cli(&["policy", "history", "--verify"]);
    verify(&agent)?.succeeded()?;
    let path = agent.folder().join("state/policies/history.jsonl");
    let text = fs::read_to_string(&path)?;

    fs::write(&path, text.replacen("applied", "cancelled", 1))?;
    let output = verify(&agent)?;
    assert_eq!(output.status.code(), Some(1), "{}", output.stdout);
    assert!(output.stdout.contains("line 2"), "{}", output.stdout);

    // A crash while a line was written.
    agent.kill9();
    fs::write(&path, &text[..text.len() - 20])?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(2));
    verify(&agent)?.succeeded()?;

    // The text of a policy that is kept.
    let kept = fs::read_dir(agent.folder().join("state/policies"))?;
    let mut kept = kept.filter_map(|entry| Some(entry.ok()?.path()));
    let kept = kept.find(|path| {
        path.to_string_lossy().contains("/1-") && path.extension().is_some_and(|it| it == "yaml")
    });
    fs::write(kept.context("serial 1")?, "serial: 1\n")?;
    let output = verify(&agent)?;
    assert_eq!(output.status.code(), Some(1), "{}", output.stdout);
    assert!(output.stdout.contains("is damaged"), "{}", output.stdout);
    Ok(())
}
