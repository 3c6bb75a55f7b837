//! Compares what gets past the programs with what the network stack would deliver, until a time or
//! a number of frames is reached. `cargo xtask fuzz --target oracle` runs it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use harness::judge::Limits;
use harness::judge::differential::policies;
use harness::judge::oracle::Oracle;
use harness::judge::oracle::families::{FAMILIES, GRAMMAR};
use harness::judge::oracle::hosts::{Hosts, Stack};
use serde::Serialize;

/// Time between two lines about the progress.
const REPORT: Duration = Duration::from_secs(10);

const STACKS: [(&str, Stack); 2] = [("usual", Stack::Usual), ("permissive", Stack::Permissive)];

/// The result of a run; the last line of the output, as JSON.
#[derive(Default, Serialize)]
struct Summary {
    seed: u64,
    frames: u64,
    seconds: u64,
    /// Families with deliveries at either host, and their number.
    reached: BTreeMap<String, u64>,
    unreached: Vec<&'static str>,
    /// Permitted deliveries that only one host made, by the reason for the drop.
    stricter: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let limits = Limits::parse();
    let started = Instant::now();
    let mut summary = Summary {
        seed: limits.seed,
        ..Summary::default()
    };
    for (name, stack) in STACKS {
        let end = limits.deadline(STACKS.len() as u32);
        let frames = limits.frames(STACKS.len() as u64);
        compare(stack, limits.seed, end, frames, &mut summary)
            .with_context(|| format!("with a {name} stack"))?;
    }
    summary.seconds = started.elapsed().as_secs();
    let all = FAMILIES.iter().map(|(family, _)| *family).chain([GRAMMAR]);
    summary.unreached = all
        .filter(|family| !summary.reached.contains_key(*family))
        .collect();
    println!("{}", serde_json::to_string(&summary)?);
    Ok(if summary.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Compares until a limit is reached, or a difference is found.
fn compare(
    stack: Stack,
    seed: u64,
    end: Option<Instant>,
    frames: u64,
    summary: &mut Summary,
) -> Result<()> {
    let hosts = Hosts::new(stack)?;
    let mut oracle = Oracle::new(&hosts, &policies::small_text())?;
    let mut families = oracle.families(seed);
    let mut last_report = Instant::now();
    while oracle.findings().frames < frames
        && end.is_none_or(|end| Instant::now() < end)
        && oracle.findings().differences.is_empty()
    {
        oracle.batch(|| families.case())?;
        if last_report.elapsed() >= REPORT {
            last_report = Instant::now();
            eprintln!("{} frames", summary.frames + oracle.findings().frames);
        }
    }
    let findings = oracle.findings();
    for (reason, count) in &findings.stricter {
        *summary.stricter.entry(reason).or_default() += count;
    }
    summary.frames += findings.frames;
    for (family, counts) in &findings.families {
        let reached = counts.admitted + counts.kept_out;
        if reached > 0 {
            *summary.reached.entry((*family).to_owned()).or_default() += reached;
        }
    }
    summary
        .failures
        .extend(findings.differences.iter().cloned());
    Ok(())
}
