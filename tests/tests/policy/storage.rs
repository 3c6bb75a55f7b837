//! The store of policies, when the disk is full or its files are damaged.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use harness::scene::watch::enforced;
use harness::{Agent, Policy, Topology};

#[test]
fn a_policy_that_cannot_be_kept_is_not_applied() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    agent.ask(&["detach", "--yes"])?;
    agent.kill9();
    let state = agent.folder().join("state");
    let small = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=64k",
        "tmpfs",
        &state.to_string_lossy(),
    ];
    scene.host.run(&small)?;
    agent.restart()?;
    let ballast = state.join("filler");
    let filled = scene
        .host
        .enter(|| fs::write(&ballast, vec![0; 64 << 10]))?;
    assert!(filled.is_err(), "the disk is not full");

    let next = Policy {
        serial: 2,
        endpoints: "{ all: { role: vim, addresses: [192.0.2.0/24] }, bastion: { role: bastion, addresses: [198.51.100.1] } }",
        ..Policy::default()
    };
    let output = agent.apply(&next)?;
    assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
    for part in [
        "policies/",
        "Make room there",
        "the policy in force is unchanged",
    ] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    assert_eq!(agent.serial()?, Some(1));
    enforced(&scene)?;

    scene.host.enter(|| fs::remove_file(&ballast))??;
    let output = agent.apply(&next)?;
    assert!(output.status.success(), "{}", output.stderr);
    assert_eq!(agent.serial()?, Some(2));
    Ok(())
}

/// The stored policy's file of a kind.
fn stored(agent: &Agent<'_>, kind: &str) -> Result<PathBuf> {
    let folder = agent.folder().join("state/policies");
    let mut paths = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.extension().is_some_and(|it| it == kind))
        .with_context(|| format!("no {kind} in {}", folder.display()))
}

#[test]
fn a_damaged_store_is_told_and_enforcement_goes_on() -> Result<()> {
    for kind in ["yaml", "json"] {
        let scene = Topology::new()?;
        let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
        agent.stop()?;
        let path = stored(&agent, kind)?;
        let text = fs::read_to_string(&path)?;
        fs::write(&path, &text[..text.len() / 2])?;
        let error = agent
            .restart()
            .expect_err("the store is damaged")
            .to_string();
        for part in [
            &path.to_string_lossy(),
            "is damaged",
            "Move it away and apply",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        enforced(&scene)?;

        // The remedy in the message.
        agent.kill9();
        fs::rename(&path, agent.folder().join("moved"))?;
        agent.restart().context("after it was moved away")?;
        enforced(&scene)?;
        let next = Policy {
            serial: 2,
            ..Policy::default()
        };
        let output = agent.apply(&next)?;
        assert!(output.status.success(), "{}", output.stderr);
        assert_eq!(agent.problems()?, Vec::<String>::new());
        enforced(&scene)?;
    }
    Ok(())
}

#[test]
fn a_host_that_restarts_with_a_damaged_store_is_protected_by_the_policy_file() -> Result<()> {
    for kind in ["yaml", "json"] {
        let scene = Topology::new()?;
        let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
        // Nothing in the kernel outlives a restart.
        agent.ask(&["detach", "--yes"])?;
        agent.kill9();
        let path = stored(&agent, kind)?;
        let text = fs::read_to_string(&path)?;
        fs::write(&path, &text[..text.len() / 2])?;
        agent.restart()?;
        let damaged = format!("{} is damaged", path.display());
        assert!(agent.log().contains(&damaged), "{}", agent.log());
        assert_eq!(agent.serial()?, Some(1));
        enforced(&scene)?;
        // The policy was stored anew.
        agent.restart()?;
        assert_eq!(agent.problems()?, Vec::<String>::new());
    }
    Ok(())
}
