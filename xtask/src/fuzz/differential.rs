//! The comparison of host and kernel.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::report::{Failure, Row};
use crate::{build, process, workspace};

/// What the program prints.
#[derive(Deserialize)]
struct Summary {
    frames: u64,
    seconds: u64,
    reasons: std::collections::BTreeMap<String, u64>,
    unreached: Vec<String>,
    failures: Vec<String>,
}

/// Compares for so long, or so many frames.
pub fn compare(share: Duration, seed: u32, frames: Option<u64>) -> Result<Row> {
    let args = ["build", "--release", "--package", "manoward-tests", "--bin"];
    process::run(build::cargo(&args).arg("differential")).context("building the comparison")?;
    let program = workspace::target_dir().join("release").join("differential");
    let mut command = process::command(program);
    command.args(["--seed", &seed.to_string()]);
    match frames {
        Some(frames) => command.args(["--frames", &frames.to_string()]),
        None => command.args(["--seconds", &share.as_secs().max(1).to_string()]),
    };
    eprintln!("differential: seed {seed}");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("starting the comparison")?;
    let summary: Summary =
        serde_json::from_slice(&output.stdout).context("reading the comparison's result")?;
    ensure!(
        output.status.success() || !summary.failures.is_empty(),
        "the comparison ended with {}",
        output.status
    );
    Ok(Row {
        target: "differential",
        seed,
        executions: summary.frames,
        per_second: summary.frames / summary.seconds.max(1),
        coverage: summary.reasons.len() as u64,
        unreached: summary.unreached,
        added: 0,
        failure: (!summary.failures.is_empty()).then(|| Failure {
            what: summary.failures.join("; "),
            reproduce: format!(
                "cargo xtask fuzz --target differential --seed {seed} --frames {}",
                summary.frames * 2
            ),
        }),
    })
}
