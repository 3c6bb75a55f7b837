//! Sets of eight entries, two sets for each key: how flows and leases lie in their tables.

/// Entries in a set.
pub const WAYS: u32 = 8;

/// No entry.
pub const NOWHERE: u32 = u32::MAX;

/// The index of the entry that is tried at `step` (below twice [`WAYS`]) for a key with this `hash`:
/// from the one that the hash names on through the first set, then through the second. `mask` is the
/// number of sets, less one.
#[inline(always)]
#[must_use]
pub fn index(hash: u64, mask: u32, step: u32) -> u32 {
    let set = if step < WAYS { hash >> 40 } else { hash >> 20 };
    let way = ((hash >> 61) as u32 + step) & (WAYS - 1);
    (set as u32 & mask) * WAYS + way
}
