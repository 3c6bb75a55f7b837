//! A flow as the table holds it: one cache line.

use core::{
    cell::Cell,
    sync::atomic::{Ordering, compiler_fence},
};

use super::{
    State,
    key::{CONNECTION, ENROLMENT, Key, TAG_SHIFT},
};
use crate::{
    frame::{origin::Origin, transport::IpProtocol},
    state::limit::admit_one,
};

/// Ticks from `last` to `now`; none if another CPU, whose clock was read later, has written `last`.
#[inline(always)]
const fn idle(now: u32, last: u32) -> u32 {
    let idle = now.wrapping_sub(last);
    if idle > i32::MAX as u32 { 0 } else { idle }
}

/// What one side has sent.
///
/// Bits 0 to 43: bytes of whole frames. Bits 44 to 47: what was seen. Bits 48 to 63, the mark: of a
/// local side that speaks TCP, the upper half of the sequence number it expects next; of fragments,
/// what the first was counted under.
///
/// Only packets of this side change it, so two CPUs seldom do at once; what they then lose is the
/// count of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Half(pub u64);

impl Half {
    const BYTES: u64 = (1 << 44) - 1;
    const MARK_SHIFT: u32 = 48;

    /// The side has sent something that belongs to an open connection; of the local side of TCP: an
    /// acknowledgement, so that the mark is what it expects next.
    pub const SEEN: u64 = 1 << 44;
    /// TCP: the side has sent FIN.
    pub const FIN: u64 = 1 << 45;
    /// TCP and SCTP: the side has ended the connection.
    pub const ENDED: u64 = 1 << 46;

    /// Nothing sent, but with these flags and this mark.
    #[inline(always)]
    #[must_use]
    pub const fn new(flags: u64, mark: u16) -> Self {
        Self(flags | (mark as u64) << Self::MARK_SHIFT)
    }

    /// After one more packet of `bytes` bytes, with more `flags`.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, bytes: u64, flags: u64) -> Self {
        let total = (self.0 & Self::BYTES).wrapping_add(bytes) & Self::BYTES;
        Self(self.0 & !Self::BYTES | total | flags)
    }

    /// With another mark.
    #[inline(always)]
    #[must_use]
    pub const fn marked(self, mark: u16) -> Self {
        Self(self.0 & ((1 << Self::MARK_SHIFT) - 1) | (mark as u64) << Self::MARK_SHIFT)
    }

    /// Whether any of `flags` is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    /// The mark.
    #[inline(always)]
    #[must_use]
    pub const fn mark(self) -> u16 {
        (self.0 >> Self::MARK_SHIFT) as u16
    }

    /// Bytes of whole frames, modulo 16 TiB.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 & Self::BYTES
    }
}

const TAIL: usize = 4;
const TIMES: usize = 5;
const SENT: usize = 6;
const RECEIVED: usize = 7;

/// One element of the table.
///
/// Words 0 to 4 hold the [`Key`], with 16 bits of its hash in the top of word 4; all zeros is an
/// empty entry. Word 5: tick of the last packet (lower half) and of the first. Words 6 and 7: what
/// was sent and received, each a [`Half`].
///
/// Of enrolments, the upper half of word 5 counts the packets of the last tick, and words 6 and 7
/// are the two words of an [`Origin`].
///
/// Programs on several CPUs write at the same time, word by word. A flow is found only if all five
/// words and the hash agree, so one that two CPUs have written at once is found by neither; the
/// host's next packet writes it again.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Entry([Cell<u64>; 8]);

const _: () = assert!(size_of::<Entry>() == 64);

impl Entry {
    /// The entry with these words.
    #[must_use]
    pub fn from_words(words: [u64; 8]) -> Self {
        Self(words.map(Cell::new))
    }

    #[inline(always)]
    fn get(&self, word: usize) -> u64 {
        self.0[word].get()
    }

    #[inline(always)]
    fn set(&self, word: usize, value: u64) {
        self.0[word].set(value);
    }

    /// Whether this is the flow with `key`, whose hash is `hash`.
    #[inline(always)]
    pub(super) fn is(&self, key: &Key, hash: u64) -> bool {
        self.get(TAIL) == tagged(key, hash)
            && (self.get(0) ^ key.local[0])
                | (self.get(1) ^ key.local[1])
                | (self.get(2) ^ key.remote[0])
                | (self.get(3) ^ key.remote[1])
                == 0
    }

