//! Sessions of enrolment: where the datagrams between two addresses and ports came from first.
//!
//! They lie among the words that strangers may change ([`Flows::limit`]), first of all, in sets of
//! [`WAYS`]. One that has proven nothing yet lasts as long as a handshake may take, and only such make room
//! for others.

use crate::{
    frame::origin::Origin,
    state::{
        clock::ticks,
        flow::Flows,
        limit::Limit,
        sets::{NOWHERE, WAYS},
    },
};

/// Sets of sessions, less one.
const MASK: u32 = (1 << 11) - 1;

/// Words about a session: its hash, 0 where there is none; MAC address, and from [`SILENCE_SHIFT`] on the
/// ticks of silence that it outlives once its endpoint has proven who it is; VLAN tags and interface; how much it has sent in the tick of its last datagram.
const SESSION: u32 = 4;
const MAC: u32 = 1;
const LINK: u32 = 2;
const SENT: u32 = 3;

/// Words about all sessions, of which there are 16,384.
pub const WORDS: u32 = (MASK + 1) * WAYS * SESSION;

/// Where the ticks of silence lie, 0 for a session that has proven nothing; and most of them.
const SILENCE_SHIFT: u32 = 48;
const MOST_SILENCE: u32 = (1 << 16) - 1;
const MAC_BITS: u64 = (1 << SILENCE_SHIFT) - 1;

/// Ticks of silence after which a session is over that has proven nothing: a handshake takes 5 seconds at
/// most.
pub const UNPROVEN_TICKS: u32 = ticks(5);

/// The words about one session.
pub struct Entry<'a> {
    id: &'a Limit,
    mac: &'a Limit,
    link: &'a Limit,
    /// How much it has sent in the tick of its last datagram.
    pub sent: &'a Limit,
}

impl<'a> Entry<'a> {
    /// Those that begin at `index`; `None` if there are none.
    #[inline(always)]
    pub fn at<F: Flows>(flows: &'a F, index: u32) -> Option<Self> {
        let word = |word: u32| flows.limit(index.wrapping_add(word));
        Some(Self {
            id: word(0)?,
            mac: word(MAC)?,
            link: word(LINK)?,
            sent: word(SENT)?,
        })
    }

    /// Whether this is the session with this `hash`, and goes on at `now`.
    #[inline(always)]
    #[must_use]
    pub fn is(&self, hash: u64, now: u32) -> bool {
        self.id.get() == hash | 1 && self.lives(now)
    }

    #[inline(always)]
    fn lives(&self, now: u32) -> bool {
        let most = if self.is_proven() {
            (self.mac.get() >> SILENCE_SHIFT) as u32
        } else {
            UNPROVEN_TICKS
        };
        self.id.get() != 0 && self.silence(now) <= most
    }

    #[inline(always)]
    fn is_proven(&self) -> bool {
        self.mac.get() >> SILENCE_SHIFT != 0
    }

    /// Ticks since its last datagram.
    #[inline(always)]
    fn silence(&self, now: u32) -> u32 {
        now.wrapping_sub(self.sent.get() as u32)
    }

    /// Where its first datagram came from.
    #[inline(always)]
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            mac: self.mac.get() & MAC_BITS,
            link: self.link.get(),
        }
    }

    /// Replaces it by the session with this `hash`, whose first datagram comes from `origin`.
    #[inline(always)]
    pub fn put(&self, hash: u64, origin: Origin, now: u32) {
        self.id.set(0);
        self.mac.set(origin.mac);
        self.link.set(origin.link);
        self.sent.set(1 << 32 | u64::from(now));
        self.id.set(hash | 1);
    }
}

/// The index of the session with this `hash`, or of the place that it would take: a free one, or that of the
/// session that has proven nothing and been silent longest. [`NOWHERE`] if all have proven who they are.
#[inline(always)]
pub fn search<F: Flows>(flows: &F, hash: u64) -> u32 {
    let now = flows.now();
    let set = ((hash >> 40) as u32 & MASK) * (WAYS * SESSION);
    let (mut best, mut silent) = (NOWHERE, 0);
    let mut way = 0;
    while way < WAYS {
        let index = set + way * SESSION;
        let Some(entry) = Entry::at(flows, index) else {
            return NOWHERE;
        };
        if entry.is(hash, now) {
            return index;
        }
        let silence = if !entry.lives(now) {
            u32::MAX
        } else if entry.is_proven() {
            0
        } else {
            entry.silence(now) + 1
        };
        if silence > silent {
            (best, silent) = (index, silence);
        }
        way += 1;
    }
    best
}

/// Where the first datagram of the session with this `hash` came from, with the index and the new value of
/// the word by which it is noted that its endpoint has proven who it is, and outlives so many seconds of
/// silence (four hours at most). `None` if there is no such session.
#[must_use]
pub fn proven<F: Flows>(flows: &F, hash: u64, seconds: u32) -> Option<(Origin, u32, u64)> {
    let index = search(flows, hash);
    let entry = Entry::at(flows, index).filter(|entry| entry.is(hash, flows.now()))?;
    let silence = u64::from(ticks(seconds).min(MOST_SILENCE));
    let origin = entry.origin();
    Some((origin, index + MAC, origin.mac | silence << SILENCE_SHIFT))
}
