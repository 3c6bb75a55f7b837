//! Steps, each printed with a check mark and what was observed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use console::style;

/// Width of a step's name; longer ones push what was observed to the right.
const NAME_WIDTH: usize = 46;

/// The demo so far.
pub struct Stage {
    acts: u32,
    steps: u32,
    failed: u32,
    started: Instant,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            acts: 0,
            steps: 0,
            failed: 0,
            started: Instant::now(),
        }
    }
}

impl Stage {
    /// Begins a new act.
    pub fn act(&mut self, title: &str) {
        self.acts += 1;
        println!("\n{}", style(format!("{}. {title}", self.acts)).bold());
    }

    /// Runs one step and prints what was observed. An error is a failed step, and the demo goes on.
    pub fn step(&mut self, name: &str, play: impl FnOnce() -> Result<String>) {
        self.steps += 1;
        match play() {
            Ok(observed) => println!(
                "  {} {name:NAME_WIDTH$} {}",
                style("✓").green(),
                style(observed).dim()
            ),
            Err(error) => {
                self.failed += 1;
                println!(
                    "  {} {name:NAME_WIDTH$} {}",
                    style("✗").red().bold(),
                    style(format!("{error:#}")).red()
                );
            }
        }
    }

    /// Ends the demo.
    pub fn conclude(&self) -> ExitCode {
        let elapsed = tenths(self.started.elapsed());
        if self.failed == 0 {
            let all = format!("All {} steps went as they should.", self.steps);
            println!("\n{} ({elapsed})", style(all).green().bold());
            ExitCode::SUCCESS
        } else {
            let some = format!("{} of {} steps failed.", self.failed, self.steps);
            println!("\n{} ({elapsed})", style(some).red().bold());
            ExitCode::FAILURE
        }
    }
}

fn tenths(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