    /// Puts a flow here, in place of what was.
    #[inline(always)]
    pub(super) fn put(&self, key: &Key, hash: u64, now: u32, sent: Half, received: Half) {
        self.set(TAIL, 0);
        compiler_fence(Ordering::SeqCst);
        self.set(0, key.local[0]);
        self.set(1, key.local[1]);
        self.set(2, key.remote[0]);
        self.set(3, key.remote[1]);
        let upper = if key.kind() == ENROLMENT { 1 } else { now };
        self.set(TIMES, u64::from(upper) << 32 | u64::from(now));
        self.set(SENT, sent.0);
        self.set(RECEIVED, received.0);
        compiler_fence(Ordering::SeqCst);
        self.set(TAIL, tagged(key, hash));
    }

    /// Notes the tick of a packet.
    #[inline(always)]
    pub(super) fn touch(&self, now: u32) {
        let times = self.get(TIMES);
        if times as u32 != now {
            self.set(TIMES, times >> 32 << 32 | u64::from(now));
        }
    }

    /// What the local side has sent.
    #[inline(always)]
    pub fn sent(&self) -> Half {
        Half(self.get(SENT))
    }

    #[inline(always)]
    pub(super) fn set_sent(&self, half: Half) {
        self.set(SENT, half.0);
    }

    /// What the remote side has sent.
    #[inline(always)]
    pub fn received(&self) -> Half {
        Half(self.get(RECEIVED))
    }

    #[inline(always)]
    pub(super) fn set_received(&self, half: Half) {
        self.set(RECEIVED, half.0);
    }

    /// Ticks since the last packet.
    #[inline(always)]
    pub(crate) fn idle(&self, now: u32) -> u32 {
        idle(now, self.get(TIMES) as u32)
    }

    /// Whether nothing is here.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.get(TAIL) == 0
    }

    /// Kind of the key.
    #[inline(always)]
    pub(super) fn kind(&self) -> u8 {
        (self.get(TAIL) >> 40) as u8 & 0x7f
    }

    /// Whether a connection is here, no fragments.
    #[inline(always)]
    pub(super) fn is_connection(&self) -> bool {
        self.kind() == CONNECTION
    }

    /// Where an enrolment comes from.
    #[inline(always)]
    pub fn origin(&self) -> Origin {
        Origin {
            mac: self.get(SENT),
            link: self.get(RECEIVED),
        }
    }

    /// Notes one more packet of an enrolment, of `most` in a tick; `false` if it is one too many.
    #[inline(always)]
    pub(crate) fn admit(&self, now: u32, most: u32, writable: bool) -> bool {
        admit_one(&self.0[TIMES], now, most, writable)
    }

    /// The flow's state.
    #[inline(always)]
    pub(super) fn state(&self) -> u8 {
        let tail = self.get(TAIL);
        let (sent, received) = (self.sent(), self.received());
        match self.kind() {
            CONNECTION => {}
            ENROLMENT => return State::Enrolment.code(),
            _ => return State::Fragments.code(),
        }
        let established = received.has(Half::SEEN);
        let ended = sent.has(Half::ENDED) | received.has(Half::ENDED);
        match IpProtocol((tail >> 32) as u8) {
            IpProtocol::TCP if ended => State::TcpClosed.code(),
            IpProtocol::TCP if sent.has(Half::FIN) | received.has(Half::FIN) => {
                State::TcpClosing.code()
            }
            IpProtocol::TCP => State::TcpOpening.code() + u8::from(established),
            IpProtocol::UDP => State::UdpOpening.code() + u8::from(established),
            IpProtocol::SCTP if ended => State::SctpClosed.code(),
            IpProtocol::SCTP => State::SctpOpening.code() + u8::from(established),
            IpProtocol::ICMP | IpProtocol::ICMPV6 => State::Echo.code(),
            _ => State::OtherOpening.code() + u8::from(established),
        }
    }

    /// The flow in words that agree with each other; `None` for an empty entry.
    #[must_use]
    pub fn read(&self) -> Option<Flow> {
        let tail = self.get(TAIL);
        let key = Key {
            local: [self.get(0), self.get(1)],
            remote: [self.get(2), self.get(3)],
            tail: tail & ((1 << TAG_SHIFT) - 1),
        };
        let times = self.get(TIMES);
        (tail != 0).then_some(Flow {
            key,
            state: State::from_code(self.state())?,
            last: times as u32,
            opened: (times >> 32) as u32,
            sent: self.sent(),
            received: self.received(),
        })
    }
}

#[inline(always)]
const fn tagged(key: &Key, hash: u64) -> u64 {
    key.tail | (hash >> 20) << TAG_SHIFT
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
    /// Tick of its first packet.
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
        idle(now, self.last)
    }
}
