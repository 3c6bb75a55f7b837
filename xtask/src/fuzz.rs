//! `cargo xtask fuzz`: fuzzes everything that reads input of others.
//!
//! libFuzzer drives the targets of the crate `fuzz`, with `AddressSanitizer` watching and memory
//! limited; the target `differential` compares host and kernel about generated frames, and `oracle`
//! what gets past the programs with what the network stack would deliver.

mod comparison;
mod libfuzzer;
mod report;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::setup::{self, Part};
use crate::{build, process};
use report::Row;

/// Fuzzes everything that reads input of others.
#[derive(Parser)]
pub struct Args {
    /// Time for all targets together.
    #[arg(long, default_value_t = 6.0)]
    minutes: f64,

    /// Only these targets; all if none is named. `differential` and `oracle` need root.
    #[arg(long, value_enum)]
    target: Vec<Target>,

    /// Seed of the frames that `differential` and `oracle` compare, and of libFuzzer.
    #[arg(long)]
    seed: Option<u32>,

    /// Number of frames that `differential` and `oracle` compare, however long that takes.
    #[arg(long)]
    frames: Option<u64>,

    /// Form of the result.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// What can be fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Frames, in and out.
    Packet,
    /// Datagrams, handshakes, certificates and messages.
    Enrolment,
    /// Requests to the control API.
    Control,
    /// The policy file.
    Policy,
    /// Captures.
    Capture,
    /// The decision on the host against the programs in the kernel.
    Differential,
    /// What gets past the programs against what the network stack would deliver.
    Oracle,
}

impl Target {
    /// Its name.
    fn name(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Enrolment => "enrolment",
            Self::Control => "control",
            Self::Policy => "policy",
            Self::Capture => "capture",
            Self::Differential => "differential",
            Self::Oracle => "oracle",
        }
    }

    /// Whether it is a comparison, not a target of libFuzzer.
    fn compares(self) -> bool {
        matches!(self, Self::Differential | Self::Oracle)
    }
}

/// A form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Runs the command. A finding is reported by the exit code, not as an error.
pub fn run(args: &Args) -> Result<ExitCode> {
    let targets = if args.target.is_empty() {
        Target::value_variants().to_vec()
    } else {
        args.target.clone()
    };
    let (compared, fuzzed): (Vec<_>, Vec<_>) = targets.iter().partition(|target| target.compares());
    ensure!(
        compared.is_empty() || process::is_root(),
        "`differential` and `oracle` load programs into the kernel, which takes root. \
         Run: sudo -E env PATH=$PATH cargo xtask fuzz"
    );
    let seed = args.seed.map_or_else(any_seed, Ok)?;
    let share = Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes is no time")?
        / targets.len() as u32;
    build::object()?;
    let mut rows = Vec::new();
    if !fuzzed.is_empty() {
        setup::provide(Part::Fuzz)?;
        libfuzzer::build()?;
    }
    for target in fuzzed {
        rows.push(libfuzzer::fuzz(target, share, seed)?);
    }
    if compared.contains(&Target::Oracle) {
        // It needs the programs of the demo.
        setup::provide(Part::Demo)?;
    }
    for target in compared {
        rows.push(comparison::compare(target, share, seed, args.frames)?);
    }
    match args.output {
        Output::Table => report::table(&rows),
        Output::Json => println!("{}", report::json(&rows)),
    }
    let found = rows.iter().any(|row: &Row| row.failure.is_some());
    Ok(if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// A seed from the clock.
fn any_seed() -> Result<u32> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(now.context("the clock is before 1970")?.subsec_nanos())
}
