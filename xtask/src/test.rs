//! `cargo xtask test`: host tests first, then the product in network namespaces.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::ladder::{Counts, Ladder, Outcome};
use crate::setup::{self, Part};
use crate::{build, process};

/// The crates tested on the host, cheapest first.
const HOST: [&str; 6] = [
    "manoward-verdict",
    "manoward-pki",
    "manoward",
    "xtask",
    "manoward-bench",
    "manoward-fuzz",
];

/// The crate that tests the product as a whole.
const SCENE: &str = "manoward-tests";

/// Each test has namespaces of its own, but they share the processors.
const SCENE_THREADS: &str = "--test-threads=2";

/// Runs all tests. Needs root for network namespaces and XDP.
#[derive(clap::Args)]
pub struct Args {
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Runs the command. A failed test is reported by the exit code, not as an error.
pub fn run(args: &Args) -> Result<ExitCode> {
    if !process::is_root() {
        bail!(
            "the tests make network namespaces and load XDP programs, which takes root. \
             Run: sudo -E env PATH=$PATH cargo xtask test"
        );
    }
    setup::provide(Part::Test)?;
    build::object()?;
    // Not optimised: it shares dependencies with the tests, and checks for overflows.
    let agent = build::agent(false)?;

    let filter = args.filter.as_deref();
    let mut ladder = Ladder::default();
    for package in HOST {
        ladder.step(package, || count(package, filter, &[], None));
    }
    ladder.step(SCENE, || {
        count(SCENE, filter, &[SCENE_THREADS], Some(&agent))
    });

    let mut ending = ladder.conclude();
    let total = ladder.total();
    if total.passed == 0 {
        ending = ending.and(Err(anyhow!("no test ran")));
    }
    if let Err(error) = &ending {
        eprintln!("{error:#}");
    }
    // The last line is the summary.
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(ending.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

fn count(
    package: &str,
    filter: Option<&str>,
    libtest: &[&str],
    agent: Option<&std::path::PathBuf>,
) -> Result<Outcome> {
    let mut command = build::cargo(&["test", "--package", package, "--no-fail-fast", "--"]);
    command.args(filter).args(libtest).stdout(Stdio::piped());
    // The error of a failed test says what failed; a backtrace adds nothing.
    command.env("RUST_LIB_BACKTRACE", "0");
    if console::colors_enabled() {
        command.arg("--color=always");
    }
    if let Some(agent) = agent {
        command.env(build::AGENT_ENV, agent);
    }
    let mut child = command.spawn().context("starting cargo test")?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("reading cargo test's output")?;
        println!("{line}");
        counts = counts + tally(&line).unwrap_or_default();
    }
    let status = child.wait().context("waiting for cargo test")?;
    if !status.success() && counts.failed == 0 {
        // It did not build, or a test ended its process.
        counts.failed = 1;
    }
    Ok(Outcome::Counted(counts))
}

/// The numbers of `test result: ok. 12 passed; 0 failed; ...`.
fn tally(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result:")?;
    let before = |word: &str| {
        let (text, _) = rest.split_once(word)?;
        text.split_whitespace().next_back()?.parse().ok()
    };
    Some(Counts {
        passed: before(" passed;")?,
        failed: before(" failed;")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_with_and_without_colour() {
        let plain = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            tally(plain),
            Some(Counts {
                passed: 12,
                failed: 0
            })
        );
        let coloured = "test result: \u{1b}[31mFAILED\u{1b}[m. 3 passed; 2 failed; 0 ignored;";
        assert_eq!(
            tally(coloured),
            Some(Counts {
                passed: 3,
                failed: 2
            })
        );
        assert_eq!(tally("test policy::parses ... ok"), None);
    }
}
