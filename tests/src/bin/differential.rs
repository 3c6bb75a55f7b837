//! Compares the verdicts of host and kernel on generated frames until a time or a number of frames
//! is reached, and prints which reasons occurred. `cargo xtask fuzz --target differential` runs it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use harness::judge::Limits;
use harness::judge::differential::{Comparison, policies};
use manoward::policy::Policy;
use serde::Serialize;
use verdict::reason::Reason;

/// Time between two lines about the progress.
const REPORT: Duration = Duration::from_secs(10);
/// Time between checks whether all threads are done.
const POLL: Duration = Duration::from_millis(100);

/// When to end.
#[derive(Clone, Copy)]
struct Limit {
    deadline: Option<Instant>,
    frames: u64,
}

/// What all threads share.
#[derive(Default)]
struct Progress {
    frames: AtomicU64,
    /// A thread has found a difference, or failed.
    failed: AtomicBool,
    done: AtomicU64,
}

/// The result of a run; the last line of the output, as JSON.
#[derive(Serialize)]
struct Summary {
    seed: u64,
    frames: u64,
    seconds: u64,
    /// How often each reason was given.
    reached: BTreeMap<&'static str, u64>,
    unreached: Vec<&'static str>,
    failures: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let limits = Limits::parse();
    let under = [
        ("small", policies::small()?),
        ("audited", policies::audited()?),
        ("bound", policies::bound()?),
        ("places", policies::places()?),
        ("large", policies::large()?),
    ];
    let started = Instant::now();
    let limit = Limit {
        deadline: limits.deadline(1),
        frames: limits.frames(under.len() as u64),
    };
    let progress = Progress::default();
    let results = thread::scope(|scope| {
        let threads = under.each_ref().map(|(name, policy)| {
            let progress = &progress;
            scope.spawn(move || compare(name, policy, limits.seed, limit, progress))
        });
        report(&progress, under.len() as u64);
        threads.map(|thread| thread.join().expect("a comparison does not panic"))
    });
    let mut summary = Summary {
        seed: limits.seed,
        frames: progress.frames.load(Ordering::Relaxed),
        seconds: started.elapsed().as_secs(),
        reached: BTreeMap::new(),
        unreached: Vec::new(),
        failures: Vec::new(),
    };
    for result in results {
        match result {
            Ok(reasons) => {
                for (reason, count) in reasons {
                    *summary.reached.entry(reason).or_default() += count;
                }
            }
            Err(error) => summary.failures.push(format!("{error:#}")),
        }
    }
    let unreached = Reason::ALL.iter().map(|reason| reason.name());
    summary.unreached = unreached
        .filter(|reason| !summary.reached.contains_key(reason))
        .collect();
    println!("{}", serde_json::to_string(&summary)?);
    Ok(if summary.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Compares until a limit is reached, or any thread has failed.
fn compare(
    name: &str,
    policy: &Policy,
    seed: u64,
    limit: Limit,
    progress: &Progress,
) -> Result<BTreeMap<&'static str, u64>> {
    let run = || {
        let mut comparison = Comparison::new(policy, seed)?;
        while comparison.frames() < limit.frames
            && limit.deadline.is_none_or(|end| Instant::now() < end)
            && !progress.failed.load(Ordering::Relaxed)
        {
            comparison.frame()?;
            progress.frames.fetch_add(1, Ordering::Relaxed);
        }
        Ok(comparison.reasons().clone())
    };
    let result: Result<_> = run();
    if result.is_err() {
        progress.failed.store(true, Ordering::Relaxed);
    }
    progress.done.fetch_add(1, Ordering::Relaxed);
    result.with_context(|| format!("under the policy `{name}`"))
}

/// Prints the progress until all threads are done.
fn report(progress: &Progress, threads: u64) {
    let mut last_report = Instant::now();
    while progress.done.load(Ordering::Relaxed) < threads {
        thread::sleep(POLL);
        if last_report.elapsed() >= REPORT {
            last_report = Instant::now();
            eprintln!("{} frames", progress.frames.load(Ordering::Relaxed));
        }
    }
}
