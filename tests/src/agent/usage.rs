//! Memory, file descriptors and CPU time of the agent's process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::agent::Agent;

impl Agent<'_> {
    /// Memory that the agent's process has in use, kB.
    pub fn memory_kb(&self) -> Result<u64> {
        self.process_status("VmRSS")
    }

    /// Memory that the agent's process may write to, in use or not, kB.
    pub fn data_kb(&self) -> Result<u64> {
        self.process_status("VmData")
    }

    /// A number of `/proc/PID/status`.
    fn process_status(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid()?);
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| *name == field);
        let number = found.and_then(|(_, value)| value.split_whitespace().next());
        let number = number.with_context(|| format!("no {field}"))?;
        number.parse().with_context(|| field.to_owned())
    }

    /// File descriptors that the agent's process has open.
    pub fn descriptors(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.pid()?);
        let open = fs::read_dir(&path).with_context(|| format!("reading {path}"))?;
        Ok(open.count())
    }

    /// Processor time that the agent's process has used.
    pub fn processor_time(&self) -> Result<Duration> {
        /// Ticks in a second, which the kernel's interface fixes.
        const USER_HZ: u64 = 100;
        let path = format!("/proc/{}/stat", self.pid()?);
        let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        // The name, in parentheses, may have spaces; utime and stime are the 14th and 15th fields.
        let (_, fields) = stat.rsplit_once(") ").context("no fields")?;
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().context("ticks"))
            .sum::<Result<u64>>()?;
        Ok(Duration::from_millis(ticks * 1000 / USER_HZ))
    }
}
