//! Two-choice buckets: every prefix lies in one of two lines that its hash names.
//!
//! Within its first line the hash names an entry, too, and most prefixes lie right there. The
//! mark in that entry tells when one does not, so that most lookups, found or not, read one entry
//! and take no branch that cannot be predicted. The agent places the entries; nothing that a
//! sender chooses makes a lookup read more than two lines.

use super::{
    bucket::Bucketed,
    line::{Line, Missing, PER_LINE_64, Tables},
};

/// A power of two of buckets within an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// Line of the first bucket.
    pub base: u32,
    /// Number of buckets, less one.
    pub mask: u32,
}

impl Region {
    /// Most buckets of a region: the hash has 20 good bits for each choice.
    pub const MAX_BUCKETS: u32 = 1 << 20;

    /// Buckets from which on a region has a summary; fewer lie in a CPU's own caches.
    pub const SUMMARIZED: u32 = 1 << 12;

    /// The region as a word of the image's header.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        ((self.base as u64) << 32) | self.mask as u64
    }

    /// The region that a word of the header describes.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            base: (word >> 32) as u32,
            mask: word as u32,
        }
    }

    /// The bucket, counted from the region's base, that `hash` chooses first.
    #[inline(always)]
    #[must_use]
    pub const fn first(self, hash: u64) -> u32 {
        (hash >> 40) as u32 & self.mask
    }

    /// The bucket that `hash` chooses second.
    #[inline(always)]
    #[must_use]
    pub const fn second(self, hash: u64) -> u32 {
        (hash >> 20) as u32 & self.mask
    }

    /// Whether a summary lies behind the buckets: a word for every few of them, in which each prefix
    /// that chooses one of those first has set its [`summary_bits`].
    #[inline(always)]
    #[must_use]
    pub const fn is_summarized(self) -> bool {
        self.mask >= Self::SUMMARIZED - 1
    }

    /// The word of the summary, counted from its first, in which `hash` has set its bits.
    #[inline(always)]
    #[must_use]
    pub const fn summary_word<A: Bucketed>(self, hash: u64) -> u32 {
        self.first(hash) / A::BUCKETS_PER_WORD
    }
}

/// The bits that a prefix with `hash` sets in a summary.
#[inline(always)]
#[must_use]
pub const fn summary_bits(hash: u64) -> u64 {
    1 << ((hash >> 24) & 63) | 1 << ((hash >> 30) & 63)
}

/// The value of the prefix `address/length` in `region`; 0 if it has none.
#[inline(always)]
pub fn find<A: Bucketed, T: Tables>(
    tables: &T,
    region: Region,
    address: A,
    length: u8,
) -> Result<u32, Missing> {
    look_up(tables, region, (address, length), address.hash(length))
}

/// [`find`] for lookups that mostly find nothing: the summary rules out nearly all of them, and is a
/// sixteenth of the buckets at most, so that it stays in caches that the buckets do not fit into.
#[inline(always)]
pub fn find_summarized<A: Bucketed, T: Tables>(
    tables: &T,
    region: Region,
    address: A,
    length: u8,
) -> Result<u32, Missing> {
    let hash = address.hash(length);
    if region.is_summarized() {
        let word = region.summary_word::<A>(hash);
        let behind = u64::from(region.base) + u64::from(region.mask) + 1;
        let line = tables.line(behind + u64::from(word / PER_LINE_64))?;
        let bits = summary_bits(hash);
        if line[(word % PER_LINE_64) as usize] & bits != bits {
            return Ok(0);
        }
    }
    look_up(tables, region, (address, length), hash)
}

#[inline(always)]
fn look_up<A: Bucketed, T: Tables>(
    tables: &T,
    region: Region,
    (address, length): (A, u8),
    hash: u64,
) -> Result<u32, Missing> {
    let first = u64::from(region.base) + u64::from(region.first(hash));
    let bucket = tables.line(first)?;
    let entry = address.read(length, bucket, A::preferred(hash));
    if let Some(value) = entry.value() {
        return Ok(value);
    }
    if !entry.displaced() {
        return Ok(0);
    }
    let second = u64::from(region.base) + u64::from(region.second(hash));
    match scan(address, length, bucket) {
        0 => Ok(scan(address, length, tables.line(second)?)),
        value => Ok(value),
    }
}

/// The value of the prefix `address/length` in any entry of `bucket`; 0 if it has none.
#[inline(always)]
fn scan<A: Bucketed>(address: A, length: u8, bucket: &Line) -> u32 {
    let mut at = 0;
    while at < A::PER_BUCKET {
        if let Some(value) = address.read(length, bucket, at).value() {
            return value;
        }
        at += 1;
    }
    0
}

#[cfg(test)]
mod tests;
