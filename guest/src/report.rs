//! Reports findings to `cargo xtask kernels`.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::time::Instant;

use anyhow::{Context, Result};
use manoward_guest_report::budget::Cost;
use manoward_guest_report::{Finding, Line, Row};

/// The serial line that reports are written to; the other one is the console.
const LINE: &str = "/dev/ttyS1";

/// A finding, and what was seen.
#[derive(Debug)]
pub struct Found {
    /// Whether the capability works.
    pub finding: Finding,
    /// Details for the reader.
    pub detail: String,
    /// What a program costs the verifier, where a program was loaded.
    pub cost: Option<Cost>,
}

impl Found {
    /// It works.
    pub fn yes(detail: impl Into<String>) -> Self {
        Self::new(Finding::Yes, detail)
    }

    /// It works with a limitation.
    pub fn limited(detail: impl Into<String>) -> Self {
        Self::new(Finding::Limited, detail)
    }

    /// This kernel cannot do it.
    pub fn no(detail: impl Into<String>) -> Self {
        Self::new(Finding::No, detail)
    }

    /// A program that the verifier accepts: it works if its cost is within the budget.
    pub fn accepted(cost: Cost) -> Self {
        let found = match cost.excess() {
            None => Self::yes(cost.summary()),
            Some(excess) => Self::failed(excess),
        };
        Self {
            cost: Some(cost),
            ..found
        }
    }

    /// A program that the verifier refuses, and what it cost until then, if that is known.
    pub fn refused(error: &impl Display, cost: Option<Cost>) -> Self {
        let summary = cost.as_ref().map(|cost| format!("{}; ", cost.summary()));
        let found = Self::failed(format!("{}{error}", summary.unwrap_or_default()));
        Self { cost, ..found }
    }

    /// It should work, and does not.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self::new(Finding::Failed, detail)
    }

    fn new(finding: Finding, detail: impl Into<String>) -> Self {
        Self {
            finding,
            detail: detail.into(),
            cost: None,
        }
    }
}

/// Where findings are written to, and of which capabilities.
pub struct Report {
    line: Box<dyn Write>,
    /// Only capabilities with this in their names are tested.
    only: String,
}

impl Report {
    /// Opens the serial line, for capabilities with `only` in their names.
    pub fn open(only: String) -> Result<Self> {
        let file = OpenOptions::new().write(true).open(LINE);
        let line = Box::new(file.with_context(|| format!("opening {LINE}"))?);
        Ok(Self { line, only })
    }

    /// To the standard output, for capabilities with `only` in their names.
    pub fn here(only: String) -> Self {
        let line = Box::new(io::stdout());
        Self { line, only }
    }

    /// Tests a capability, if it is wanted, and reports the finding.
    pub fn row(&mut self, capability: &str, look: impl FnOnce() -> Result<Found>) -> Result<()> {
        if !capability.contains(&self.only) {
            return Ok(());
        }
        let started = Instant::now();
        eprintln!("==> {capability}");
        let found = look().unwrap_or_else(|error| Found::failed(format!("{error:#}")));
        eprintln!("    {:?}: {}", found.finding, found.detail);
        self.tell(&Line::Row(Row {
            capability: capability.to_owned(),
            finding: found.finding,
            detail: found.detail,
            seconds: started.elapsed().as_secs_f64(),
            cost: found.cost,
        }))
    }

    /// Reports that all capabilities were tested.
    pub fn conclude(&mut self) -> Result<()> {
        self.tell(&Line::Done)
    }

    fn tell(&mut self, line: &Line) -> Result<()> {
        let line = line.write().context("writing a row")?;
        writeln!(self.line, "{line}").context("reporting a row")
    }
}
