//! What all measured programs have in common.

use anyhow::Result;
use aya::programs::ProgramFd;

use crate::case::Kind;
use crate::driver;

/// A program with its tables filled.
pub trait Subject {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Number of addresses per IP version that it allows.
    fn count(&self) -> u32;

    /// The driver that can call it.
    fn driver(&self) -> driver::Kind;

    /// The kinds of packets that it is measured with.
    fn kinds(&self) -> &'static [Kind];

    /// The program itself.
    fn program(&self) -> &ProgramFd;

    /// What it has counted so far.
    fn tally(&self) -> Result<Tally>;
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
    /// What came since.
    pub const fn since(self, before: Self) -> Self {
        Self {
            passed: self.passed - before.passed,
            dropped: self.dropped - before.dropped,
        }
    }
}
