//! Chooses the prefix lengths that a lookup probes.
//!
//! Each length in use costs every packet a probe, while an entry costs only memory. So a short
//! prefix is expanded into several longer ones if that takes few entries: a policy of hosts and a
//! /28 is looked up with one probe.

use verdict::{frame::address::Family, image::fixed::MAX_LENGTHS};

use super::buckets::Entry;

/// Most entries that the expansion of one length may produce.
const CHEAP: u64 = 4096;
/// The limit if there are otherwise more lengths than a lookup probes.
const AFFORDABLE: u64 = 1 << 20;

/// Expanded entries, and the lengths that a lookup probes.
#[derive(Debug)]
pub struct Expanded<A> {
    /// Unique by address and length.
    pub entries: Vec<Entry<A>>,
    /// Lengths in use, longest first.
    pub lengths: Vec<u8>,
}

/// An address whose prefixes can be enumerated, for expansion.
pub trait Countable: Family + Ord {
    /// The `index`-th prefix of the length `longer` within `self/length`.
    fn subprefix(self, length: u8, longer: u8, index: u64) -> Self;
}

impl Countable for verdict::frame::address::Ipv4 {
    fn subprefix(self, _length: u8, longer: u8, index: u64) -> Self {
        Self(self.0 | (index << (32 - longer)) as u32)
    }
}

impl Countable for verdict::frame::address::Ipv6 {
    fn subprefix(self, _length: u8, longer: u8, index: u64) -> Self {
        // If `longer` is 0, there is one prefix, and nothing to shift.
        let bits = u128::from(index)
            .checked_shl(128 - u32::from(longer))
            .unwrap_or(0);
        Self {
            high: self.high | (bits >> 64) as u64,
            low: self.low | bits as u64,
        }
    }
}

/// Expands `prefixes` so that a lookup probes few lengths; the longest original prefix of an
/// address still wins. `None` if more lengths are needed than a lookup probes.
pub fn expand<A: Countable>(prefixes: Vec<Entry<A>>) -> Option<Expanded<A>> {
    let targets = targets(&prefixes)?;
    let mut lengths: Vec<u8> = prefixes
        .iter()
        .map(|p| targets[usize::from(p.length)])
        .collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.dedup();
    let mut written: Vec<(Entry<A>, u8)> = Vec::with_capacity(prefixes.len());
    for prefix in prefixes {
        let target = targets[usize::from(prefix.length)];
        for index in 0..1u64 << (target - prefix.length) {
            let address = prefix.address.subprefix(prefix.length, target, index);
            written.push((
                Entry {
                    address,
                    length: target,
                    ..prefix
                },
                prefix.length,
            ));
        }
    }
    // Of several prefixes expanded to the same entry, the longest original is last, and is kept.
    written.sort_unstable_by_key(|(entry, original)| (entry.address, entry.length, *original));
    let mut entries: Vec<Entry<A>> = Vec::with_capacity(written.len());
    for (entry, _) in written {
        match entries.last_mut() {
            Some(last) if last.address == entry.address && last.length == entry.length => {
                *last = entry;
            }
            _ => entries.push(entry),
        }
    }
    Some(Expanded { entries, lengths })
}

/// For each length, the length that its prefixes are expanded to.
fn targets<A: Family>(prefixes: &[Entry<A>]) -> Option<Vec<u8>> {
    let mut counts = vec![0u64; usize::from(A::BITS) + 1];
    for prefix in prefixes {
        counts[usize::from(prefix.length)] += 1;
    }
    let mut targets: Vec<u8> = (0..=A::BITS).collect();
    let mut budget = CHEAP;
    loop {
        merge(&mut counts.clone(), &mut targets, budget);
        let used = |length: &u8| counts[usize::from(*length)] > 0;
        let mut lengths: Vec<u8> = (0..=A::BITS)
            .filter(used)
            .map(|length| targets[usize::from(length)])
            .collect();
        lengths.dedup();
        if lengths.len() <= MAX_LENGTHS as usize {
            return Some(targets);
        }
        budget *= 4;
        if budget > AFFORDABLE {
            return None;
        }
    }
}

/// Merges each length into the next longer one in use, if that takes at most `budget` entries.
fn merge(counts: &mut [u64], targets: &mut [u8], budget: u64) {
    for length in 0..counts.len() {
        if counts[length] == 0 {
            continue;
        }
        let Some(longer) = (length + 1..counts.len()).find(|&longer| counts[longer] > 0) else {
            return;
        };
        let factor = 1u64
            .checked_shl((longer - length) as u32)
            .unwrap_or(u64::MAX);
        let written = counts[length].saturating_mul(factor);
        if written > budget {
            continue;
        }
        counts[longer] += written;
        for target in targets
            .iter_mut()
            .filter(|target| usize::from(**target) == length)
        {
            *target = longer as u8;
        }
    }
}
