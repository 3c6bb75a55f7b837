//! Places entries into two-choice buckets (cuckoo hashing with a random walk).
//!
//! An entry is placed in its first bucket while that has room, so that most lookups read one line.

use verdict::{
    image::bucket::Bucketed,
    image::{
        line::{Line, PER_LINE_64},
        region::{Region, summary_bits},
    },
};

/// A prefix, and the value that a lookup of it yields.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Entry<A> {
    /// Address with host bits cleared.
    pub address: A,
    /// Prefix length.
    pub length: u8,
    /// Value, not 0.
    pub value: u32,
}

/// Most moves to place an entry; after them, placing fails and more buckets are tried.
const MAX_MOVES: usize = 500;
/// A slot that holds no entry.
const FREE: u32 = u32::MAX;
/// Tables of up to this many entries are kept sparse, as they fit into the CPU's caches anyway.
const SMALL: usize = 4096;

/// Number of buckets for `count` entries: at most two thirds of their slots are used.
#[must_use]
pub fn buckets_for<A: Bucketed>(count: usize) -> u32 {
    let slots = if count <= SMALL {
        2 * count
    } else {
        count + count / 2
    };
    slots.div_ceil(A::PER_BUCKET).max(1).next_power_of_two() as u32
}

/// Entries in their buckets.
pub struct Placed {
    /// A line for each bucket.
    pub buckets: Vec<Line>,
    /// The lines of their summary; empty if the region has none.
    pub summary: Vec<Line>,
}

/// Places `entries` into `buckets` buckets; `None` if they do not fit.
pub fn place<A: Bucketed>(entries: &[Entry<A>], buckets: u32) -> Option<Placed> {
    let region = Region {
        base: 0,
        mask: buckets - 1,
    };
    let mut placement = Placement {
        slots: vec![FREE; buckets as usize * A::PER_BUCKET],
        hashes: entries
            .iter()
            .map(|entry| entry.address.hash(entry.length))
            .collect(),
        region,
        entries,
        random: 1,
    };
    for index in 0..entries.len() {
        placement.insert(index as u32)?;
    }
    Some(Placed {
        buckets: placement.lines(),
        summary: placement.summary(),
    })
}

struct Placement<'a, A> {
    /// Index of the entry in each slot of each bucket, or [`FREE`].
    slots: Vec<u32>,
    hashes: Vec<u64>,
    region: Region,
    entries: &'a [Entry<A>],
    random: u64,
}

impl<A: Bucketed> Placement<'_, A> {
    fn bucket(&mut self, bucket: u32) -> &mut [u32] {
        let start = bucket as usize * A::PER_BUCKET;
        &mut self.slots[start..start + A::PER_BUCKET]
    }

    /// Puts `entry` into a free slot: its preferred slot, another of its first bucket, or one of
    /// its second bucket. `false` if all are taken.
    fn put(&mut self, entry: u32) -> bool {
        let hash = self.hashes[entry as usize];
        let (first, second) = (self.region.first(hash), self.region.second(hash));
        let preferred = &mut self.bucket(first)[A::preferred(hash)];
        if *preferred == FREE {
            *preferred = entry;
            return true;
        }
        for bucket in [first, second] {
            if let Some(slot) = self.bucket(bucket).iter_mut().find(|slot| **slot == FREE) {
                *slot = entry;
                return true;
            }
        }
        false
    }

    /// Places `entry`; while both of its buckets are full, moves another entry to its other bucket.
    /// `None` after [`MAX_MOVES`].
    fn insert(&mut self, mut entry: u32) -> Option<()> {
        let mut bucket = self.region.first(self.hashes[entry as usize]);
        for _ in 0..MAX_MOVES {
            if self.put(entry) {
                return Some(());
            }
            let at = self.next_random() as usize % A::PER_BUCKET;
            entry = std::mem::replace(&mut self.bucket(bucket)[at], entry);
            let hash = self.hashes[entry as usize];
            let first = self.region.first(hash);
            bucket = if bucket == first {
                self.region.second(hash)
            } else {
                first
            };
        }
        None
    }

    /// xorshift64: deterministic, so that a policy always compiles into the same image.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }

    /// The summary: a bitmap in which every entry's bits are set.
    fn summary(&self) -> Vec<Line> {
        if !self.region.is_summarized() {
            return Vec::new();
        }
        let words = (self.region.mask + 1) / A::BUCKETS_PER_WORD;
        let mut lines = vec![Line::default(); (words / PER_LINE_64) as usize];
        let summary = lines.as_flattened_mut();
        for &hash in &self.hashes {
            summary[self.region.summary_word::<A>(hash) as usize] |= summary_bits(hash);
        }
        lines
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::default(); self.slots.len() / A::PER_BUCKET];
        for (slot, &index) in self.slots.iter().enumerate() {
            if index == FREE {
                continue;
            }
            let (bucket, at) = (slot / A::PER_BUCKET, slot % A::PER_BUCKET);
            let entry = self.entries[index as usize];
            entry
                .address
                .put(entry.length, entry.value, &mut lines[bucket], at);
            let hash = self.hashes[index as usize];
            let first = self.region.first(hash) as usize;
            if (first, A::preferred(hash)) != (bucket, at) {
                A::displace(&mut lines[first], A::preferred(hash));
            }
        }
        lines
    }
}
