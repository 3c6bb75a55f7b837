//! Long quiet steps: a spinner with the elapsed time on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use console::style;
use indicatif::{ProgressBar, ProgressStyle};

use crate::process;

/// How much of a failed command's output is shown.
const TAIL_LINES: usize = 30;

/// Runs a command without showing its output, unless it fails.
pub fn run(label: &str, command: &mut Command) -> Result<()> {
    let started = Instant::now();
    let spinner = spin(label);
    let output = command
        .output()
        .with_context(|| format!("{label}: cannot start `{}`", process::show(command)));
    spinner.finish_and_clear();
    let output = output?;
    let elapsed = seconds(started.elapsed());
    if output.status.success() {
        eprintln!("{} {label} ({elapsed})", style("done").for_stderr().green());
        return Ok(());
    }
    eprintln!("{} {label} ({elapsed})", style("failed").for_stderr().red());
    let shown = [output.stdout, output.stderr].concat();
    for line in tail(&String::from_utf8_lossy(&shown)) {
        eprintln!("    {line}");
    }
    bail!(
        "{label}: `{}` ended with {}",
        process::show(command),
        output.status
    )
}

/// A duration as text: `0.4 s`, `12.0 s`, `3 min 20 s`.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        whole @ 60.. => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

fn spin(label: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        eprintln!("{label} ...");
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
        .expect("the template is constant and valid");
    let bar = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn tail(text: &str) -> impl Iterator<Item = &str> {
    let count = text.lines().count();
    text.lines().skip(count.saturating_sub(TAIL_LINES))
}
