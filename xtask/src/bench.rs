//! `cargo xtask bench`: what a packet costs, measured in the kernel.
//!
//! The measuring program is a crate of its own: it embeds the agent, and the agent embeds the
//! kernel object that is built here first.

mod revision;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::setup::{self, Part};
use crate::{build, process, workspace};
use revision::Earlier;

const PACKAGE: &str = "manoward-bench";

/// Measures what manoward costs per packet, in live traffic and in the agent, and what other
/// filters cost. Needs root, and an otherwise idle machine.
#[derive(clap::Args)]
pub struct Args {
    /// Numbers of addresses per IP version that the policies allow [default: 10 to 1,000,000].
    #[arg(long, value_delimiter = ',')]
    endpoints: Vec<u32>,

    /// How often each case is measured; in a comparison with a revision, how often at most.
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

    /// Show what packets cost more or less than with the kernel object of this revision of git, as
    /// in `HEAD~1`: both run side by side. Or, for a .json file, what has changed since this
    /// result.
    #[arg(long, value_name = "REVISION")]
    compare: Option<String>,

    /// In a comparison with a revision: only these cases, as in `by-lease`, or `all` [default: the
    /// most frequent ones].
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "compare")]
    case: Vec<String>,

    /// In a comparison with a revision: largest accepted increase of a packet's cost, ns.
    #[arg(long, value_name = "NS", default_value_t = 2.0, requires = "compare")]
    limit_ns: f64,

    /// In a comparison with a revision: longest time of its rounds, minutes.
    #[arg(long, default_value_t = 5, requires = "compare")]
    minutes: u32,

    /// In a comparison with a revision: how it is printed.
    #[arg(long, value_enum, default_value_t = Output::Table, requires = "compare")]
    output: Output,

    /// Write the result into docs/performance.md and its pictures.
    #[arg(long)]
    write_docs: bool,

    /// Measure other filters, too (the default).
    #[arg(long, overrides_with = "no_peers")]
    peers: bool,

    /// Measure manoward alone.
    #[arg(long, overrides_with = "peers")]
    no_peers: bool,
}

/// How a comparison is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Exit code if a comparison with a revision could not be made. The benchmark itself ends with 1 if
/// a case is slower, and with 2 if one is unclear.
const NOT_COMPARED: u8 = 3;

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    if !process::is_root() {
        bail!(
            "the benchmark loads programs into the kernel, which takes root. \
             Run: sudo -E env PATH=$PATH cargo xtask bench"
        );
    }
    if let Some(revision) = args.compare.as_deref().filter(|name| !is_result(name)) {
        let code = compare(args, revision).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            NOT_COMPARED
        });
        return Ok(ExitCode::from(code));
    }
    let peers = args.peers || !args.no_peers;
    setup::provide(if peers { Part::Bench } else { Part::Demo })?;
    build::object()?;
    let agent = build::agent(true)?;
    let program = program()?;
    process::run(measure(&program, args, peers)?.env(build::AGENT_ENV, agent))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether `--compare` names a result and no revision.
fn is_result(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "json")
}

/// Compares this tree's kernel object with a revision's; returns the exit code of the comparison.
fn compare(args: &Args, revision: &str) -> Result<u8> {
    if args.show.is_some() || args.write_docs || args.only.iter().any(|part| part != "packets") {
        bail!("a comparison with a revision measures packets, and writes no documentation");
    }
    let earlier = Earlier::build(revision)?;
    let now = build::object()?;
    let mut command = packets_command(&program()?, args);
    command.arg("--base").arg(&earlier.object);
    command.arg("--now").arg(now);
    command.args(["--revision", revision, "--commit", &earlier.commit]);
    command.args(["--limit-ns", &args.limit_ns.to_string()]);
    command.args(["--minutes", &args.minutes.to_string()]);
    if !args.case.is_empty() {
        command.args(["--case", &args.case.join(",")]);
    }
    if args.output == Output::Json {
        command.args(["--output", "json"]);
    }
    if let Some(file) = &args.json {
        let file = std::path::absolute(file).context("finding --json")?;
        command.arg("--json").arg(file);
    }
    let status = command.status().context("starting the benchmark")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.with_context(|| format!("the benchmark ended with {status}"))
}

/// Builds the program that measures, around the kernel object.
fn program() -> Result<PathBuf> {
    let mut command = build::cargo(&["build", "--release", "--package", PACKAGE]);
    process::run(&mut command).context("building the benchmark")?;
    Ok(workspace::target_dir().join("release").join(PACKAGE))
}

/// The benchmark's command, with the options about packets.
fn packets_command(program: &Path, args: &Args) -> Command {
    let mut command = process::command(program);
    command.arg("--driver").arg(workspace::ebpf_built("bench"));
    if !args.endpoints.is_empty() {
        let list: Vec<_> = args.endpoints.iter().map(u32::to_string).collect();
        command.arg("--endpoints").arg(list.join(","));
    }
    if let Some(rounds) = args.rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    command
}

fn measure(program: &Path, args: &Args, peers: bool) -> Result<Command> {
    let mut command = packets_command(program, args);
    if !args.only.is_empty() {
        command.arg("--only").arg(args.only.join(","));
    }
    for (option, file) in [
        ("--json", &args.json),
        ("--show", &args.show),
        ("--compare", &args.compare.as_ref().map(PathBuf::from)),
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
