//! `cargo xtask soak`: policies change, agents are killed and restarted, and not one packet may be lost or
//! let through.
//!
//! The soak itself lies in the harness of the tests, which embeds the agent.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Part};
use crate::{build, process, workspace};

/// The crate, and the program in it.
const PACKAGE: &str = "manoward-tests";
const PROGRAM: &str = "soak";

/// Changes the policy in every way under traffic, while the agent is killed and restarted. Needs root.
#[derive(clap::Args)]
pub struct Args {
    /// Writes the result to docs/soak.md.
    #[arg(long)]
    write_docs: bool,

    /// What the soak is told: `--changes`, `--kills`, `--restarts`, `--packets`, `--minutes`, `--seed`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the command. What was lost or let through is reported by the exit code, not as an error.
pub fn run(args: &Args) -> Result<ExitCode> {
    if !process::is_root() {
        bail!(
            "the soak makes network namespaces and loads XDP programs, which takes root. \
             Run: sudo -E env PATH=$PATH cargo xtask soak"
        );
    }
    setup::provide(Part::Demo)?;
    build::object()?;
    let agent = build::agent(true)?;
    let mut command = build::cargo(&["build", "--release", "--package", PACKAGE, "--bin", PROGRAM]);
    process::run(&mut command).context("building the soak")?;

    let mut soak = process::command(workspace::target_dir().join("release").join(PROGRAM));
    soak.env(build::AGENT_ENV, &agent).args(&args.rest);
    if args.write_docs {
        soak.arg("--page")
            .arg(workspace::root().join("docs/soak.md"));
    }
    let status = soak.status().context("starting the soak")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
