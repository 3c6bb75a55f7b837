//! `cargo xtask demo`: the main job on real traffic, in network namespaces.
//!
//! The demo itself is another crate: it uses the harness of the tests, which embeds the agent,
//! which embeds the kernel object that is built here first.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Part};
use crate::{build, process, workspace};

const PACKAGE: &str = "manoward-demo";

/// Shows manoward at work on real traffic between network namespaces. Needs root.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command. A failed step is reported by the exit code, not as an error.
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

    let mut demo = process::command(workspace::target_dir().join("release").join(PACKAGE));
    let status = demo.env(build::AGENT_ENV, &agent).status();
    let status = status.context("starting the demo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
