//! How counters are laid out. All are per CPU and exact.

use crate::reason::{Outcome, Reason};

/// Rules that have counters; rule 0 counts what no reference point governs.
pub const RULES: u32 = 512;

/// Endpoints that have counters; endpoint 0 does not exist.
pub const ENDPOINTS: u32 = 1 << 16;

/// Cells of the verdict counters: direction, then rule, then enforced or audited, then reason.
pub const VERDICT_CELLS: u32 = 2 * DIRECTION_CELLS;

const DIRECTION_CELLS: u32 = RULES * 2 * Reason::SPACE;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// To the host.
    In,
    /// From the host.
    Out,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// Index of the counter of packets with this direction and outcome.
    #[inline(always)]
    #[must_use]
    pub const fn cell(self, outcome: Outcome) -> u32 {
        match self {
            Self::In => outcome.cell(),
            Self::Out => DIRECTION_CELLS + outcome.cell(),
        }
    }
}

/// One counter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames, from the MAC addresses on, without the frame check sequence.
    pub bytes: u64,
}

/// What became of the packets of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Fates {
    /// What passed, audited packets included.
    pub passed: Count,
    /// What was dropped.
    pub dropped: Count,
}

/// Counters of one endpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct EndpointCount {
    /// Packets from the endpoint.
    pub received: Fates,
    /// Packets to the endpoint.
    pub sent: Fates,
}

const _: () = assert!(
    DIRECTION_CELLS == 1 << 16,
    "a cell is 16 bits of an outcome"
);
const _: () = assert!(size_of::<Count>() == 16 && size_of::<EndpointCount>() == 64);

/// What the counter at `cell` ([`Direction::cell`]) counts: direction, rule, audited, reason; `None`
/// for a code without a reason.
#[must_use]
pub fn of_cell(cell: u32) -> Option<(Direction, u16, bool, Reason)> {
    let direction = Direction::ALL[(cell / DIRECTION_CELLS) as usize % 2];
    let reason = Reason::from_code((cell % Reason::SPACE) as u8)?;
    let block = cell % DIRECTION_CELLS / Reason::SPACE;
    Some((direction, (block / 2) as u16, block % 2 == 1, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_cell_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for direction in Direction::ALL {
            for rule in [0, 1, 255, 511] {
                for audited in [false, true] {
                    for &reason in Reason::ALL {
                        let cell = direction.cell(Outcome::new(reason, audited, rule, 0));
                        assert!(cell < VERDICT_CELLS);
                        assert!(seen.insert(cell));
                        assert_eq!(of_cell(cell), Some((direction, rule, audited, reason)));
                    }
                }
            }
        }
    }
}
