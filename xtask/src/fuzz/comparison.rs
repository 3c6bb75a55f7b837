//! Runs the comparisons, which are programs of the tests' crate: `differential`, the decision on
//! the host against the programs in the kernel, and `oracle`, what gets past the programs against
//! what the network stack would deliver.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Target;
use super::report::{Failure, Row};
use crate::{build, process, workspace};

/// What the program prints.
#[derive(Deserialize)]
struct Summary {
    frames: u64,
    seconds: u64,
    reached: std::collections::BTreeMap<String, u64>,
    unreached: Vec<String>,
    failures: Vec<String>,
}

/// Compares for the time `share`, or `frames` frames.
pub fn compare(target: Target, share: Duration, seed: u32, frames: Option<u64>) -> Result<Row> {
    let name = target.name();
    let args = ["build", "--release", "--package", "manoward-tests", "--bin"];
    process::run(build::cargo(&args).arg(name)).context("building the comparison")?;
    let program = workspace::target_dir().join("release").join(name);
    let mut command = process::command(program);
    command.env("MANOWARD_BIN", build::agent(false)?);
    command.args(["--seed", &seed.to_string()]);
    match frames {
        Some(frames) => command.args(["--frames", &frames.to_string()]),
        None => command.args(["--seconds", &share.as_secs().max(1).to_string()]),
    };
    eprintln!("{name}: seed {seed}");
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
        target: name,
        seed,
        executions: summary.frames,
        per_second: summary.frames / summary.seconds.max(1),
        coverage: summary.reached.len() as u64,
        unreached: summary.unreached,
        added: 0,
        failure: (!summary.failures.is_empty()).then(|| Failure {
            what: summary.failures.join("; "),
            reproduce: format!(
                "cargo xtask fuzz --target {name} --seed {seed} --frames {}",
                summary.frames * 2
            ),
        }),
    })
}
