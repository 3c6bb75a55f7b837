//! `cargo xtask build`: the kernel object, then the agent that embeds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, setup, workspace};

/// Environment variable with the path of the agent, for tests and measurements.
pub const AGENT_ENV: &str = "MANOWARD_BIN";

/// Environment variable with the path of the kernel object, for the agent's build script.
pub const OBJECT_ENV: &str = "MANOWARD_BPF_OBJECT";

/// Builds the kernel object and the agent.
#[derive(clap::Args)]
pub struct Args {
    /// Build the agent optimised (the default).
    #[arg(long, conflicts_with = "debug")]
    release: bool,

    /// Build the agent without optimisation. The kernel object is always optimised: the verifier
    /// does not accept it otherwise.
    #[arg(long)]
    debug: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let object = object()?;
    let agent = agent(!args.debug)?;
    println!("kernel object  {}", object.display());
    println!("agent          {}", agent.display());
    Ok(())
}

/// Builds the kernel object, and copies it to where the agent's build takes it from.
pub fn object() -> Result<PathBuf> {
    let (toolchain, machine) = setup::toolchain()?;
    let mut command = toolchain.cargo(&machine, "build")?;
    process::run(command.arg("--release")).context("building the kernel object")?;
    place(&workspace::ebpf_built("manoward"), workspace::object())
}

/// Builds the agent around the object that [`object`] placed.
pub fn agent(release: bool) -> Result<PathBuf> {
    let mut command = cargo(&["build", "--package", "manoward", "--bin", "manoward"]);
    if release {
        command.arg("--release");
    }
    process::run(&mut command).context("building the agent")?;
    Ok(workspace::agent(if release { "release" } else { "debug" }))
}

/// A cargo for the host's crates, with the path of the kernel object in its environment.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = process::cargo(args);
    command.env(OBJECT_ENV, workspace::object());
    command
}

/// Copies only what changed: the agent is rebuilt when the object's time is newer.
fn place(from: &Path, to: PathBuf) -> Result<PathBuf> {
    let bytes = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(&to).is_ok_and(|there| there == bytes) {
        return Ok(to);
    }
    let folder = to.parent().context("the object's place has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    fs::write(&to, bytes).with_context(|| format!("writing {}", to.display()))?;
    Ok(to)
}
