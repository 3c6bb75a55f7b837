//! A flow as the table holds it: one cache line, and a [`Tag`] beside it.

use core::{
    cell::Cell,
    sync::atomic::{Ordering, compiler_fence},
};

use super::{
    State,
    half::Half,
    key::{CONNECTION, Key, TAG_SHIFT},
    tag::Tag,
};
use crate::state::sets::WAYS;

/// One element of the table.
///
/// `key` holds the [`Key`], with 16 bits of its hash in the top of the last word; all zeros is an empty
/// entry. `sent` and `received` are what the local and the remote side have sent, each a [`Half`].
///
/// `numbers` are of the local and of the remote side. TCP: what the local side expects next (before it has
/// acknowledged anything: what an acknowledgement of its SYN carries), and what the remote side sends
/// next, as far as it is received in order. SCTP: the verification tags that packets of that side carry.
///
/// Of enrolments, `sent` and `received` are the two words of an [`Origin`], and the first number counts the
/// packets of the last tick.
///
/// Programs on several CPUs write at the same time, word by word. A flow is found only if all five
/// words and the hash agree, so one that two CPUs have written at once is found by neither.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Entry {
    key: [Cell<u64>; 5],
    numbers: [Cell<u32>; 2],
    sent: Cell<u64>,
    received: Cell<u64>,
}

const TAIL: usize = 4;

/// A set of the table: the entries, then their tags.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Set {
    entries: [Entry; WAYS as usize],
    tags: [Cell<u64>; WAYS as usize],
}

const _: () = assert!(size_of::<Entry>() == 64 && size_of::<Set>() == 64 * (WAYS as usize + 1));

/// Words of a set.
pub const SET_WORDS: usize = size_of::<Set>() / 8;

impl Set {
    /// The set with these words.
    #[must_use]
    pub fn from_words(words: &[u64; SET_WORDS]) -> Self {
        let (entries, tags) = words.split_at(8 * WAYS as usize);
        Self {
            entries: core::array::from_fn(|way| {
                let words = &entries[8 * way..];
                Entry {
                    key: core::array::from_fn(|word| Cell::new(words[word])),
                    numbers: [
                        Cell::new(words[5] as u32),
                        Cell::new((words[5] >> 32) as u32),
                    ],
                    sent: Cell::new(words[6]),
                    received: Cell::new(words[7]),
                }
            }),
            tags: core::array::from_fn(|way| Cell::new(tags[way])),
        }
    }

    /// Its words.
    #[must_use]
    pub fn to_words(&self) -> [u64; SET_WORDS] {
        let mut words = [0; SET_WORDS];
        let (entries, tags) = words.split_at_mut(8 * WAYS as usize);
        for (entry, words) in self.entries.iter().zip(entries.chunks_mut(8)) {
            for (word, key) in words.iter_mut().zip(&entry.key) {
                *word = key.get();
            }
            let [local, remote] = &entry.numbers;
            words[5] = u64::from(remote.get()) << 32 | u64::from(local.get());
            words[6] = entry.sent.get();
            words[7] = entry.received.get();
        }
        for (word, tag) in tags.iter_mut().zip(&self.tags) {
            *word = tag.get();
        }
        words
    }

    /// The place `way`, modulo [`WAYS`].
    #[inline(always)]
    pub const fn slot(&self, way: u32) -> Slot<'_> {
        let way = way as usize % WAYS as usize;
        Slot {
            entry: &self.entries[way],
            tag: &self.tags[way],
        }
    }

    /// The tag at `way`, modulo [`WAYS`].
    #[inline(always)]
    pub const fn tag(&self, way: u32) -> Tag {
        Tag(self.tags[way as usize % WAYS as usize].get())
    }
}

/// An entry and its tag.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    entry: &'a Entry,
    tag: &'a Cell<u64>,
}

