//! The programs in the kernel that call the program under test.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use aya::maps::{Array, ProgramArray};
use aya::programs::{ProgramFd, SchedClassifier, TestRun as _, TestRunOptions, TestRunResult, Xdp};
use aya::{Ebpf, EbpfLoader};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::packets::case::{self, Code, Packets};
use crate::packets::walk::Walk;

/// Kinds of drivers: the kernel tail-calls only between programs of one type that agree on support
/// for frames of several buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// For XDP programs that take frames of several buffers.
    Frags,
    /// For XDP programs that do not.
    Single,
    /// For classifiers.
    Out,
}

/// A baseline program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Floor {
    /// It returns at once: `XDP_DROP`, or `TC_ACT_UNSPEC`.
    Bare,
    /// It reads Ethernet, IP and TCP headers without asking any table.
    ParseOnly,
}

impl Kind {
    /// What it is for, in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frags => "frames of several buffers",
            Self::Single => "frames of one buffer",
            Self::Out => "packets out",
        }
    }

    /// For manoward's program that judges such packets.
    pub const fn of_ours(kind: case::Kind) -> Self {
        if kind.is_out() {
            Self::Out
        } else {
            Self::Frags
        }
    }

    const fn drive(self) -> &'static str {
        match self {
            Self::Frags => "drive_frags",
            Self::Single => "drive_single",
            Self::Out => "drive_out",
        }
    }

    /// The floors that its programs are compared with.
    pub const fn floors(self) -> &'static [Floor] {
        match self {
            Self::Frags => &[Floor::Bare, Floor::ParseOnly],
            Self::Single | Self::Out => &[Floor::Bare],
        }
    }

    const fn floor(self, floor: Floor) -> &'static str {
        match (self, floor) {
            (Self::Frags, Floor::Bare) => "bare_frags",
            (Self::Single, Floor::Bare) => "bare_single",
            (Self::Out, Floor::Bare) => "bare_out",
            (_, Floor::ParseOnly) => "parse_frags",
        }
    }
}

impl Floor {
    /// What it does, in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::ParseOnly => "parse only",
        }
    }
}

/// A loaded driver.
pub struct Driver {
    /// Which one.
    pub kind: Kind,
    /// The programs of [`Kind::floors`].
    pub floors: Vec<(Floor, ProgramFd)>,
    ebpf: Ebpf,
}

/// The result of a run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What the program returned about the last packet.
    returned: u32,
    /// Mean time per packet, as the kernel reports it.
    pub ns: u32,
    /// CPU time of this thread for all packets, the system call included.
    pub processor: Duration,
}

impl Driver {
    /// Packets of one run: enough for every address of the largest policy.
    pub const PACKETS: u32 = 1_000_000;

    /// Loads a driver and its floors.
    pub fn load(object: &Path, kind: Kind) -> Result<Self> {
        let mut ebpf = open(object)?;
        load(&mut ebpf, kind, kind.drive())?;
        let floors = kind.floors().iter().map(|&floor| {
            let program = load(&mut ebpf, kind, kind.floor(floor))?;
            Ok((floor, program))
        });
        let floors = floors.collect::<Result<_>>()?;
        Ok(Self { kind, floors, ebpf })
    }

    /// Runs a program over `repeat` packets.
    pub fn run(&mut self, target: &ProgramFd, packets: &Packets, repeat: u32) -> Result<Run> {
        let walk = self.ebpf.map_mut("WALK");
        let walk = walk.context("the driver has no WALK")?;
        Array::<_, Walk>::try_from(walk)?.set(0, packets.walk, 0)?;
        let called = self.ebpf.map_mut("TARGET");
        let called = called.context("the driver has no TARGET")?;
        ProgramArray::try_from(called)?
            .set(0, target, 0)
            .context("the driver cannot call the program under test")?;
        let options = TestRunOptions {
            data_in: Some(&packets.frame),
            repeat,
            ..TestRunOptions::default()
        };
        let before = processor_time()?;
        let result = self.drive(options).context("running the driver")?;
        Ok(Run {
            processor: processor_time()?.saturating_sub(before),
            returned: result.return_value,
            ns: u32::try_from(result.duration.as_nanos()).context("a run took too long")?,
        })
    }

    fn drive(&mut self, options: TestRunOptions<'_>) -> Result<TestRunResult> {
        let name = self.kind.drive();
        let program = self.ebpf.program_mut(name);
        let program = program.with_context(|| format!("the driver's object has no {name}"))?;
        Ok(match self.kind {
            Kind::Frags | Kind::Single => {
                let program: &mut Xdp = program.try_into()?;
                program.test_run(options)?
            }
            Kind::Out => {
                let program: &mut SchedClassifier = program.try_into()?;
                program.test_run(options)?
            }
        })
    }

    /// The verdict that a run ended with.
    pub fn verdict(&self, run: Run) -> Result<Code> {
        match self.kind {
            Kind::Frags | Kind::Single => Code::of_xdp(run.returned),
            Kind::Out => Code::of_classifier(run.returned),
        }
    }
}

/// CPU time of this thread so far, user and kernel.
fn processor_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    Ok(time.context("reading the thread's clock")?.into())
}

/// Reads the object with the programs that drive a measurement.
pub fn open(object: &Path) -> Result<Ebpf> {
    EbpfLoader::new()
        .load_file(object)
        .with_context(|| format!("loading {}", object.display()))
}

fn load(ebpf: &mut Ebpf, kind: Kind, name: &str) -> Result<ProgramFd> {
    let program = ebpf.program_mut(name);
    let program = program.with_context(|| format!("the driver's object has no {name}"))?;
    let fd = match kind {
        Kind::Frags | Kind::Single => {
            let program: &mut Xdp = program.try_into()?;
            program.load()?;
            program.fd()?.try_clone()?
        }
        Kind::Out => {
            let program: &mut SchedClassifier = program.try_into()?;
            program.load()?;
            program.fd()?.try_clone()?
        }
    };
    Ok(fd)
}
