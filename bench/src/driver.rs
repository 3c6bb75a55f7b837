//! The programs in the kernel that call the program under test.

use std::path::Path;

use anyhow::{Context, Result};
use aya::maps::{Array, ProgramArray};
use aya::programs::{ProgramFd, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use serde::Serialize;

use crate::case::{Code, Packets};
use crate::walk::Walk;

/// The kernel tail-calls only between programs that agree on frames of several buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// For programs that take them.
    Frags,
    /// For those that do not.
    Single,
}

impl Kind {
    /// What it is for, in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frags => "frames of several buffers",
            Self::Single => "frames of one buffer",
        }
    }

    const fn drive(self) -> &'static str {
        match self {
            Self::Frags => "drive_frags",
            Self::Single => "drive_single",
        }
    }

    const fn bare(self) -> &'static str {
        match self {
            Self::Frags => "bare_frags",
            Self::Single => "bare_single",
        }
    }
}

/// A loaded driver.
pub struct Driver {
    /// Which one.
    pub kind: Kind,
    /// The floor: a program that only returns `XDP_DROP`.
    pub bare: ProgramFd,
    ebpf: Ebpf,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The verdict on the last packet.
    pub code: Code,
    /// Mean time per packet, as the kernel tells it.
    pub ns: u32,
}

impl Driver {
    /// Loads a driver and its floor.
    pub fn load(object: &Path, kind: Kind) -> Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .load_file(object)
            .with_context(|| format!("loading {}", object.display()))?;
        for name in [kind.drive(), kind.bare()] {
            let loaded = program(&mut ebpf, name)?.load();
            loaded.with_context(|| format!("loading the program {name}"))?;
        }
        let bare = program(&mut ebpf, kind.bare())?.fd()?.try_clone()?;
        Ok(Self { kind, bare, ebpf })
    }

    /// Runs a program over `repeat` packets.
    pub fn run(&mut self, target: &ProgramFd, packets: &Packets, repeat: u32) -> Result<Run> {
        let walk = self
            .ebpf
            .map_mut("WALK")
            .context("the driver has no WALK")?;
        Array::<_, Walk>::try_from(walk)?.set(0, packets.walk, 0)?;
        let called = self
            .ebpf
            .map_mut("TARGET")
            .context("the driver has no TARGET")?;
        ProgramArray::try_from(called)?
            .set(0, target, 0)
            .context("the driver cannot call the program under test")?;
        let options = TestRunOptions {
            data_in: Some(&packets.frame),
            repeat,
            ..TestRunOptions::default()
        };
        let result = program(&mut self.ebpf, self.kind.drive())?
            .test_run(options)
            .context("running the driver")?;
        Ok(Run {
            code: Code::from_return(result.return_value)?,
            ns: u32::try_from(result.duration.as_nanos()).context("a run took too long")?,
        })
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = ebpf.program_mut(name);
    let program = program.with_context(|| format!("the driver's object has no {name}"))?;
    program
        .try_into()
        .with_context(|| format!("{name} is not an XDP program"))
}
