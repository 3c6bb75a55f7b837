//! manoward's own programs, over tables that are filled as the agent does it.

use anyhow::Result;
use aya::programs::ProgramFd;

use crate::packets::case::{Kind, Sources};
use crate::packets::driver;
use crate::packets::policy::Known;
use crate::packets::subject::{Subject, Tally};
use crate::packets::tables::Tables;

/// How it is called in the report.
pub const NAME: &str = "manoward";

/// The programs of this build.
pub struct Ours {
    tables: Tables,
    inward: ProgramFd,
    outward: ProgramFd,
}

impl Ours {
    /// Loads them with a policy of so many addresses or prefixes of each IP version.
    pub fn load(known: Known, count: u32) -> Result<Self> {
        let tables = Tables::fill(known, count)?;
        Ok(Self {
            inward: tables.load(Kind::Allowed)?,
            outward: tables.load(Kind::Reply)?,
            tables,
        })
    }
}

impl Subject for Ours {
    fn name(&self) -> &'static str {
        NAME
    }

    fn count(&self) -> u32 {
        self.tables.count
    }

    fn driver(&self, kind: Kind) -> driver::Kind {
        driver::Kind::of_ours(kind)
    }

    fn cases(&self) -> &'static [(Kind, Sources)] {
        self.tables.known.cases()
    }

    fn program(&self, kind: Kind) -> &ProgramFd {
        if kind.is_out() {
            &self.outward
        } else {
            &self.inward
        }
    }

    fn prepare(&self, kind: Kind) -> Result<()> {
        self.tables.prepare(kind)
    }

    fn tally(&self, kind: Kind) -> Result<Tally> {
        self.tables.tally(kind)
    }
}
