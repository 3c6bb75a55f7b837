//! `cargo xtask bench`: what a packet costs, measured in the kernel.
//!
//! The measuring program is a crate of its own: it embeds the agent, and the agent embeds the kernel
//! object that is built here first.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::setup::{self, Part};
use crate::{build, process, workspace};

const PACKAGE: &str = "manoward-bench";

/// Measures what manoward costs per packet, in live traffic and in the agent, beside what others
/// cost. Needs root, and a machine that does nothing else.
#[derive(clap::Args)]
pub struct Args {
    /// Numbers of addresses per IP version that the policies allow [default: 10 to 1,000,000].
    #[arg(long, value_delimiter = ',')]
    endpoints: Vec<u32>,

    /// How often each case is measured.
    #[arg(long)]
    rounds: Option<u32>,

    /// Measure only these: packets, live, agent.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,

    /// Write the result to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Show this result instead of measuring.
    #[arg(long, value_name = "FILE")]
    show: Option<PathBuf>,

    /// Show what has changed since this result.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// Write the result into docs/performance.md and its pictures.
    #[arg(long)]
    write_docs: bool,

    /// Measure the others too (the default).
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
    setup::provide(if peers { Part::Bench } else { Part::Demo })?;
    build::object()?;
    let agent = build::agent(true)?;
    let mut command = build::cargo(&["build", "--release", "--package", PACKAGE]);
    process::run(&mut command).context("building the benchmark")?;
    let program = workspace::target_dir().join("release").join(PACKAGE);
    process::run(measure(&program, args, peers)?.env(build::AGENT_ENV, agent))
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
    if !args.only.is_empty() {
        command.arg("--only").arg(args.only.join(","));
    }
    for (option, file) in [
        ("--json", &args.json),
        ("--show", &args.show),
        ("--compare", &args.compare),
    ] {
        if let Some(file) = file {
            // The program runs in the workspace's folder.
            let file = std::path::absolute(file).with_context(|| format!("finding {option}"))?;
            command.arg(option).arg(file);
        }
    }
    if args.write_docs {
        command
            .arg("--write-docs")
            .arg(workspace::root().join("docs"));
    }
    if !peers {
        command.arg("--no-peers");
    }
    Ok(command)
}