impl Slot<'_> {
    /// Whether this is the flow with `key`, whose hash is `hash`.
    #[inline(always)]
    pub(super) fn is(self, key: &Key, hash: u64) -> bool {
        let words = &self.entry.key;
        words[TAIL].get() == tagged(key, hash)
            && (words[0].get() ^ key.local[0])
                | (words[1].get() ^ key.local[1])
                | (words[2].get() ^ key.remote[0])
                | (words[3].get() ^ key.remote[1])
                == 0
    }

    /// Puts a flow here, in place of what was.
    #[inline(always)]
    pub(super) fn put(self, key: &Key, hash: u64, now: u32, new: &New) {
        let Entry {
            key: words,
            numbers,
            sent,
            received,
        } = self.entry;
        words[TAIL].set(0);
        compiler_fence(Ordering::SeqCst);
        words[0].set(key.local[0]);
        words[1].set(key.local[1]);
        words[2].set(key.remote[0]);
        words[3].set(key.remote[1]);
        numbers[0].set(new.numbers[0]);
        numbers[1].set(new.numbers[1]);
        let (mut sends, mut receives) = (new.sent, new.received);
        if key.kind() == CONNECTION {
            sends = sends.marked(now as u16);
            receives = receives.marked((now >> 16) as u16);
        }
        sent.set(sends.0);
        received.set(receives.0);
        let tag = Tag::new(key, hash, new.ruled).at(now, sends, receives);
        self.tag.set(tag.0);
        compiler_fence(Ordering::SeqCst);
        words[TAIL].set(tagged(key, hash));
    }

    /// What is told of the flow.
    #[inline(always)]
    #[must_use]
    pub const fn tag(self) -> Tag {
        Tag(self.tag.get())
    }

    /// What the local side has sent.
    #[inline(always)]
    #[must_use]
    pub const fn sent(self) -> Half {
        Half(self.entry.sent.get())
    }

    /// What the remote side has sent.
    #[inline(always)]
    #[must_use]
    pub const fn received(self) -> Half {
        Half(self.entry.received.get())
    }

    /// The number of the local side.
    #[inline(always)]
    #[must_use]
    pub const fn local_number(self) -> u32 {
        self.entry.numbers[0].get()
    }

    /// The number of the remote side.
    #[inline(always)]
    #[must_use]
    pub const fn remote_number(self) -> u32 {
        self.entry.numbers[1].get()
    }

    #[inline(always)]
    pub(super) fn set_local_number(self, number: u32) {
        self.entry.numbers[0].set(number);
    }

    #[inline(always)]
    pub(super) fn set_remote_number(self, number: u32) {
        self.entry.numbers[1].set(number);
    }

    /// Notes at `now` what both sides have sent.
    #[inline(always)]
    pub(super) fn note(self, now: u32, sent: Half, received: Half) {
        let (before, tag) = (self.tag(), self.tag().at(now, sent, received));
        // Most packets find it as it is; the cache line then stays with all CPUs.
        if tag != before {
            self.tag.set(tag.0);
        }
    }

    /// Notes at `now` that the connection is open still.
    pub fn keep(self, now: u32) {
        self.note(now, self.sent(), self.received());
    }

    #[inline(always)]
    pub(super) fn set_sent(self, half: Half) {
        self.entry.sent.set(half.0);
    }

    #[inline(always)]
    pub(super) fn set_received(self, half: Half) {
        self.entry.received.set(half.0);
    }

    /// The flow in words that agree with each other; `None` for an empty entry.
    #[must_use]
    pub fn read(self) -> Option<Flow> {
        let [a, b, c, d, tail] = [0, 1, 2, 3, 4].map(|word: usize| self.entry.key[word].get());
        let tag = self.tag();
        let (sent, received) = (self.sent(), self.received());
        (tail != 0).then_some(Flow {
            key: Key {
                local: [a, b],
                remote: [c, d],
                tail: tail & ((1 << TAG_SHIFT) - 1),
            },
            state: State::from_code(tag.state())?,
            last: tag.last(),
            opened: u32::from(received.mark()) << 16 | u32::from(sent.mark()),
            sent,
            received,
        })
    }
}

#[inline(always)]
const fn tagged(key: &Key, hash: u64) -> u64 {
    key.tail | (hash >> 20) << TAG_SHIFT
}

/// What is known of a flow when it is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct New {
    /// What the local side has sent.
    pub sent: Half,
    /// What the remote side has sent.
    pub received: Half,
    /// The numbers of both sides, local first; see [`Entry`].
    pub numbers: [u32; 2],
    /// Whether a rule permits it.
    pub ruled: bool,
}

/// A flow, read out of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flow {
    /// Its five-tuple.
    pub key: Key,
    /// How far it has come.
    pub state: State,
    /// Tick of its last packet.
    pub last: u32,
    /// Tick of its first packet, of a connection.
    pub opened: u32,
    /// What the local side has sent.
    pub sent: Half,
    /// What the remote side has sent.
    pub received: Half,
}

impl Flow {
    /// Whether this is a connection, no fragments.
    #[must_use]
    pub const fn is_connection(&self) -> bool {
        self.key.kind() == CONNECTION
    }

    /// Ticks since its last packet.
    #[must_use]
    pub const fn idle(&self, now: u32) -> u32 {
        Tag(self.last as u64).idle(now)
    }
}
