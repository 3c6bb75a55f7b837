//! How counters are laid out. All are per CPU and exact.

use crate::reason::Reason;

/// Rules that have counters; rule 0 counts what no reference point governs.
pub const RULES: u32 = 512;

/// Endpoints that have counters; endpoint 0 does not exist.
pub const ENDPOINTS: u32 = 1 << 16;

/// Cells of the verdict counters: rule, then enforced or audited, then reason.
pub const VERDICT_CELLS: u32 = RULES * 2 * Reason::SPACE;

/// One counter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames, from the MAC addresses on, without the frame check sequence.
    pub bytes: u64,
}

/// Counters of one endpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct EndpointCount {
    /// What passed, audited packets included.
    pub passed: Count,
    /// What was dropped.
    pub dropped: Count,
}

const _: () = assert!(VERDICT_CELLS == 1 << 16, "a cell is 16 bits of an outcome");
const _: () = assert!(size_of::<Count>() == 16 && size_of::<EndpointCount>() == 32);

/// What the counter at `cell` ([`Outcome::cell`](crate::reason::Outcome::cell)) counts: rule, audited, reason; `None` for a code without a reason.
#[must_use]
pub fn of_cell(cell: u32) -> Option<(u16, bool, Reason)> {
    let reason = Reason::from_code((cell % Reason::SPACE) as u8)?;
    let block = cell / Reason::SPACE;
    Some(((block / 2) as u16, block % 2 == 1, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Outcome;

    #[test]
    fn every_outcome_has_a_cell_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for rule in [0, 1, 255, 511] {
            for audited in [false, true] {
                for &reason in Reason::ALL {
                    let cell = Outcome::new(reason, audited, rule, 0).cell();
                    assert!(cell < VERDICT_CELLS);
                    assert!(seen.insert(cell));
                    assert_eq!(of_cell(cell), Some((rule, audited, reason)));
                }
            }
        }
    }
}
