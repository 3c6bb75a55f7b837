//! `cargo xtask bench`: what a packet costs, measured in the kernel.
//!
//! The measuring program is a crate of its own: it embeds the agent, and the agent embeds the kernel
//! object that is built here first.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::setup::{self, Part};
use crate::{build, process, workspace};

const PACKAGE: &str = "manoward-bench";

/// Measures what manoward costs per packet, beside what xdp-filter costs. Needs root.
#[derive(clap::Args)]
pub struct Args {
    /// Numbers of addresses per IP version that the policies allow [default: 10 to 1,000,000].
    #[arg(long, value_delimiter = ',')]
    endpoints: Vec<u32>,

    /// How often each case is measured.
    #[arg(long)]
    rounds: Option<u32>,

    /// Write the result to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measure xdp-filter too (the default).
    #[arg(long, overrides_with = "no_peers")]
    peers: bool,

    /// Measure manoward alone.
    #[arg(long, overrides_with = "peers")]
    no_peers: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!(
            "the benchmark loads programs into the kernel, which takes root. \
             Run: sudo -E env PATH=$PATH cargo xtask bench"
        );
    }
    let peers = args.peers || !args.no_peers;
    if peers {
        setup::provide(Part::Bench)?;
    }
    build::object()?;
    let mut command = build::cargo(&["build", "--release", "--package", PACKAGE]);
    process::run(&mut command).context("building the benchmark")?;
    let program = workspace::target_dir().join("release").join(PACKAGE);
    process::run(&mut measure(&program, args, peers)?)
}

fn measure(program: &Path, args: &Args, peers: bool) -> Result<std::process::Command> {
    let mut command = process::command(program);
    command.arg("--driver").arg(workspace::ebpf_built("bench"));
    if !args.endpoints.is_empty() {
        let list: Vec<_> = args.endpoints.iter().map(u32::to_string).collect();
        command.arg("--endpoints").arg(list.join(","));
    }
    if let Some(rounds) = args.rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    if let Some(file) = &args.json {
        // The program runs in the workspace's folder.
        let file = std::path::absolute(file).context("finding the file for the result")?;
        command.arg("--json").arg(file);
    }
    if !peers {
        command.arg("--no-peers");
    }
    Ok(command)
}
