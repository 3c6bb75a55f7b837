//! Targets under libFuzzer, built by cargo-fuzz.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Target;
use super::report::{Failure, Row};
use crate::{build, process, workspace};

/// Memory of a target at most, MiB; the sanitizer's own is part of it.
const MEMORY_MIB: u32 = 2048;
/// Memory that is asked for at once at most, MiB.
const MALLOC_MIB: u32 = 256;
/// Seconds that one input takes at most.
const TIMEOUT_S: u32 = 10;
/// Bytes of an input at most.
const LONGEST: u32 = 8192;
/// Lines at the end of a failed target's output that are shown.
const LAST_LINES: usize = 30;

/// Builds all targets.
pub fn build() -> Result<()> {
    process::run(&mut cargo_fuzz("build")).context("building the targets")
}

/// cargo-fuzz on the nightly toolchain that set-up has provided. The targets' own code is built as
/// it always is, without `cfg(fuzzing)`.
fn cargo_fuzz(subcommand: &str) -> Command {
    let mut command = process::command("rustup");
    command
        .args(["run", "nightly", "cargo", "fuzz", subcommand])
        .args(["--fuzz-dir", "fuzz", "--no-cfg-fuzzing"])
        .args(["--features", "libfuzzer"])
        .env(build::OBJECT_ENV, workspace::object())
        // Separate, as this is another compiler.
        .env("CARGO_TARGET_DIR", folder().join("build"))
        .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only")
        .env("CARGO_INCREMENTAL", "0");
    command
}

/// The folder of everything about fuzzing.
fn folder() -> PathBuf {
    workspace::target_dir().join("fuzz")
}

/// Fuzzes one target for the time `share`.
pub fn fuzz(target: Target, share: Duration, seed: u32) -> Result<Row> {
    let name = target.name();
    let corpus = folder().join("corpus").join(name);
    let artifacts = folder().join("artifacts").join(name);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let mut command = cargo_fuzz("run");
    command
        .arg(name)
        .arg(&corpus)
        .arg(workspace::root().join("fuzz/corpus").join(name))
        .arg("--")
        .arg(format!("-max_total_time={}", share.as_secs().max(1)))
        .arg(format!("-seed={seed}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-malloc_limit_mb={MALLOC_MIB}"))
        .arg(format!("-timeout={TIMEOUT_S}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let dictionary = workspace::root().join(format!("fuzz/dictionaries/{name}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    eprintln!("{name}: {} s, seed {seed}", share.as_secs().max(1));
    let mut child = command.spawn().context("starting cargo fuzz")?;
    let stderr = child.stderr.take().context("cargo fuzz has no output")?;
    let mut output = Output::default();
    for line in BufReader::new(stderr).lines() {
        output.read(name, line.context("reading libFuzzer's output")?);
    }
    let status = child.wait().context("waiting for cargo fuzz")?;
    let mut row = output.row;
    row.target = name;
    row.seed = seed;
    if status.success() {
        return Ok(row);
    }
    let Some(artifact) = output.artifact else {
        bail!("{name} ended with {status}:\n{}", output.last.join("\n"));
    };
    eprintln!("{}", output.last.join("\n"));
    row.failure = Some(Failure {
        reproduce: process::show(cargo_fuzz("run").arg(name).arg(&artifact)),
        what: artifact,
    });
    Ok(row)
}

/// What libFuzzer has printed.
#[derive(Default)]
struct Output {
    row: Row,
    artifact: Option<String>,
    last: Vec<String>,
}

impl Output {
    fn read(&mut self, name: &str, line: String) {
        let number = |key: &str| {
            let (_, rest) = line.split_once(key)?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        };
        if let Some(edges) = number(" cov: ") {
            self.row.coverage = edges;
            if line.contains("pulse") || line.contains("INITED") {
                eprintln!("{name}: {line}");
            }
        }
        let statistics = [
            ("stat::number_of_executed_units:", &mut self.row.executions),
            ("stat::average_exec_per_sec:", &mut self.row.per_second),
            ("stat::new_units_added:", &mut self.row.added),
        ];
        for (key, value) in statistics {
            if let Some(read) = number(key) {
                *value = read;
            }
        }
        if let Some((_, file)) = line.split_once("Test unit written to ") {
            self.artifact = Some(file.trim().to_owned());
        }
        self.last.push(line);
        if self.last.len() > LAST_LINES {
            self.last.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfuzzers_output_is_parsed() {
        let mut output = Output::default();
        for line in [
            "#4194304\tpulse  cov: 2012 ft: 9113 corp: 801/99Kb exec/s: 23301 rss: 417Mb",
            "#5000000\tDONE   cov: 2019 ft: 9200 corp: 810/99Kb lim: 4096 exec/s: 23255 rss: 417Mb",
            "stat::number_of_executed_units: 5000000",
            "stat::average_exec_per_sec:     23255",
            "stat::new_units_added:          810",
            "artifact_prefix='a/'; Test unit written to a/crash-da39a3ee",
        ] {
            output.read("packet", line.to_owned());
        }
        let row = &output.row;
        assert_eq!(row.coverage, 2019);
        assert_eq!(
            (row.executions, row.per_second, row.added),
            (5_000_000, 23_255, 810)
        );
        assert_eq!(output.artifact.as_deref(), Some("a/crash-da39a3ee"));
    }
}
