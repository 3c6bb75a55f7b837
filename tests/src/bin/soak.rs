//! Runs a soak, and writes what has come of it. `cargo xtask soak` runs it.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use harness::agent::soak::{self, Outcome, Plan};

/// The command line, which `cargo xtask soak` hands on.
#[derive(Parser)]
struct Args {
    /// Changes of the policy.
    #[arg(long, default_value_t = 1000)]
    changes: u32,

    /// How often the agent is killed.
    #[arg(long, default_value_t = 100)]
    kills: u32,

    /// How often it is restarted.
    #[arg(long, default_value_t = 100)]
    restarts: u32,

    /// Frames of either kind that are sent at least.
    #[arg(long, default_value_t = 5_000_000)]
    packets: u64,

    /// After this time no change is begun any more.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,

    /// Seed of the choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Writes the result to this page.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// Time between two bursts of frames.
const PAUSE: Duration = Duration::from_millis(2);

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let plan = Plan {
        changes: args.changes,
        kills: args.kills,
        restarts: args.restarts,
        packets: args.packets,
        pause: PAUSE,
        most: Duration::from_secs_f64(60.0 * args.minutes),
        seed: args.seed,
    };
    let outcome = soak::run(&plan, |outcome| {
        eprintln!(
            "{:>5} s  {:>4} changes, {:>3} kills, {:>3} restarts, {} + {} packets",
            outcome.seconds,
            outcome.changed(),
            outcome.kills[0],
            outcome.restarts,
            outcome.permitted.sent,
            outcome.forbidden.sent
        );
    })?;
    let table = table(&outcome);
    println!("{table}");
    let flaws = outcome.flaws();
    for flaw in &flaws {
        println!("WRONG: {flaw}");
    }
    if let Some(page) = &args.page {
        let text = written(&outcome, &flaws, &table, args.seed)?;
        fs::write(page, text).with_context(|| format!("writing {}", page.display()))?;
    }
    Ok(if flaws.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The page for the documentation.
fn written(outcome: &Outcome, flaws: &[String], table: &str, seed: u64) -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cpus = std::thread::available_parallelism()?;
    let found = if flaws.is_empty() {
        "No forbidden packet has passed, and no permitted one was lost.".to_owned()
    } else {
        format!("**Wrong: {}.**", flaws.join("; "))
    };
    let complete = if outcome.complete {
        String::new()
    } else {
        " It was ended by its time before all changes were made.".to_owned()
    };
    Ok(format!(
        "# Soak\n\n\
         What `cargo xtask soak --write-docs` has found. All the time the VIM sends what every policy\n\
         permits, and an intruder what every one forbids, over IPv4 and IPv6; two TCP connections, one\n\
         opened by the VIM and one by the host, exchange data. Meanwhile policies are applied, confirmed,\n\
         cancelled, left to lapse, tried and promoted, and rolled back, in a random order; the agent is\n\
         killed (SIGKILL), every second time in the middle of a change, and restarted. What arrives is\n\
         counted by nftables in the host's network stack.\n\n\
         {found}{complete} Linux {}, {cpus} CPUs, seed {seed}.\n\n{table}",
        release.trim()
    ))
}

fn table(outcome: &Outcome) -> String {
    let Outcome {
        permitted,
        forbidden,
        exchanges,
        kills,
        usage: [before, after],
        ..
    } = outcome;
    let kinds = outcome.changes.iter();
    let kinds: Vec<_> = kinds
        .map(|(kind, times)| format!("{kind} {times}"))
        .collect();
    let rows = [
        (
            "permitted packets: sent / arrived",
            format!("{} / {}", permitted.sent, permitted.arrived),
        ),
        (
            "forbidden packets: sent / arrived",
            format!("{} / {}", forbidden.sent, forbidden.arrived),
        ),
        (
            "permitted packets that were dropped",
            outcome.permitted_dropped.to_string(),
        ),
        (
            "lost in queues before the host",
            outcome.queue_drops.to_string(),
        ),
        (
            "exchanges over connections, in / out",
            format!("{} / {}", exchanges[0], exchanges[1]),
        ),
        (
            "changes of the policy",
            format!("{} ({})", outcome.changed(), kinds.join(", ")),
        ),
        (
            "agent killed, of these in a change",
            format!("{}, {}", kills[0], kills[1]),
        ),
        ("agent restarted", outcome.restarts.to_string()),
        (
            "history: entries, all as written",
            outcome.history.to_string(),
        ),
        (
            "agent's memory, before / after",
            format!("{} / {} kB", before.memory_kb, after.memory_kb),
        ),
        (
            "agent's open files, before / after",
            format!("{} / {}", before.descriptors, after.descriptors),
        ),
        (
            "files in the store, before / after",
            format!("{} / {}", before.files, after.files),
        ),
        (
            "pins, before / after",
            format!("{} / {}", before.pins, after.pins),
        ),
        ("time", format!("{} s", outcome.seconds)),
    ];
    let rows = rows.map(|(what, value)| format!("| {what} | {value} |\n"));
    format!("| | |\n| --- | --- |\n{}", rows.concat())
}
