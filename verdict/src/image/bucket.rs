//! Buckets: how prefixes lie in a line of an image, for each family.

use super::line::Line;
use crate::{
    frame::address::{Family, Ipv4, Ipv6},
    hash::{MIX, finish},
};

/// Largest value of an entry: 23 bits.
pub const MAX_VALUE: u32 = 0x7f_ffff;

/// Where the value ends and the prefix length begins in an entry.
const LENGTH_SHIFT: u32 = 24;

/// A family whose prefixes lie in buckets.
pub trait Bucketed: Family {
    /// Entries that one bucket (one [`Line`]) holds.
    const PER_BUCKET: usize;
    /// Buckets that share a word of their summary, so that it has some eight bits for each prefix.
    const BUCKETS_PER_WORD: u32;

    /// A hash of the prefix `self/length`. Bits 24 to 63 are well mixed.
    ///
    /// It needs no secret seed: a lookup reads two lines at most, whatever a sender chooses. So nothing
    /// has to be read before hashing begins.
    fn hash(self, length: u8) -> u64;

    /// The entry of a bucket that `hash` prefers, below [`Family::PER_BUCKET`].
    fn preferred(hash: u64) -> usize;

    /// What entry `at` of `bucket` holds for the prefix `self/length`.
    fn read(self, length: u8, bucket: &Line, at: usize) -> Entry;

    /// Writes the prefix `self/length` with `value` (1 to [`MAX_VALUE`]) into the empty entry `at`
    /// of `bucket`.
    fn put(self, length: u8, value: u32, bucket: &mut Line, at: usize);

    /// Whether entry `at` of `bucket` holds no prefix.
    fn is_empty(bucket: &Line, at: usize) -> bool;

    /// Empties entry `at` of `bucket`; its mark stays.
    fn clear(bucket: &mut Line, at: usize);

    /// Marks entry `at` of `bucket`: a prefix that prefers it lies elsewhere.
    fn displace(bucket: &mut Line, at: usize);
}

/// What a look at one entry of a bucket yields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry(u32);

impl Entry {
    const DISPLACED: u32 = 1 << 23;
    const FOUND: u32 = 1 << 24;

    /// From the lower half of an entry, and whether its key was the one looked for.
    #[inline(always)]
    const fn new(word: u32, found: bool) -> Self {
        Self(word & (MAX_VALUE | Self::DISPLACED) | if found { Self::FOUND } else { 0 })
    }

    /// The value, if the key was the one looked for.
    #[inline(always)]
    #[must_use]
    pub const fn value(self) -> Option<u32> {
        if self.0 & Self::FOUND == 0 {
            None
        } else {
            Some(self.0 & MAX_VALUE)
        }
    }

    /// Whether a prefix that prefers this entry lies elsewhere.
    #[inline(always)]
    #[must_use]
    pub const fn displaced(self) -> bool {
        self.0 & Self::DISPLACED != 0
    }
}

/// A value and its prefix length as an entry stores them; the length is one more, so that an
/// empty entry matches nothing.
#[inline(always)]
const fn tagged(length: u8, value: u32) -> u64 {
    ((length as u64 + 1) << LENGTH_SHIFT) | (value & MAX_VALUE) as u64
}

impl Ipv4 {
    /// The prefix `self/length` as an entry has it above the value.
    #[inline(always)]
    fn key(self, length: u8) -> u64 {
        (u64::from(self.0) << 8) | (u64::from(length) + 1)
    }
}

impl Bucketed for Ipv4 {
    const PER_BUCKET: usize = 8;
    const BUCKETS_PER_WORD: u32 = 2;

    #[inline(always)]
    fn hash(self, length: u8) -> u64 {
        finish(self.key(length).wrapping_mul(MIX[0]))
    }

    #[inline(always)]
    fn preferred(hash: u64) -> usize {
        (hash >> 61) as usize
    }

    /// An entry is one word: address in bits 32 to 63, prefix length in 24 to 31, displaced in 23,
    /// value below.
    #[inline(always)]
    fn read(self, length: u8, bucket: &Line, at: usize) -> Entry {
        let word = bucket[at & 7];
        Entry::new(word as u32, word >> LENGTH_SHIFT == self.key(length))
    }

    fn put(self, length: u8, value: u32, bucket: &mut Line, at: usize) {
        bucket[at] |= (u64::from(self.0) << 32) | tagged(length, value);
    }

    fn is_empty(bucket: &Line, at: usize) -> bool {
        bucket[at] & !u64::from(Entry::DISPLACED) == 0
    }

    fn clear(bucket: &mut Line, at: usize) {
        bucket[at] &= u64::from(Entry::DISPLACED);
    }

    fn displace(bucket: &mut Line, at: usize) {
        bucket[at] |= u64::from(Entry::DISPLACED);
    }
}

impl Bucketed for Ipv6 {
    const PER_BUCKET: usize = 3;
    const BUCKETS_PER_WORD: u32 = 4;

    #[inline(always)]
    fn hash(self, length: u8) -> u64 {
        let high = self.high.wrapping_mul(MIX[0]);
        let low = (self.low ^ u64::from(length)).wrapping_mul(MIX[1]);
        finish(high ^ low)
    }

    #[inline(always)]
    fn preferred(hash: u64) -> usize {
        (((hash >> 56) * Self::PER_BUCKET as u64) >> 8) as usize
    }

    /// Keys lie in words 0 to 5; prefix lengths, displaced and values, 32 bits for each entry, in
    /// words 6 and 7.
    #[inline(always)]
    fn read(self, length: u8, bucket: &Line, at: usize) -> Entry {
        let word = (bucket[(6 + at / 2) & 7] >> (32 * (at % 2))) as u32;
        let different = (bucket[(2 * at) & 7] ^ self.high)
            | (bucket[(2 * at + 1) & 7] ^ self.low)
            | u64::from((word >> LENGTH_SHIFT) ^ (u32::from(length) + 1));
        Entry::new(word, different == 0)
    }

    fn put(self, length: u8, value: u32, bucket: &mut Line, at: usize) {
        bucket[2 * at] = self.high;
        bucket[2 * at + 1] = self.low;
        bucket[6 + at / 2] |= tagged(length, value) << (32 * (at % 2));
    }

    fn is_empty(bucket: &Line, at: usize) -> bool {
        let word = (bucket[6 + at / 2] >> (32 * (at % 2))) as u32;
        word & !Entry::DISPLACED == 0
    }

    fn clear(bucket: &mut Line, at: usize) {
        let kept = u64::from(u32::MAX) << (32 * (1 - at % 2))
            | u64::from(Entry::DISPLACED) << (32 * (at % 2));
        bucket[6 + at / 2] &= kept;
        bucket[2 * at] = 0;
        bucket[2 * at + 1] = 0;
    }

    fn displace(bucket: &mut Line, at: usize) {
        bucket[6 + at / 2] |= u64::from(Entry::DISPLACED) << (32 * (at % 2));
    }
}

#[cfg(test)]
mod tests;
