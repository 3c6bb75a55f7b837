//! Which VLANs carry the host's own traffic, by interface.
//!
//! Sets of 4,096 bits, each at the place that is the index of its interface modulo [`SETS`]. First lie the
//! indexes of the interfaces. Words have 32 bits. On an interface that is not there any VLAN may carry the host's
//! traffic. Frames without a tag always do: the host takes them in on the interface itself.

use super::{
    fixed::SEGMENTS,
    line::{Missing, PER_LINE_32, Tables},
};

/// Number of sets.
pub const SETS: u32 = 64;

/// Words of a set: a bit for each id.
const WORDS: u32 = 4096 / 32;

/// Lines of the indexes, and of all sets behind them.
pub const LINES: u32 = (SETS + SETS * WORDS) / PER_LINE_32;

/// The word of the image that has the index of the interface in the place of `ifindex`.
#[inline(always)]
#[must_use]
pub const fn owner(ifindex: u32) -> u32 {
    SEGMENTS * PER_LINE_32 + ifindex % SETS
}

/// Where the image says whether frames with this outer VLAN `id` carry the host's traffic on the interface
/// that has the place of `ifindex`: a word of the image, and a bit of it.
#[inline(always)]
#[must_use]
pub const fn bit(ifindex: u32, id: u16) -> (u32, u32) {
    let id = id as u32 & 0xfff;
    let first = SEGMENTS * PER_LINE_32 + SETS;
    (first + ifindex % SETS * WORDS + id / 32, id % 32)
}

/// Whether frames with this outer VLAN `id` may carry the host's traffic on the interface `ifindex`.
///
/// # Errors
///
/// If the image lacks a line.
#[inline(always)]
pub fn is_own<T: Tables>(tables: &T, ifindex: u32, id: u16) -> Result<bool, Missing> {
    if tables.fixed32_kept(owner(ifindex))? != ifindex {
        return Ok(true);
    }
    let (word, bit) = bit(ifindex, id);
    Ok(tables.fixed32_kept(word)? >> bit & 1 != 0)
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::{
        image::{fixed::FIXED_LINES, line::Line},
        tests::sample::Image,
    };

    #[test]
    fn only_the_interface_that_has_a_place_has_its_vlans() {
        let mut image = Image(vec![Line::default(); FIXED_LINES as usize]);
        let mut set = |word: u32, value: u32| {
            let line = &mut image.0[(word / PER_LINE_32) as usize];
            line[(word / 2 % 8) as usize] |= u64::from(value) << (32 * (word % 2));
        };
        for ifindex in [7, 63, SETS] {
            set(owner(ifindex), ifindex);
            for id in [1, 100, 4094] {
                let (word, bit) = bit(ifindex, id);
                set(word, 1 << bit);
            }
        }
        for ifindex in [7, 63, SETS] {
            let own = (0..4096).filter(|&id| is_own(&image, ifindex, id) == Ok(true));
            assert!(own.eq([1, 100, 4094]), "{ifindex}");
        }
        for unknown in [8, 7 + SETS, 2 * SETS] {
            assert_eq!(is_own(&image, unknown, 300), Ok(true), "{unknown}");
        }
    }
}
