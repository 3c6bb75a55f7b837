//! The result, as a table and as JSON.

use std::fmt::{self, Display, Formatter, Write as _};

use serde::Serialize;

use crate::case::Kind;
use crate::machine::{Machine, READ_LINES};
use crate::ours::NAME;
use crate::rounds::{Case, Floor, Measured, PACKETS};
use crate::xdp_filter::Variant;

const METHOD: &str = "BPF_PROG_TEST_RUN on one core. A driver program gives every packet another \
    source address, in an order that jumps through all addresses, and tail-calls the program under \
    test. Each case is checked first: one packet from every address, judged as it should be by the \
    program's own counters. Then all cases run in turn, round after round. A case's cost above bare \
    is its low quartile less that of a program that only returns XDP_DROP.";

const LEGEND: &str = "\
above: of the low quartiles, what is above bare
target: what the datapath is built to stay within
ratio: how many times as much xdp-filter's program costs above bare
";

/// What is written.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    method: &'static str,
    rounds: u32,
    packets_per_round: u32,
    bare: Vec<Floor>,
    cases: Vec<Case>,
}

impl Report {
    /// A report of what was measured.
    pub fn new(machine: Machine, rounds: u32, measured: Measured) -> Self {
        Self {
            machine,
            method: METHOD,
            rounds,
            packets_per_round: PACKETS,
            bare: measured.bare,
            cases: measured.cases,
        }
    }

    /// What another program costs above its floor for the same packets.
    fn peer(&self, case: &Case, variant: Variant) -> Option<i32> {
        let other = self.cases.iter().find(|other| {
            other.program == variant.name()
                && other.addresses == case.addresses
                && other.family == case.family
                && other.packets == case.packets
        });
        other.map(|other| other.above_bare_ns)
    }

    fn headings(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let peers = self.cases.iter().any(|case| case.program != NAME);
        write!(f, "{:31} {:>31}", "", "manoward, ns per packet")?;
        if peers {
            for variant in Variant::ALL {
                write!(f, "  {:>14}", variant.name())?;
            }
        }
        writeln!(f)?;
        write!(
            f,
            "{:>9}        {:14} {:>8} {:>6} {:>7} {:>7}",
            "addresses", "packets", "quartile", "median", "above", "target"
        )?;
        if peers {
            for _ in Variant::ALL {
                write!(f, "  {:>6} {:>7}", "above", "ratio")?;
            }
        }
        writeln!(f)
    }

    fn row(&self, f: &mut Formatter<'_>, case: &Case) -> fmt::Result {
        let target = target(case).map_or(String::new(), |target| format!("{target:+}"));
        let mut row = format!(
            "{:>9}  {}  {:14} {:>8} {:>6} {:>7} {target:>7}",
            grouped(case.addresses),
            case.family.name(),
            case.packets.name(),
            case.ns.low_quartile_ns,
            case.ns.median_ns,
            format!("{:+}", case.above_bare_ns),
        );
        for variant in Variant::ALL {
            if let Some(peer) = self.peer(case, variant) {
                let ratio = ratio(case.above_bare_ns, peer);
                write!(row, "  {:>6} {ratio:>7}", format!("{peer:+}"))?;
            }
        }
        writeln!(f, "{}", row.trim_end())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Machine {
            processor,
            cores,
            core,
            last_cache,
            hypervisor,
            kernel,
            random_read_ns,
        } = &self.machine;
        let virtual_machine = if *hypervisor { ", virtual" } else { "" };
        writeln!(
            f,
            "\n{processor}, {last_cache} of last cache, core {core} of {cores}{virtual_machine}; Linux {kernel}"
        )?;
        writeln!(
            f,
            "a read of one of {} cache lines, {} MB in all, takes {random_read_ns} ns",
            grouped(READ_LINES as u32),
            READ_LINES * 64 / 1_000_000
        )?;
        writeln!(
            f,
            "{} rounds of {} packets",
            self.rounds,
            grouped(self.packets_per_round)
        )?;
        for floor in &self.bare {
            writeln!(
                f,
                "bare XDP_DROP, {}: {} ns, median {} ns",
                floor.driver.name(),
                floor.ns.low_quartile_ns,
                floor.ns.median_ns
            )?;
        }
        writeln!(f, "{LEGEND}")?;
        self.headings(f)?;
        let mut before = None;
        for case in self.cases.iter().filter(|case| case.program == NAME) {
            if before.is_some_and(|addresses| addresses != case.addresses) {
                writeln!(f)?;
            }
            before = Some(case.addresses);
            self.row(f, case)?;
        }
        Ok(())
    }
}

/// Nanoseconds above bare that the datapath is built to stay within.
fn target(case: &Case) -> Option<u32> {
    match (case.packets, case.addresses) {
        (Kind::Unprotected, _) => Some(8),
        (Kind::Unknown, 1_000) => Some(15),
        (Kind::Allowed, 1_000) => Some(25),
        (Kind::Allowed, 1_000_000) => Some(150),
        (Kind::Allowed, 100_000) | (Kind::Established, 1_000) => Some(50),
        (Kind::Established, 100_000) => Some(90),
        _ => None,
    }
}

/// How many times as much another program costs.
fn ratio(ours: i32, other: i32) -> String {
    if ours <= 0 {
        return String::new();
    }
    format!("{:.1}x", f64::from(other) / f64::from(ours))
}

/// A number with its thousands apart.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(10), "10");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }

    #[test]
    fn nothing_is_compared_with_nothing() {
        assert_eq!(ratio(20, 90), "4.5x");
        assert_eq!(ratio(0, 90), "");
    }
}
