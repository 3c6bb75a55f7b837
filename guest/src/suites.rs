//! The tests that run programs on frames, as far as they need nothing but the kernel.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::report::{Found, Report};

/// Tests that run in quick mode.
const SUBSET: &str = "vlan::";

/// Frames that are compared under each policy: emulated, a run takes a hundred times as long.
const FRAMES: &str = "3000";

/// Runs the tests.
pub fn look(report: &mut Report, quick: bool) -> Result<()> {
    let filter = if quick { &[SUBSET][..] } else { &[] };
    report.row("decisions on frames", || run("datapath", filter))?;
    if quick {
        return Ok(());
    }
    report.row("kernel and host decide alike", || run("differential", &[]))
}

fn run(name: &str, filter: &[&str]) -> Result<Found> {
    let output = Command::new(format!("/tests/{name}"))
        .args(filter)
        // Tests that run at once load programs for each of them.
        .arg("--test-threads=1")
        .env("MANOWARD_FRAMES", FRAMES)
        .env("RUST_LIB_BACKTRACE", "0")
        .output()
        .with_context(|| format!("starting the tests {name}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    eprintln!("{told}{}", String::from_utf8_lossy(&output.stderr));
    let result = told
        .lines()
        .find_map(|line| line.strip_prefix("test result: "));
    let result = result.with_context(|| format!("the tests ended with {}", output.status))?;
    let counts = result.split("; 0 ignored").next().unwrap_or(result);
    ensure!(output.status.success(), "{counts}");
    Ok(Found::yes(counts.trim_start_matches("ok. ").to_owned()))
}
