//! A ladder of named steps: all are run, each with its time, and the whole fails if any did.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use console::{Style, style};

use crate::progress::seconds;

/// How one step ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It could not be run here, and why.
    NotRun(String),
    /// Tests were counted.
    Counted(Counts),
}

/// Tests of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed; a step that does not even build counts as one.
    pub failed: u32,
}

/// The steps so far.
#[derive(Default)]
pub struct Ladder {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    outcome: Result<Outcome>,
    elapsed: Duration,
}

impl Ladder {
    /// Runs one step under a heading.
    pub fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Outcome>) {
        eprintln!("\n{} {name}", style("==>").for_stderr().cyan().bold());
        let started = Instant::now();
        let outcome = run();
        if let Err(error) = &outcome {
            eprintln!("{} {error:#}", style("failed:").for_stderr().red().bold());
        }
        self.rows.push(Row {
            name: name.to_owned(),
            outcome,
            elapsed: started.elapsed(),
        });
    }

    /// Prints the outcome of every step. Fails if one failed.
    pub fn conclude(&self) -> Result<()> {
        println!();
        let width = self
            .rows
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or_default();
        for row in &self.rows {
            let (verdict, colour) = row.verdict();
            let elapsed = seconds(row.elapsed);
            println!(
                "{:width$}  {elapsed:>12}  {}",
                row.name,
                colour.apply_to(verdict)
            );
        }
        let failed = self.rows.iter().filter(|row| row.failed()).count();
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.rows.len());
        }
        Ok(())
    }

    /// The tests of all steps. A step that broke counts as one failed test, so it cannot vanish.
    pub fn total(&self) -> Counts {
        self.rows
            .iter()
            .fold(Counts::default(), |sum, row| match row.outcome {
                Ok(Outcome::Counted(counts)) => sum + counts,
                Ok(_) => sum,
                Err(_) => {
                    sum + Counts {
                        passed: 0,
                        failed: 1,
                    }
                }
            })
    }
}

impl Row {
    fn failed(&self) -> bool {
        match self.outcome {
            Ok(Outcome::Counted(counts)) => counts.failed > 0,
            Ok(_) => false,
            Err(_) => true,
        }
    }

    fn verdict(&self) -> (String, Style) {
        match &self.outcome {
            Ok(Outcome::Passed) => ("ok".to_owned(), Style::new().green()),
            Ok(Outcome::NotRun(why)) => (format!("not run: {why}"), Style::new().yellow()),
            Ok(Outcome::Counted(Counts { passed, failed })) => {
                let colour = if *failed > 0 {
                    Style::new().red()
                } else {
                    Style::new().green()
                };
                (format!("{passed} passed, {failed} failed"), colour)
            }
            Err(_) => ("FAILED".to_owned(), Style::new().red().bold()),
        }
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_step_is_a_failed_test() {
        let mut ladder = Ladder::default();
        ladder.step("counted", || {
            Ok(Outcome::Counted(Counts {
                passed: 3,
                failed: 0,
            }))
        });
        ladder.step("broken", || bail!("does not build"));
        assert_eq!(
            ladder.total(),
            Counts {
                passed: 3,
                failed: 1
            }
        );
        assert!(ladder.conclude().is_err());
    }

    #[test]
    fn what_was_not_run_is_no_failure() {
        let mut ladder = Ladder::default();
        ladder.step("offline", || Ok(Outcome::NotRun("no network".to_owned())));
        assert!(ladder.conclude().is_ok());
        assert_eq!(ladder.total(), Counts::default());
    }
}
