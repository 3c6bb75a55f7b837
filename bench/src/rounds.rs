//! Checking every case, then measuring all of them in turn, round after round, so that a machine
//! that drifts is as fast or as slow for each.

use std::io::{IsTerminal, Write, stderr};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::case::{Code, Kind, Packets};
use crate::driver::{Driver, Kind as DriverKind};
use crate::family::Family;
use crate::statistics::Summary;
use crate::subject::{Subject, Tally};

/// Packets of one run: enough to come to every address of the largest policy.
pub const PACKETS: u32 = 1_000_000;

/// Sources of the packets that the floor drops.
const BARE_COUNT: u32 = 1000;

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The floor of each driver.
    pub bare: Vec<Floor>,
    /// Every case.
    pub cases: Vec<Case>,
}

/// What the cheapest program costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Floor {
    /// Who called it.
    pub driver: DriverKind,
    /// Time per packet.
    #[serde(flatten)]
    pub ns: Summary,
}

/// A program and its packets, with what they cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Case {
    /// The program.
    pub program: &'static str,
    /// Number of addresses per IP version that it allows.
    pub addresses: u32,
    /// The IP version.
    pub family: Family,
    /// The kind of packets.
    pub packets: Kind,
    /// Time per packet.
    #[serde(flatten)]
    pub ns: Summary,
    /// What of it is above the floor: the difference of the low quartiles.
    pub above_bare_ns: i32,
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
        check(driver_of(drivers, case.subject.driver())?, case).with_context(|| describe(case))?;
    }
    let mut floors = vec![Vec::new(); drivers.len()];
    for round in 1..=rounds {
        progress(round, rounds);
        for (driver, samples) in drivers.iter_mut().zip(&mut floors) {
            samples.push(bare(driver)?);
        }
        for case in &mut pending {
            let driver = driver_of(drivers, case.subject.driver())?;
            case.samples.push(sample(driver, case)?);
        }
    }
    conclude(drivers, floors, pending)
}

fn pending(subjects: &[Box<dyn Subject>]) -> Vec<Pending<'_>> {
    let mut pending = Vec::new();
    for subject in subjects {
        for family in Family::ALL {
            for &kind in subject.kinds() {
                pending.push(Pending {
                    subject: subject.as_ref(),
                    packets: Packets::new(family, kind, subject.count()),
                    samples: Vec::new(),
                });
            }
        }
    }
    pending
}

/// Comes to each address once. The program's own counters must agree on every packet, the code
/// that it returns on the last.
fn check(driver: &mut Driver, case: &Pending<'_>) -> Result<()> {
    let count = case.subject.count();
    let before = case.subject.tally()?;
    let run = driver.run(case.subject.program(), &case.packets, count)?;
    let tally = case.subject.tally()?.since(before);
    let expected = case.packets.kind.expected();
    ensure!(
        run.code == expected,
        "the verdict is {:?} and should be {expected:?}",
        run.code
    );
    let wanted = match expected {
        Code::Pass => Tally {
            passed: count.into(),
            dropped: 0,
        },
        Code::Drop => Tally {
            passed: 0,
            dropped: count.into(),
        },
    };
    ensure!(
        tally == wanted,
        "the program counted {tally:?} and should have counted {wanted:?}"
    );
    Ok(())
}

fn bare(driver: &mut Driver) -> Result<u32> {
    let floor = driver.bare.try_clone()?;
    let packets = Packets::new(Family::V4, Kind::Allowed, BARE_COUNT);
    Ok(driver.run(&floor, &packets, PACKETS)?.ns)
}

fn sample(driver: &mut Driver, case: &Pending<'_>) -> Result<u32> {
    let run = driver
        .run(case.subject.program(), &case.packets, PACKETS)
        .with_context(|| describe(case))?;
    ensure!(
        run.code == case.packets.kind.expected(),
        "{}: the verdict changed to {:?}",
        describe(case),
        run.code
    );
    Ok(run.ns)
}

fn conclude(
    drivers: &[Driver],
    floors: Vec<Vec<u32>>,
    cases: Vec<Pending<'_>>,
) -> Result<Measured> {
    let mut bare = Vec::new();
    for (driver, samples) in drivers.iter().zip(floors) {
        bare.push(Floor {
            driver: driver.kind,
            ns: Summary::new(samples)?,
        });
    }
    let mut done = Vec::new();
    for case in cases {
        let ns = Summary::new(case.samples)?;
        let kind = case.subject.driver();
        let floor = bare.iter().find(|floor| floor.driver == kind);
        let floor = floor.context("a driver has no floor")?.ns;
        done.push(Case {
            program: case.subject.name(),
            addresses: case.subject.count(),
            family: case.packets.family,
            packets: case.packets.kind,
            ns,
            above_bare_ns: ns.low_quartile_ns.cast_signed() - floor.low_quartile_ns.cast_signed(),
        });
    }
    Ok(Measured { bare, cases: done })
}

fn driver_of(drivers: &mut [Driver], kind: DriverKind) -> Result<&mut Driver> {
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

fn progress(round: u32, rounds: u32) {
    let mut out = stderr();
    if out.is_terminal() {
        let end = if round == rounds { "\n" } else { "" };
        // A report that cannot be seen is no reason to stop.
        let _ = write!(out, "\rRound {round} of {rounds}{end}").and_then(|()| out.flush());
    } else if round == 1 {
        eprintln!("Measuring {rounds} rounds ...");
    }
}
