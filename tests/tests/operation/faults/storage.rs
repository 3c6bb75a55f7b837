//! A disk that becomes full while a policy is stored, or that is read-only.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Result, ensure};
use harness::scene::watch::Watch;
use harness::{Agent, Policy, Topology};

/// What a file of this file system takes at least, bytes.
const PAGE: usize = 4096;

/// Mounts a small file system as the agent's state, and has the agent start on it.
fn on_a_small_disk(scene: &Topology, agent: &mut Agent<'_>) -> Result<()> {
    // Detached first: the new disk does not hold the policy in force.
    agent.ask(&["detach", "--yes"])?;
    agent.kill9();
    let state = agent.folder().join("state");
    let words = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=256k",
        "tmpfs",
        &state.to_string_lossy(),
    ];
    scene.host.run(&words)?;
    agent.restart()
}

/// Fills the disk but for `free` pages.
fn fill(scene: &Topology, state: &Path, free: usize) -> Result<()> {
    let filler = state.join("filler");
    let done = scene.host.enter(|| -> io::Result<()> {
        is_full(fs::write(&filler, vec![0; 1 << 20]))?;
        let size = fs::metadata(&filler)?.len() as usize;
        let keep = size.saturating_sub(free * PAGE);
        fs::OpenOptions::new()
            .write(true)
            .open(&filler)?
            .set_len(keep as u64)
    })?;
    Ok(done?)
}

fn is_full(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("the disk is not full")),
    }
}

#[test]
fn however_little_room_is_left_what_is_told_is_what_is_enforced() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    on_a_small_disk(&scene, &mut agent)?;
    let watch = Watch::begin(&scene)?;
    let state = agent.folder().join("state");
    let mut applied = 0;
    for (serial, free) in (2..).zip(0..6) {
        fill(&scene, &state, free)?;
        let before = agent.serial()?;
        let output = agent.apply(Policy {
            serial,
            ..Policy::default()
        })?;
        if output.status.success() {
            applied += 1;
            ensure!(agent.serial()? == Some(serial), "with {free} pages");
        } else {
            ensure!(
                output.stderr.contains("Make room there"),
                "{}",
                output.stderr
            );
            ensure!(agent.serial()? == before, "with {free} pages");
        }
        ensure!(agent.problems()?.is_empty(), "{:?}", agent.status()?);
        scene
            .host
            .enter(|| fs::remove_file(state.join("filler")))??;
        // As long as nothing could be stored, the next agent has the same policy.
        if applied == 0 {
            let after = agent.serial()?;
            agent.restart()?;
            ensure!(agent.serial()? == after, "with {free} pages");
        }
        watch.check()?;
    }
    ensure!((1..6).contains(&applied), "{applied} of 6 were applied");
    watch.end()
}

#[test]
fn on_a_disk_that_became_read_only_the_agent_goes_on_and_starts_again() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    on_a_small_disk(&scene, &mut agent)?;
    let watch = Watch::begin(&scene)?;
    let state = agent.folder().join("state");
    let mount = |options: &str| {
        let words = ["mount", "-o", options, &state.to_string_lossy()];
        scene.host.run(&words)
    };
    mount("remount,ro")?;
    let next = Policy {
        serial: 2,
        ..Policy::default()
    };
    let output = agent.apply(&next)?;
    ensure!(output.status.code() == Some(1), "{}", output.stderr);
    for part in ["Read-only file system", "the policy in force is unchanged"] {
        ensure!(output.stderr.contains(part), "{}", output.stderr);
    }
    ensure!(agent.serial()? == Some(1));
    watch.check()?;
    agent.restart()?;
    ensure!(agent.serial()? == Some(1));
    watch.check()?;

    mount("remount,rw")?;
    let output = agent.apply(&next)?;
    ensure!(output.status.success(), "{}", output.stderr);
    watch.end()
}
