//! What the agent reads when it starts is not what it should be, or not only root's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::scene::watch::enforced;
use harness::{Agent, Policy, Topology};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Changes what is kept of a policy.
type Hurt = fn(&mut serde_json::Value);

/// Runs the command between backticks that mends `path`, as a message names it.
fn mend(message: &str, path: &Path) -> Result<()> {
    let shown = path.display().to_string();
    let mut commands = message.split('`').skip(1).step_by(2);
    let command = commands.find(|command| command.contains(&shown));
    let command = command.with_context(|| format!("no remedy for {shown} in: {message}"))?;
    let status = Command::new("sh").args(["-c", command]).status()?;
    ensure!(status.success(), "{command}");
    Ok(())
}

#[test]
fn a_fifo_as_policy_file_keeps_the_agent_neither_from_starting_nor_from_ending() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    agent.stop()?;
    let path = agent.folder().join("policy.yaml");
    fs::remove_file(&path)?;
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    agent.restart()?;
    let problems = agent.problems()?.join(" ");
    ensure!(problems.contains("not a regular file"), "{problems}");
    ensure!(agent.serial()? == Some(1));
    enforced(&scene)?;
    agent.stop()
}

#[test]
fn policies_that_others_may_write_are_not_enforced_until_they_may_not() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let path = agent.folder().join("policy.yaml");
    let drop_in = agent.folder().join("policy.d/10-more.yaml");
    fs::create_dir(agent.folder().join("policy.d"))?;
    let more = "endpoints: { more: { role: vim, addresses: [192.0.2.99] } }\n";
    let mut serial = 1;
    for victim in [&path, &drop_in] {
        serial += 1;
        let next = Policy {
            serial,
            ..Policy::default()
        };
        fs::write(&path, next.to_string())?;
        fs::write(&drop_in, more)?;
        if victim == &path {
            chown(victim, Some(65_534), None)?;
        } else {
            fs::set_permissions(victim, Permissions::from_mode(0o646))?;
        }
        agent.restart()?;
        ensure!(agent.serial()? == Some(serial - 1));
        let problems = agent.problems()?.join(" ");
        mend(&problems, victim)?;
        agent.restart()?;
        ensure!(agent.serial()? == Some(serial), "{:?}", agent.problems()?);
    }
    enforced(&scene)
}

#[test]
fn settings_and_state_that_others_may_write_end_the_start_and_name_the_remedy() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    agent.stop()?;
    let policies = agent.folder().join("state/policies");
    let kept: Vec<_> = fs::read_dir(&policies)?.collect::<Result<_, _>>()?;
    let kept = kept.iter().map(fs::DirEntry::path);
    let kept = kept.filter(|path| path.extension().is_some_and(|it| it == "json"));
    for path in kept.chain([agent.folder().join("agent.yaml")]) {
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        let error = agent.restart().err().map(|error| error.to_string());
        enforced(&scene)?;
        agent.kill9();
        mend(&error.unwrap_or_default(), &path)?;
    }
    agent.restart()
}

#[test]
fn numbers_that_were_damaged_by_hand_end_the_start_and_enforcement_goes_on() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    agent.stop()?;
    let policies = agent.folder().join("state/policies");
    let mut kept = fs::read_dir(&policies)?.filter_map(|entry| Some(entry.ok()?.path()));
    let path = kept
        .find(|path| path.extension().is_some_and(|it| it == "json"))
        .context("no policy is kept")?;
    let sound = fs::read_to_string(&path)?;
    let sheet: serde_json::Value = serde_json::from_str(&sound)?;
    let hurts: [(&str, Hurt); 3] = [
        ("65535", |sheet| sheet["rules"][0][1] = 65_535.into()),
        ("4294967295", |sheet| {
            sheet["endpoints"]["vim-1"] = u32::MAX.into();
        }),
        ("two of the endpoints", |sheet| {
            sheet["endpoints"]["vim-1"] = sheet["endpoints"]["bastion"].clone();
        }),
    ];
    for (said, hurt) in hurts {
        let mut changed = sheet.clone();
        hurt(&mut changed);
        fs::write(&path, changed.to_string())?;
        let error = agent.restart().err().map(|error| error.to_string());
        let error = error.context(said)?;
        for part in ["is damaged", said, "Move it away and apply"] {
            ensure!(error.contains(part), "{part}: {error}");
        }
        agent.kill9();
    }
    enforced(&scene)?;
    fs::write(&path, sound)?;
    agent.restart()?;
    enforced(&scene)
}
