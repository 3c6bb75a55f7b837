//! Sessions of enrolment: where the datagrams between two addresses and ports came from first.
//!
//! They lie among the words that strangers may change ([`Flows::limit`]), first of all, in sets of
//! [`WAYS`]. One lasts a second until its source has shown that it receives at its address, and only such make
//! room for others; then as long as a handshake may take; and once the agent has verified the certificate, as
//! long as the agent says.

use crate::{
    frame::origin::Origin,
    state::{
        clock::ticks,
        flow::Flows,
        limit::Limit,
        sets::{NOWHERE, WAYS},
        tag::tag,
    },
};

/// Sets of sessions, less one.
const MASK: u32 = (1 << 11) - 1;

/// Words about a session: its hash, 0 where there is none; MAC address, and from [`SILENCE_SHIFT`] on the
/// ticks of silence that it outlives once its source has shown where it receives; VLAN tags and interface; how much it has sent in the tick of its last datagram.
const SESSION: u32 = 4;
const MAC: u32 = 1;
const LINK: u32 = 2;
const SENT: u32 = 3;

/// Words about all sessions, of which there are 16,384.
const SESSIONS: u32 = (MASK + 1) * WAYS * SESSION;

/// The key of the marks in the agent's tokens, which only the agent writes: two words, 0 where there is none.
pub const KEY: u32 = SESSIONS;
/// How many datagrams were refused because there were too many, or because they began no handshake, about:
/// several CPUs count without a lock.
pub const REFUSED: u32 = KEY + 2;

/// Words about all sessions, with those beside them.
pub const WORDS: u32 = REFUSED + 1;

/// Where the ticks of silence lie, 0 for a session whose source has shown nothing; and most of them.
const SILENCE_SHIFT: u32 = 48;
const MOST_SILENCE: u32 = (1 << 16) - 1;
const MAC_BITS: u64 = (1 << SILENCE_SHIFT) - 1;

/// Ticks of silence after which a session is over whose source has not shown that it receives at its address.
pub const BEGUN_TICKS: u32 = ticks(1);
/// The same for one whose source has: a handshake takes 5 seconds at most.
pub const SHOWN_TICKS: u32 = ticks(5);

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
        let most = if self.lasts() {
            (self.mac.get() >> SILENCE_SHIFT) as u32
        } else {
            BEGUN_TICKS
        };
        self.id.get() != 0 && self.silence(now) <= most
    }

    /// Whether its source has shown that it receives at its address.
    #[inline(always)]
    #[must_use]
    pub fn lasts(&self) -> bool {
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

    /// Replaces it by the session with this `hash`, whose first datagram comes from `origin`, and that lasts if
    /// that has `shown` where its source receives.
    #[inline(always)]
    pub fn put(&self, hash: u64, origin: Origin, shown: bool, now: u32) {
        self.id.set(0);
        let silence = u64::from(shown) * u64::from(SHOWN_TICKS);
        self.mac.set(origin.mac | silence << SILENCE_SHIFT);
        self.link.set(origin.link);
        self.sent.set(1 << 32 | u64::from(now));
        self.id.set(hash | 1);
    }
}

/// The mark in the token of a Retry to this source, which nobody else can make; 0 if there is no key.
///
/// It says that the source receives at its address: the agent sends it nowhere else. A token is good for 15
/// seconds, which the agent looks at; the mark is until the agent's next start.
#[inline(always)]
pub fn shown<F: Flows>(flows: &F, address: [u64; 2], port: u32) -> u64 {
    let word = |index: u32| flows.limit(index).map_or(0, Limit::get);
    let key = [word(KEY), word(KEY + 1)];
    if key == [0; 2] {
        return 0;
    }
    tag(key, [address[0], address[1], u64::from(port)])
}

/// The index of the session with this `hash`, or of the place that it would take: a free one, or that of the
/// session that has shown nothing and been silent longest. [`NOWHERE`] if all have shown where they receive.
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
        } else if entry.lasts() {
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
