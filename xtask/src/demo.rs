//! `cargo xtask demo`: the main job on real traffic, in network namespaces.
//!
//! The play itself is a crate of its own: its harness is the tests', which embeds the agent, and the
//! agent embeds the kernel object that is built here first.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Part};
use crate::{build, process, workspace};

const PACKAGE: &str = "manoward-demo";

/// Shows manoward at work on real traffic between network namespaces. Needs root.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command. A step that fails is no error of the command's, but its ending.
pub fn run(_: &Args) -> Result<ExitCode> {
    if !process::is_root() {
        bail!(
            "the demo makes network namespaces and loads XDP programs, which takes root. \
             Run: sudo -E env PATH=$PATH cargo xtask demo"
        );
    }
    setup::provide(Part::Demo)?;
    build::object()?;
    let agent = build::agent(true)?;
    let mut command = build::cargo(&["build", "--release", "--package", PACKAGE]);
    process::run(&mut command).context("building the demo")?;

    let mut play = process::command(workspace::target_dir().join("release").join(PACKAGE));
    let status = play.env(build::AGENT_ENV, &agent).status();
    let status = status.context("starting the demo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
