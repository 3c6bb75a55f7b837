//! `cargo xtask mutants`: changes the verdict in small ways, one at a time, and finds out whether
//! its tests notice.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::setup::{self, Part};
use crate::{process, workspace};

/// The crate that is changed, and whose tests have to notice.
const PACKAGE: &str = "manoward-verdict";

/// Where the sources lie that are changed.
const SOURCES: &str = "verdict/src";

/// Exit codes of cargo-mutants: a change went unnoticed; tests took too long.
const MISSED: i32 = 2;
const TIMED_OUT: i32 = 3;

/// Changes the verdict in small ways, and lists what its tests do not notice.
#[derive(clap::Args)]
pub struct Args {
    /// Only in these files of verdict/src, as in `state/lease.rs`.
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,

    /// Only in lines that differ from those of this revision of git, as in `HEAD~3`.
    #[arg(long, value_name = "REVISION")]
    since: Option<String>,

    /// Only one part of all changes, as in `0/8`.
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
}

/// Runs the command. A change that goes unnoticed is reported by the exit code, not as an error.
pub fn run(args: &Args) -> Result<ExitCode> {
    setup::provide(Part::Mutants)?;
    let mut command = process::cargo(&[
        "mutants",
        "--package",
        PACKAGE,
        "--no-shuffle",
        "--profile",
        "mutants",
    ]);
    // A failure is enough: no backtraces, and no search for the smallest failing input.
    command.env("RUST_BACKTRACE", "0");
    command.env("PROPTEST_MAX_SHRINK_ITERS", "0");
    // Into the target folder, not among the sources.
    command.arg("--output").arg(workspace::target_dir());
    for file in &args.file {
        command.arg("--file").arg(format!("{SOURCES}/{file}"));
    }
    if let Some(revision) = &args.since {
        command.arg("--in-diff").arg(differences(revision)?);
    }
    if let Some(shard) = &args.shard {
        command.args(["--shard", shard]);
    }
    let status = command.status().context("starting cargo mutants")?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(MISSED | TIMED_OUT) => {
            let lists = workspace::target_dir().join("mutants.out");
            eprintln!("What went unnoticed is listed in {}.", lists.display());
            Ok(ExitCode::FAILURE)
        }
        _ => anyhow::bail!("cargo mutants ended with {status}"),
    }
}

/// Writes the differences between the sources and those of `revision` into a file; returns the
/// file.
fn differences(revision: &str) -> Result<PathBuf> {
    let mut git = process::command("git");
    git.args(["diff", "--no-ext-diff", revision, "--", SOURCES]);
    let output = git.output().context("starting git")?;
    ensure!(
        output.status.success(),
        "git cannot tell what has changed since {revision}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let file = workspace::target_dir().join("mutants.diff");
    fs::write(&file, output.stdout).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}
