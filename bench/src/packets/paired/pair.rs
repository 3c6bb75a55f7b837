//! The same program of two builds, over the same tables.

use anyhow::{Context, Result};
use aya::programs::ProgramFd;

use crate::packets::case::Kind;
use crate::packets::policy::Known;
use crate::packets::tables::Tables;

/// How often each program is loaded. Each copy lies at another address, which affects its speed,
/// too; several copies keep that apart from the difference between the builds.
pub const PLACES: usize = 2;

/// A build of the kernel object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// The earlier one.
    Base,
    /// The one of this source tree.
    Now,
}

impl Build {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Base, Self::Now];

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "of the earlier revision",
            Self::Now => "of this source tree",
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Base => Self::Now,
            Self::Now => Self::Base,
        }
    }
}

/// The kernel objects of both builds.
#[derive(Debug)]
pub struct Objects {
    /// The earlier one.
    pub base: Vec<u8>,
    /// The one of this source tree.
    pub now: Vec<u8>,
}

/// Both programs, several times each.
pub struct Pair {
    /// The tables that both look up.
    pub tables: Tables,
    base: Vec<ProgramFd>,
    now: Vec<ProgramFd>,
}

impl Pair {
    /// Fills the tables, and loads the programs that judge packets of `kind`.
    pub fn load(known: Known, count: u32, kind: Kind, objects: &Objects) -> Result<Self> {
        let tables = Tables::fill(known, count)?;
        let mut pair = Self {
            tables,
            base: Vec::new(),
            now: Vec::new(),
        };
        for _ in 0..PLACES {
            let base = pair.tables.load_from(&objects.base, kind);
            pair.base.push(base.context("loading the earlier build")?);
            let now = pair.tables.load_from(&objects.now, kind);
            pair.now
                .push(now.context("loading the build of this source tree")?);
        }
        Ok(pair)
    }

    /// The program of a build in one of its [`PLACES`].
    pub fn program(&self, build: Build, place: usize) -> &ProgramFd {
        match build {
            Build::Base => &self.base[place],
            Build::Now => &self.now[place],
        }
    }
}
