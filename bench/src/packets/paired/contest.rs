//! One kind of packets, judged by both builds in turns.

use anyhow::{Context, Result, ensure};

use crate::interval::Interval;
use crate::packets::case::{Packets, label};
use crate::packets::driver::{Driver, Kind as DriverKind};
use crate::packets::family::Family;
use crate::packets::paired::pair::{Build, PLACES, Pair};
use crate::packets::paired::report::{CONFIDENCE, Compared, Verdict};
use crate::packets::paired::selection::Selection;
use crate::packets::subject::Tally;
use crate::statistics::median;

/// Packets of a run. The runs of a round together cover every source of the largest policy.
const PACKETS: u32 = 125_000;

/// The order of a round's runs, `true` for those of the build that begins. It cancels drifts of the
/// machine's speed that are linear or quadratic in time.
const ORDER: [bool; 8] = [true, false, false, true, false, true, true, false];

/// Rounds between checks whether a case is decided. In so many, each build begins once with every
/// pair of places of the two programs.
const ROUNDS_BETWEEN_CHECKS: usize = 2 * PLACES * PLACES;

/// Confidence for ending a case early. It is higher than that of the result, as every further check
/// adds to the probability of an error.
const CONFIDENCE_TO_STOP: f64 = 0.99;

/// A kind of packets, and what has been measured so far.
pub struct Contest<'a> {
    pair: &'a Pair,
    packets: Packets,
    /// Nanoseconds per packet with the earlier build, for each round.
    base: Vec<f64>,
    /// Nanoseconds per packet with this build, for each round.
    now: Vec<f64>,
}

impl<'a> Contest<'a> {
    /// The selected cases that a pair can judge.
    pub fn all(pair: &'a Pair, selection: &Selection) -> Vec<Self> {
        let cases = pair.tables.known.cases().iter();
        let selected = cases.filter(|&&(kind, sources)| selection.has(kind, sources));
        let contests = selected.flat_map(|&(kind, sources)| {
            Family::ALL.map(|family| Self {
                pair,
                packets: Packets::new(family, kind, sources, pair.tables.count),
                base: Vec::new(),
                now: Vec::new(),
            })
        });
        contests.collect()
    }

    /// The driver that calls the programs.
    pub const fn driver(&self) -> DriverKind {
        DriverKind::of_ours(self.packets.kind)
    }

    /// The case in words.
    pub fn describe(&self) -> String {
        let Packets {
            family,
            kind,
            sources,
            ..
        } = self.packets;
        let count = self.pair.tables.count;
        format!(
            "{} {} with {count} addresses",
            family.name(),
            label(kind, sources)
        )
    }

    /// Sends one packet from each source through each build, and checks its counters.
    pub fn check(&mut self, driver: &mut Driver) -> Result<()> {
        let kind = self.packets.kind;
        let count = self.packets.different;
        for build in Build::ALL {
            self.pair.tables.prepare(kind)?;
            let before = self.pair.tables.tally(kind)?;
            let run = driver.run(self.pair.program(build, 0), &self.packets, count)?;
            let tally = self.pair.tables.tally(kind)?.since(before);
            let code = driver.verdict(run)?;
            let wanted = Tally::of(kind.expected(), count);
            ensure!(
                code == kind.expected() && tally == wanted,
                "the program {} ends with {code:?} and counts {tally:?}, and should end with {:?} \
                 and count {wanted:?}",
                build.name(),
                kind.expected()
            );
        }
        Ok(())
    }

    /// Measures a round.
    pub fn round(&mut self, driver: &mut Driver) -> Result<()> {
        let (first, base_place, now_place) = roles(self.base.len());
        let (mut base, mut now) = (Vec::new(), Vec::new());
        for begins in ORDER {
            let build = if begins { first } else { first.other() };
            match build {
                Build::Base => base.push(self.run(driver, build, base_place)?),
                Build::Now => now.push(self.run(driver, build, now_place)?),
            }
        }
        self.base.push(median(base));
        self.now.push(median(now));
        Ok(())
    }

    /// Nanoseconds per packet of one run.
    fn run(&mut self, driver: &mut Driver, build: Build, place: usize) -> Result<f64> {
        let kind = self.packets.kind;
        let packets = self.packets.per_run().min(PACKETS);
        self.pair.tables.prepare(kind)?;
        let run = driver.run(self.pair.program(build, place), &self.packets, packets)?;
        self.packets.walk.skip(packets);
        let code = driver.verdict(run)?;
        ensure!(code == kind.expected(), "the verdict changed to {code:?}");
        Ok(run.processor.as_secs_f64() * 1e9 / f64::from(packets))
    }

    /// Whether the result is clear enough to end early.
    pub fn is_decided(&self, limit_ns: f64) -> bool {
        let rounds = self.base.len();
        rounds > 0
            && rounds.is_multiple_of(ROUNDS_BETWEEN_CHECKS)
            && self
                .difference(CONFIDENCE_TO_STOP)
                .is_some_and(|interval| Verdict::new(interval, limit_ns) != Verdict::Unclear)
    }

    /// The result of all rounds.
    pub fn conclude(&self, limit_ns: f64) -> Result<Compared> {
        let difference_ns = self.difference(CONFIDENCE);
        let difference_ns = difference_ns.context("a comparison takes two rounds at least")?;
        let Packets {
            family,
            kind,
            sources,
            ..
        } = self.packets;
        Ok(Compared {
            case: label(kind, sources),
            addresses: self.pair.tables.count,
            family,
            rounds: self.base.len(),
            base_ns: median(self.base.clone()),
            now_ns: median(self.now.clone()),
            difference_ns,
            verdict: Verdict::new(difference_ns, limit_ns),
        })
    }

    /// How much more this build takes than the earlier one within a round, ns.
    fn difference(&self, confidence: f64) -> Option<Interval> {
        let rounds = self.base.iter().zip(&self.now);
        let differences: Vec<_> = rounds.map(|(base, now)| now - base).collect();
        Interval::new(&differences, confidence)
    }
}

/// Which build begins a round, and the places of the earlier program and of this one.
const fn roles(round: usize) -> (Build, usize, usize) {
    let places = round / 2;
    (
        Build::ALL[round % 2],
        places % PLACES,
        places / PLACES % PLACES,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_cancels_drifts() {
        for power in 0..3 {
            let positions = (0_i32..).zip(ORDER);
            let sum: i32 = positions
                .map(|(position, first)| position.pow(power) * if first { 1 } else { -1 })
                .sum();
            assert_eq!(sum, 0, "a drift with the time to the power of {power}");
        }
    }

    #[test]
    fn every_pair_of_places_is_measured_before_a_check() {
        let mut seen = Vec::new();
        for round in 0..ROUNDS_BETWEEN_CHECKS {
            let role = roles(round);
            assert!(!seen.contains(&role));
            seen.push(role);
        }
    }
}
