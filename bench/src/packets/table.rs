//! What packets cost, as a table.

use std::fmt::{self, Display, Formatter, Write as _};

use serde::{Deserialize, Serialize};

use crate::packets::case::{Kind, Sources};
use crate::packets::driver::Driver;
use crate::packets::ours::NAME;
use crate::packets::rounds::{Case, FloorCost, Measured};
use crate::packets::xdp_filter::Variant;
use crate::words::grouped;

const LEGEND: &str = "\
above: low quartile less that of the bare program
target: the design limit of \"above\"
ratio: xdp-filter's \"above\", divided by manoward's
";

/// What packets cost.
#[derive(Debug, Serialize, Deserialize)]
pub struct Costs {
    /// How often each case was measured.
    pub rounds: u32,
    /// Packets of a round.
    pub packets_per_round: u32,
    /// What the baseline programs cost.
    pub floors: Vec<FloorCost>,
    /// What the cases cost.
    pub cases: Vec<Case>,
}

impl Costs {
    /// What was measured.
    pub fn new(rounds: u32, measured: Measured) -> Self {
        Self {
            rounds,
            packets_per_round: Driver::PACKETS,
            floors: measured.floors,
            cases: measured.cases,
        }
    }

    /// What another program costs above its floor for the same packets.
    pub fn peer(&self, case: &Case, variant: Variant) -> Option<i32> {
        let other = self.cases.iter().find(|other| {
            other.program == variant.name()
                && other.addresses == case.addresses
                && other.family == case.family
                && other.packets == case.packets
                && other.sources == case.sources
        });
        other.map(|other| other.above_bare_ns)
    }

    fn headings(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let peers = self.cases.iter().any(|case| case.program != NAME);
        write!(f, "{:38} {:>31}", "", "manoward, ns per packet")?;
        if peers {
            for variant in Variant::ALL {
                write!(f, "  {:>14}", variant.name())?;
            }
        }
        writeln!(f)?;
        write!(
            f,
            "{:>9}        {:21} {:>8} {:>6} {:>7} {:>7}",
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
            "{:>9}  {}  {:21} {:>8} {:>6} {:>7} {target:>7}",
            grouped(case.addresses),
            case.family.name(),
            case.name(),
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

impl Display for Costs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{} rounds of {} packets",
            self.rounds,
            grouped(self.packets_per_round)
        )?;
        for floor in &self.floors {
            writeln!(
                f,
                "{}, {}: {} ns, median {} ns",
                floor.floor.name(),
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

/// The datapath's design limit in nanoseconds above bare.
fn target(case: &Case) -> Option<u32> {
    if case.sources != Sources::Changing {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_of_zero_has_no_ratio() {
        assert_eq!(ratio(20, 90), "4.5x");
        assert_eq!(ratio(0, 90), "");
    }
}
