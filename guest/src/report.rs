//! What is told to the outside: a line of JSON for each capability.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

/// The serial line that reports are written to; the other one is the console.
const LINE: &str = "/dev/ttyS1";

/// How a capability was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It was seen working.
    Yes,
    /// It was seen working, at a cost that the product tells of.
    Limited,
    /// The kernel cannot, and the product says so.
    No,
    /// It should work, and does not.
    Failed,
}

/// A finding, and what was seen.
#[derive(Debug)]
pub struct Found {
    /// How.
    pub finding: Finding,
    /// What a reader wants to know beside that.
    pub detail: String,
}

impl Found {
    /// Seen working.
    pub fn yes(detail: impl Into<String>) -> Self {
        Self {
            finding: Finding::Yes,
            detail: detail.into(),
        }
    }

    /// Seen working at a cost.
    pub fn limited(detail: impl Into<String>) -> Self {
        Self {
            finding: Finding::Limited,
            detail: detail.into(),
        }
    }

    /// Not possible in this kernel.
    pub fn no(detail: impl Into<String>) -> Self {
        Self {
            finding: Finding::No,
            detail: detail.into(),
        }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    capability: &'a str,
    finding: Finding,
    detail: &'a str,
    seconds: f64,
}

/// The serial line.
pub struct Report(File);

impl Report {
    /// Opens it.
    pub fn open() -> Result<Self> {
        let file = OpenOptions::new().write(true).open(LINE);
        Ok(Self(file.with_context(|| format!("opening {LINE}"))?))
    }

    /// Looks for a capability, and tells how it was found.
    pub fn row(&mut self, capability: &str, look: impl FnOnce() -> Result<Found>) -> Result<()> {
        let started = Instant::now();
        eprintln!("==> {capability}");
        let found = look().unwrap_or_else(|error| Found {
            finding: Finding::Failed,
            detail: format!("{error:#}"),
        });
        eprintln!("    {:?}: {}", found.finding, found.detail);
        self.tell(&Row {
            capability,
            finding: found.finding,
            detail: &found.detail,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Tells that everything was looked at.
    pub fn conclude(&mut self) -> Result<()> {
        self.tell(&serde_json::json!({ "done": true }))
    }

    fn tell(&mut self, row: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(row).context("writing a row")?;
        writeln!(self.0, "{line}").with_context(|| format!("writing to {LINE}"))
    }
}
