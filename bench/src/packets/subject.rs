//! What all measured programs have in common.

use anyhow::Result;
use aya::programs::ProgramFd;

use crate::packets::case::{Code, Kind, Sources};
use crate::packets::driver;

/// A program with its tables filled.
pub trait Subject {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Number of addresses per IP version that it allows.
    fn count(&self) -> u32;

    /// The kinds of packets that it is measured with, and where they come from.
    fn cases(&self) -> &'static [(Kind, Sources)];

    /// The driver that can call the program for such packets.
    fn driver(&self, kind: Kind) -> driver::Kind;

    /// The program that judges such packets.
    fn program(&self, kind: Kind) -> &ProgramFd;

    /// What has to be done before a run.
    fn prepare(&self, _kind: Kind) -> Result<()> {
        Ok(())
    }

    /// What has been counted so far, of packets in the direction of this kind.
    fn tally(&self, kind: Kind) -> Result<Tally>;
}

/// Packets, as a program counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub passed: u64,
    /// Dropped.
    pub dropped: u64,
}

impl Tally {
    /// `packets` packets with one verdict.
    pub const fn of(verdict: Code, packets: u32) -> Self {
        match verdict {
            Code::Pass => Self {
                passed: packets as u64,
                dropped: 0,
            },
            Code::Drop => Self {
                passed: 0,
                dropped: packets as u64,
            },
        }
    }

    /// Packets counted since `before`.
    pub const fn since(self, before: Self) -> Self {
        Self {
            passed: self.passed - before.passed,
            dropped: self.dropped - before.dropped,
        }
    }
}
