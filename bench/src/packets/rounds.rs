//! Checks every case, then measures all of them in turn, round after round, so that a drift of the
//! machine's speed affects every case.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::packets::case::{Kind, Packets, Sources, label};
use crate::packets::driver::{Driver, Floor, Kind as DriverKind};
use crate::packets::family::Family;
use crate::packets::subject::{Subject, Tally};
use crate::progress::Progress;
use crate::statistics::Summary;

/// Sources of the packets that the floors get.
const BARE_COUNT: u32 = 1000;

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The floors of each driver.
    pub floors: Vec<FloorCost>,
    /// Every case.
    pub cases: Vec<Case>,
}

/// What a baseline program costs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FloorCost {
    /// The driver that called it.
    pub driver: DriverKind,
    /// What it does.
    pub floor: Floor,
    /// Time per packet.
    #[serde(flatten)]
    pub ns: Summary,
}

/// A program and its packets, with what they cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The program.
    pub program: String,
    /// Number of addresses per IP version that it allows.
    pub addresses: u32,
    /// The IP version.
    pub family: Family,
    /// The kind of packets.
    pub packets: Kind,
    /// Where they come from.
    pub sources: Sources,
    /// Time per packet.
    #[serde(flatten)]
    pub ns: Summary,
    /// Time above that of the bare program: the difference of the low quartiles.
    pub above_bare_ns: i32,
}

impl Case {
    /// Whether another result's case is of the same program and packets.
    pub fn is_like(&self, other: &Self) -> bool {
        let key = |case: &Self| (case.addresses, case.family, case.packets, case.sources);
        self.program == other.program && key(self) == key(other)
    }

    /// The name of its packets in reports.
    pub fn name(&self) -> String {
        label(self.packets, self.sources)
    }
}

struct Pending<'a> {
    subject: &'a dyn Subject,
    packets: Packets,
    samples: Vec<u32>,
}

/// Measures everything.
pub fn measure(
    drivers: &mut [Driver],
    subjects: &[Box<dyn Subject>],
    rounds: u32,
) -> Result<Measured> {
    let mut pending = pending(subjects);
    eprintln!("Checking the verdicts of {} cases ...", pending.len());
    for case in &pending {
        let driver = driver_of(drivers, case.subject.driver(case.packets.kind))?;
        check(driver, case).with_context(|| describe(case))?;
    }
    let mut floors = floors(drivers);
    let progress = Progress::new(rounds);
    for round in 1..=rounds {
        progress.round(round);
        for floor in &mut floors {
            floor.samples.push(floor.sample(drivers)?);
        }
        for case in &mut pending {
            let driver = driver_of(drivers, case.subject.driver(case.packets.kind))?;
            case.samples.push(sample(driver, case)?);
        }
    }
    conclude(floors, pending)
}

fn pending(subjects: &[Box<dyn Subject>]) -> Vec<Pending<'_>> {
    let mut pending = Vec::new();
    for subject in subjects {
        for family in Family::ALL {
            for &(kind, sources) in subject.cases() {
                pending.push(Pending {
                    subject: subject.as_ref(),
                    packets: Packets::new(family, kind, sources, subject.count()),
                    samples: Vec::new(),
                });
            }
        }
    }
    pending
}

/// Sends one packet from each source. Checks the program's counters for all packets, and its return
/// code for the last.
fn check(driver: &mut Driver, case: &Pending<'_>) -> Result<()> {
    let Packets { kind, .. } = case.packets;
    let count = case.packets.different;
    case.subject.prepare(kind)?;
    let before = case.subject.tally(kind)?;
    let run = driver.run(case.subject.program(kind), &case.packets, count)?;
    let tally = case.subject.tally(kind)?.since(before);
    let expected = kind.expected();
    let code = driver.verdict(run)?;
    ensure!(
        code == expected,
        "the verdict is {code:?} and should be {expected:?}"
    );
    let wanted = Tally::of(expected, count);
    ensure!(
        tally == wanted,
        "the program counted {tally:?} and should have counted {wanted:?}"
    );
    Ok(())
}

fn sample(driver: &mut Driver, case: &Pending<'_>) -> Result<u32> {
    let Packets { kind, .. } = case.packets;
    case.subject.prepare(kind)?;
    let run = driver
        .run(
            case.subject.program(kind),
            &case.packets,
            case.packets.per_run(),
        )
        .with_context(|| describe(case))?;
    let code = driver.verdict(run)?;
    ensure!(
        code == kind.expected(),
        "{}: the verdict changed to {code:?}",
        describe(case),
    );
    Ok(run.ns)
}

struct PendingFloor {
    driver: DriverKind,
    floor: Floor,
    samples: Vec<u32>,
}

impl PendingFloor {
    fn sample(&self, drivers: &mut [Driver]) -> Result<u32> {
        let driver = driver_of(drivers, self.driver)?;
        let mut floors = driver.floors.iter();
        let (_, program) = floors
            .find(|(floor, _)| *floor == self.floor)
            .context("a floor is not loaded")?;
        let program = program.try_clone()?;
        let packets = Packets::new(Family::V4, Kind::Allowed, Sources::Changing, BARE_COUNT);
        Ok(driver.run(&program, &packets, Driver::PACKETS)?.ns)
    }
}

fn floors(drivers: &[Driver]) -> Vec<PendingFloor> {
    let all = drivers.iter().flat_map(|driver| {
        driver.floors.iter().map(|&(floor, _)| PendingFloor {
            driver: driver.kind,
            floor,
            samples: Vec::new(),
        })
    });
    all.collect()
}

fn conclude(floors: Vec<PendingFloor>, cases: Vec<Pending<'_>>) -> Result<Measured> {
    let mut done = Vec::new();
    for floor in floors {
        done.push(FloorCost {
            driver: floor.driver,
            floor: floor.floor,
            ns: Summary::new(floor.samples)?,
        });
    }
    let floors = done;
    let mut done = Vec::new();
    for case in cases {
        let ns = Summary::new(case.samples)?;
        let kind = case.subject.driver(case.packets.kind);
        let bare = floors
            .iter()
            .find(|floor| floor.driver == kind && floor.floor == Floor::Bare);
        let bare = bare.context("a driver has no floor")?.ns;
        done.push(Case {
            program: case.subject.name().to_owned(),
            addresses: case.subject.count(),
            family: case.packets.family,
            packets: case.packets.kind,
            sources: case.packets.sources,
            ns,
            above_bare_ns: ns.low_quartile_ns.cast_signed() - bare.low_quartile_ns.cast_signed(),
        });
    }
    Ok(Measured {
        floors,
        cases: done,
    })
}

/// The driver of a kind.
pub fn driver_of(drivers: &mut [Driver], kind: DriverKind) -> Result<&mut Driver> {
    let mut drivers = drivers.iter_mut();
    drivers
        .find(|driver| driver.kind == kind)
        .context("a driver is not loaded")
}

fn describe(case: &Pending<'_>) -> String {
    format!(
        "{} with {} addresses: {} {}",
        case.subject.name(),
        case.subject.count(),
        case.packets.family.name(),
        case.packets.kind.name()
    )
}
