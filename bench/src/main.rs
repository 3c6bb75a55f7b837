//! Measures what manoward costs, beside what others cost in the same minutes.
//!
//! Run by `cargo xtask bench`, which builds everything and passes the driver's object.

mod agent;
mod charts;
mod compare;
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

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use compare::Comparison;
use machine::Machine;
use report::Report;

/// Addresses of the policies that the agent is given.
const ADDRESSES: [u32; 3] = [1_000, 100_000, 1_000_000];

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

    /// How often each case is measured.
    #[arg(long, default_value_t = 15)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

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

    /// Write the result's documentation into this folder.
    #[arg(long, value_name = "FOLDER")]
    write_docs: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What a packet costs.
    Packets,
    /// What traffic experiences.
    Live,
    /// What the agent takes.
    Agent,
}

fn main() -> Result<()> {
    let args = Args::parse();
    // An earlier result that cannot be read is found out before minutes are spent on a new one.
    let base = args.compare.as_deref().map(read).transpose()?;
    let report = match &args.show {
        Some(file) => read(file)?,
        None => measure(&args)?,
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
    let Args { driver, rounds, .. } = args;
    let peers = !args.no_peers;
    let wanted = |part| args.only.contains(&part);
    let agent = wanted(Part::Agent).then(|| agent::measure(driver, &ADDRESSES));
    let agent = agent.transpose().context("measuring the agent")?;
    let live = wanted(Part::Live).then(|| live::measure(driver, *rounds, peers));
    let live = live.transpose().context("measuring live traffic")?;
    let packets =
        wanted(Part::Packets).then(|| packets::measure(driver, &args.endpoints, *rounds, peers));
    let packets = packets.transpose().context("measuring packets")?;
    Ok(Report {
        machine: Machine::inspect()?,
        packets,
        live,
        agent,
    })
}

fn write(file: &Path, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report).context("writing the result as JSON")?;
    fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    eprintln!("Written to {}.", file.display());
    Ok(())
}
