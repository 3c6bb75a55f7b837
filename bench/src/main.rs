//! Measures what manoward costs per packet, beside what xdp-filter costs in the same minutes.
//!
//! Run by `cargo xtask bench`, which builds everything and passes the driver's object.

mod case;
mod driver;
mod family;
mod machine;
mod memory;
mod ours;
mod report;
mod rounds;
mod scale;
mod statistics;
mod subject;
mod walk;
mod xdp_filter;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use driver::{Driver, Kind};
use machine::Machine;
use report::Report;
use subject::Subject;

/// Measures what manoward costs per packet.
#[derive(Parser)]
#[command(name = "manoward-bench")]
struct Args {
    /// The object with the programs that drive a measurement.
    #[arg(long, value_name = "FILE")]
    driver: PathBuf,

    /// Numbers of addresses per IP version that the policies allow.
    #[arg(long, value_delimiter = ',', default_value = "10,1000,100000,1000000")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(scale::MOST)))]
    endpoints: Vec<u32>,

    /// How often each case is measured.
    #[arg(long, default_value_t = 15)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Write the result to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measure manoward alone, without xdp-filter.
    #[arg(long)]
    no_peers: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    machine::private_bpf_file_system()?;
    let core = machine::pin_to_one_core()?;
    let mut drivers = vec![Driver::load(&args.driver, Kind::Frags)?];
    if !args.no_peers {
        drivers.push(Driver::load(&args.driver, Kind::Single)?);
    }
    let subjects = subjects(&args.endpoints, !args.no_peers)?;
    let measured = rounds::measure(&mut drivers, &subjects, args.rounds)?;
    let report = Report::new(Machine::inspect(core), args.rounds, measured);
    print!("{report}");
    if let Some(file) = &args.json {
        write(file, &report)?;
    }
    Ok(())
}

/// Everything that is measured, filled with its addresses.
fn subjects(counts: &[u32], peers: bool) -> Result<Vec<Box<dyn Subject>>> {
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    for &count in counts {
        eprintln!("Filling tables with {count} addresses per IP version ...");
        subjects.push(Box::new(ours::Ours::load(count)?));
        if count <= ours::LEASES {
            subjects.push(Box::new(ours::Ours::proving(count)?));
        }
        if peers {
            for variant in xdp_filter::Variant::ALL {
                subjects.push(Box::new(xdp_filter::XdpFilter::load(variant, count)?));
            }
        }
    }
    ensure!(!subjects.is_empty(), "nothing to measure");
    Ok(subjects)
}

fn write(file: &Path, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report).context("writing the result as JSON")?;
    fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    eprintln!("Written to {}.", file.display());
    Ok(())
}
