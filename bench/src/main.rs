//! Measures what manoward and other filters cost, in turns.
//!
//! Run by `cargo xtask bench`, which builds everything and passes the driver's object.

mod agent;
mod charts;
mod compare;
mod interval;
mod live;
mod machine;
mod memory;
mod packets;
mod page;
mod progress;
mod report;
mod statistics;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use serde::Serialize;

use compare::Comparison;
use machine::Machine;
use packets::{Objects, Options, PairedReport, Selection, Verdict};
use report::Report;

/// Addresses of the policies that the agent is given.
const ADDRESSES: [u32; 3] = [1_000, 100_000, 1_000_000];

/// How often each case is measured, and in a comparison of two builds at most.
const ROUNDS: u32 = 15;
const ROUNDS_OF_COMPARISON: u32 = 256;

/// Measures what manoward costs.
#[derive(Parser)]
#[command(name = "manoward-bench")]
struct Args {
    /// The object with the programs that drive a measurement.
    #[arg(long, value_name = "FILE")]
    driver: PathBuf,

    /// Numbers of addresses per IP version that the policies allow.
    #[arg(long, value_delimiter = ',', default_value = "10,1000,100000,1000000")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(packets::MOST)))]
    endpoints: Vec<u32>,

    /// How often each case is measured [default: 15]; in a comparison, how often at most [default:
    /// 256].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Measure only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    #[arg(default_values_t = [Part::Packets, Part::Live, Part::Agent])]
    only: Vec<Part>,

    /// Write the result to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measure manoward alone.
    #[arg(long)]
    no_peers: bool,

    /// Show this result instead of measuring.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["endpoints", "rounds", "only", "no_peers"])]
    show: Option<PathBuf>,

    /// Show what has changed since this result.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// Instead, compare what packets cost with this earlier kernel object and with that of --now.
    #[arg(long, value_name = "FILE", requires_all = ["now", "revision", "commit"])]
    #[arg(conflicts_with_all = ["show", "compare", "write_docs", "only"])]
    base: Option<PathBuf>,

    /// The kernel object of this source tree.
    #[arg(long, value_name = "FILE", requires = "base")]
    now: Option<PathBuf>,

    /// The earlier object's revision, as it was named.
    #[arg(long, requires = "base")]
    revision: Option<String>,

    /// The commit of that revision.
    #[arg(long, requires = "base")]
    commit: Option<String>,

    /// Compare these kinds of packets.
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "base")]
    #[arg(default_values = packets::USUAL)]
    case: Vec<String>,

    /// Largest increase of a packet's cost that is accepted, ns.
    #[arg(long, value_name = "NS", default_value_t = 2.0, requires = "base")]
    limit_ns: f64,

    /// Longest time of a comparison in minutes, without the set-up.
    #[arg(long, default_value_t = 5, requires = "base")]
    minutes: u32,

    /// How a comparison is printed.
    #[arg(long, value_enum, default_value_t = Output::Table, requires = "base")]
    output: Output,

    /// Write the result's documentation into this folder.
    #[arg(long, value_name = "FOLDER")]
    write_docs: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What a packet costs.
    Packets,
    /// Live traffic.
    Live,
    /// What the agent costs.
    Agent,
}

/// How a comparison is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Exit codes of a comparison of two builds.
const SLOWER: u8 = 1;
const UNCLEAR: u8 = 2;
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    let (result, failed) = match (&args.base, &args.now) {
        (Some(base), Some(now)) => (compare(&args, base, now), FAILED),
        _ => (run(&args).map(|()| ExitCode::SUCCESS), 1),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(failed)
    })
}

/// Compares two builds of the kernel object.
fn compare(args: &Args, base: &Path, now: &Path) -> Result<ExitCode> {
    let rounds = args.rounds.unwrap_or(ROUNDS_OF_COMPARISON);
    ensure!(rounds > 1, "a comparison takes at least two rounds");
    let object =
        |file: &Path| fs::read(file).with_context(|| format!("reading {}", file.display()));
    let objects = Objects {
        base: object(base)?,
        now: object(now)?,
    };
    let cases = packets::compare(&Options {
        driver: &args.driver,
        objects: &objects,
        counts: &args.endpoints,
        selection: &Selection::new(args.case.iter().map(String::as_str))?,
        rounds,
        time: Duration::from_mins(args.minutes.into()),
        limit_ns: args.limit_ns,
    })?;
    let report = PairedReport {
        machine: Machine::inspect()?,
        revision: args.revision.clone().unwrap_or_default(),
        commit: args.commit.clone().unwrap_or_default(),
        limit_ns: args.limit_ns,
        cases,
    };
    match args.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", json(&report)?),
    }
    if let Some(file) = &args.json {
        write(file, &report)?;
    }
    Ok(match report.verdict() {
        Verdict::Within => ExitCode::SUCCESS,
        Verdict::Slower => ExitCode::from(SLOWER),
        Verdict::Unclear => ExitCode::from(UNCLEAR),
    })
}

fn run(args: &Args) -> Result<()> {
    // Read first, so that an unreadable file is noticed before minutes of measuring.
    let base = args.compare.as_deref().map(read).transpose()?;
    let report = match &args.show {
        Some(file) => read(file)?,
        None => measure(args)?,
    };
    print!("{report}");
    if let Some(base) = &base {
        let now = &report;
        print!("{}", Comparison { base, now });
    }
    if let Some(file) = &args.json {
        write(file, &report)?;
    }
    if let Some(folder) = &args.write_docs {
        page::write(&report, folder)?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no result of this benchmark", file.display()))
}

fn measure(args: &Args) -> Result<Report> {
    let driver = &args.driver;
    let rounds = args.rounds.unwrap_or(ROUNDS);
    let peers = !args.no_peers;
    let wanted = |part| args.only.contains(&part);
    let agent = wanted(Part::Agent).then(|| agent::measure(driver, &ADDRESSES));
    let agent = agent.transpose().context("measuring the agent")?;
    let live = wanted(Part::Live).then(|| live::measure(driver, rounds, peers));
    let live = live.transpose().context("measuring live traffic")?;
    let packets =
        wanted(Part::Packets).then(|| packets::measure(driver, &args.endpoints, rounds, peers));
    let packets = packets.transpose().context("measuring packets")?;
    Ok(Report {
        machine: Machine::inspect()?,
        packets,
        live,
        agent,
    })
}

fn json(report: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(report).context("writing the result as JSON")
}

fn write(file: &Path, report: &impl Serialize) -> Result<()> {
    fs::write(file, json(report)? + "\n").with_context(|| format!("writing {}", file.display()))?;
    eprintln!("Written to {}.", file.display());
    Ok(())
}
