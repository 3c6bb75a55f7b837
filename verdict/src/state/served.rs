//! Conversations that peers have begun, and that a rule permits: with whom the host's services talk.
//!
//! A bounded memory of what a permitted SYN, INIT or datagram has begun. It tells which packets the host
//! may have sent where the stack does not check that itself ([`quotation`](crate::decision::quotation)), and
//! what the operator is shown. No packet passes because of it that would not pass anyway. Segments of TCP and
//! SCTP do not look at it; datagrams do, and refresh it once in a while. Where a set is full, the conversation
//! that was refreshed least recently makes room, and the set remembers when.

use core::{
    cell::Cell,
    hint::black_box,
    sync::atomic::{Ordering, compiler_fence},
};

use super::{
    clock::ticks,
    flow::{Flows, Key},
};

/// Conversations in a set.
pub const WAYS: u32 = 7;

/// So long, in ticks, no other datagram of a conversation refreshes it.
const REFRESHED: u32 = ticks(1);

/// A conversation that was never seen.
pub const NEVER: u32 = u32::MAX;

/// A set of eight lines: a conversation in each of seven, then their tags, and when one had to make room.
///
/// A conversation is the five words of its key, and the tick of its first packet. A tag is 0 where there is
/// none; else bits 0 to 31 are the tick of the last refreshment, 32 to 63 those of the key's hash. The last
/// word is 0, or has bit 32 and the tick of the last conversation that made room.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Set([[Cell<u64>; 8]; 8]);

/// Where in a line a conversation has the tick of its first packet.
const BEGUN: usize = 5;

const _: () = assert!(size_of::<Set>() == 512);

/// Words of a set.
pub const SET_WORDS: usize = size_of::<Set>() / 8;

const DISPLACED: u64 = 1 << 32;

/// A conversation, read out of the memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Served {
    /// Its five-tuple; without a local address if a group was asked.
    pub key: Key,
    /// Tick of its first packet.
    pub begun: u32,
    /// Tick of its last refreshment.
    pub refreshed: u32,
}

impl Set {
    /// The set with these words.
    #[must_use]
    pub fn from_words(words: &[u64; SET_WORDS]) -> Self {
        let line = |line: usize| core::array::from_fn(|word| Cell::new(words[8 * line + word]));
        Self(core::array::from_fn(line))
    }

    /// Its words.
    #[must_use]
    pub fn to_words(&self) -> [u64; SET_WORDS] {
        core::array::from_fn(|word| self.0[word / 8][word % 8].get())
    }

    /// The conversations in it.
    pub fn read(&self) -> impl Iterator<Item = Served> + '_ {
        (0..WAYS)
            .filter(|&way| self.tag(way).get() != 0)
            .map(|way| {
                let line = self.line(way);
                Served {
                    key: Key::from_words(core::array::from_fn(|word| line[word].get())),
                    begun: line[BEGUN].get() as u32,
                    refreshed: self.tag(way).get() as u32,
                }
            })
    }

    #[inline(always)]
    const fn line(&self, way: u32) -> &[Cell<u64>; 8] {
        &self.0[way as usize & 7]
    }

    #[inline(always)]
    const fn tag(&self, way: u32) -> &Cell<u64> {
        &self.0[WAYS as usize][way as usize & 7]
    }

    #[inline(always)]
    const fn displaced(&self) -> &Cell<u64> {
        self.tag(WAYS)
    }

    /// Whether the conversation with `key`, whose hash is `hash`, lies at `way`.
    #[inline(always)]
    fn is(&self, way: u32, key: &Key, hash: u64) -> bool {
        if self.tag(way).get() >> 32 != hash >> 32 {
            return false;
        }
        let line = self.line(way);
        let words = key.to_words();
        (line[0].get() ^ words[0])
            | (line[1].get() ^ words[1])
            | (line[2].get() ^ words[2])
            | (line[3].get() ^ words[3])
            | (line[4].get() ^ words[4])
            == 0
    }
}

/// Index of the set of a key with this `hash`, of `mask` sets and one.
#[inline(always)]
const fn index(hash: u64, mask: u32) -> u32 {
    (hash >> 20) as u32 & mask
}

/// The place that a key with this `hash` has where it is free.
#[inline(always)]
const fn home(hash: u64) -> u32 {
    ((hash >> 56) as u32 * WAYS) >> 8
}

#[inline(always)]
const fn tagged(hash: u64, now: u32) -> u64 {
    hash >> 32 << 32 | now as u64
}

/// Ticks from `tick` until `now`; none if another CPU's clock is ahead.
#[inline(always)]
const fn since(tick: u32, now: u32) -> u32 {
    let since = now.wrapping_sub(tick);
    since & (since >> 31).wrapping_sub(1)
}

/// Whether the conversation with `key` was refreshed so recently that this need not be done again; a
/// conversation that is not at its first place never is.
#[inline(always)]
pub fn is_fresh<F: Flows>(flows: &F, key: &Key) -> bool {
    let hash = key.hash(flows.seed());
    let Some(set) = flows.served(index(hash, flows.served_mask())) else {
        return true;
    };
    let tag = set.tag(home(hash)).get();
    tag >> 32 == hash >> 32 && since(tag as u32, flows.now()) < REFRESHED
}

/// Remembers, or refreshes, the conversation with `key`.
#[inline(always)]
pub fn remember<F: Flows>(flows: &F, key: &Key) {
    let (hash, now) = (key.hash(flows.seed()), flows.now());
    let Some(set) = flows.served(index(hash, flows.served_mask())) else {
        return;
    };
    // The place that was refreshed longest ago, the first one best.
    let first = home(hash);
    let (mut chosen, mut longest) = (first, 0);
    let mut way = 0;
    while way < WAYS {
        if set.is(way, key, hash) {
            if flows.writable() {
                set.tag(way).set(tagged(hash, now));
            }
            return;
        }
        let tag = set.tag(way).get();
        let empty = black_box(u64::from(tag == 0));
        let idle = u64::from(since(tag as u32, now)) | empty << 32;
        let idle = black_box(idle << 1 | u64::from(way == first));
        if idle > longest {
            (chosen, longest) = (black_box(way), idle);
        }
        way += 1;
    }
    if !flows.writable() {
        return;
    }
    let tag = set.tag(chosen);
    if tag.get() != 0 {
        set.displaced().set(DISPLACED | u64::from(now));
    }
    tag.set(0);
    compiler_fence(Ordering::SeqCst);
    let line = set.line(chosen);
    let words = key.to_words();
    line[0].set(words[0]);
    line[1].set(words[1]);
    line[2].set(words[2]);
    line[3].set(words[3]);
    line[4].set(words[4]);
    line[BEGUN].set(u64::from(now));
    compiler_fence(Ordering::SeqCst);
    tag.set(tagged(hash, now));
}

/// Ticks since the conversation with `key` was refreshed; if it is not remembered, since one of its set had
/// to make room, as it may have been that. [`NEVER`] if neither is so.
#[inline(always)]
pub fn idle<F: Flows>(flows: &F, key: &Key) -> u32 {
    let (hash, now) = (key.hash(flows.seed()), flows.now());
    let Some(set) = flows.served(index(hash, flows.served_mask())) else {
        return 0;
    };
    let mut way = 0;
    while way < WAYS {
        if set.is(way, key, hash) {
            return since(set.tag(way).get() as u32, now);
        }
        way += 1;
    }
    let displaced = set.displaced().get();
    if displaced == 0 {
        NEVER
    } else {
        since(displaced as u32, now)
    }
}
