//! manoward's own programs, over tables that are filled as the agent does it.

use anyhow::Result;
use aya::programs::ProgramFd;

use crate::packets::case::{Kind, Sources};
use crate::packets::driver;
use crate::packets::policy::Known;
use crate::packets::subject::{Subject, Tally};
use crate::packets::tables::Tables;

/// Its name in the report.
pub const NAME: &str = "manoward";

/// The programs of this build.
pub struct Ours {
    tables: Tables,
    ingress: ProgramFd,
    egress: ProgramFd,
}

impl Ours {
    /// Loads them with a policy of so many addresses or prefixes of each IP version.
    pub fn load(known: Known, count: u32) -> Result<Self> {
        let tables = Tables::fill(known, count)?;
        Ok(Self {
            ingress: tables.load(Kind::Allowed)?,
            egress: tables.load(Kind::Reply)?,
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
            &self.egress
        } else {
            &self.ingress
        }
    }

    fn prepare(&self, kind: Kind) -> Result<()> {
        self.tables.prepare(kind)
    }

    fn tally(&self, kind: Kind) -> Result<Tally> {
        self.tables.tally(kind)
    }
}
