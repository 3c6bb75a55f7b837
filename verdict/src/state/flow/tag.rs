//! What is told of an entry beside it, in one word.
//!
//! The tags of a set share a cache line, so that a flow is looked for, and a place for a new one found,
//! without reading the entries.

use super::{
    State,
    half::Half,
    key::{CONNECTION, Key},
};
use crate::frame::transport::IpProtocol;

/// What is told of an entry; all zeros of an empty one.
///
/// Bits 0 to 31: tick of the last packet. 32 and 33: FIN and end of the local side. 34 to 36: what is
/// seen, FIN, and end of the remote side. 37 to 39: class. 40: a rule permits the flow. 41 to 47: hash of
/// whom its place counts for. 48 to 63: hash of the key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tag(pub u64);

const FLAGS_SHIFT: u32 = 32;
const CLASS_SHIFT: u32 = 37;
const OWNER_SHIFT: u32 = 41;
const OWNER_MASK: u64 = (1 << 7) - 1;
const HASH_SHIFT: u32 = 48;

const RULED: u64 = 1 << 40;
/// What packets change.
const CHANGING: u64 = (1 << CLASS_SHIFT) - 1;

/// What a flow is, as far as its states tell.
mod class {
    pub const TCP: u8 = 0;
    pub const UDP: u8 = 1;
    pub const SCTP: u8 = 2;
    pub const ECHO: u8 = 3;
    pub const OTHER: u8 = 4;
    pub const FRAGMENTS: u8 = 5;
}

/// The class of the flow with `key`.
#[inline(always)]
const fn class(key: &Key) -> u8 {
    match key.kind() {
        CONNECTION => match IpProtocol(key.protocol()) {
            IpProtocol::TCP => class::TCP,
            IpProtocol::UDP => class::UDP,
            IpProtocol::SCTP => class::SCTP,
            IpProtocol::ICMP | IpProtocol::ICMPV6 => class::ECHO,
            _ => class::OTHER,
        },
        _ => class::FRAGMENTS,
    }
}

/// The state of a flow of this class with these flags, as they lie in a tag.
const fn state(class: u8, flags: usize) -> u8 {
    let (fin, ended) = (flags & 0b01001 != 0, flags & 0b10010 != 0);
    let seen = flags & 0b00100 != 0;
    let state = match class {
        class::TCP if ended => State::TcpClosed,
        class::TCP if fin => State::TcpClosing,
        class::TCP if seen => State::TcpEstablished,
        class::TCP => State::TcpOpening,
        class::UDP if seen => State::UdpEstablished,
        class::UDP => State::UdpOpening,
        class::SCTP if ended => State::SctpClosed,
        class::SCTP if seen => State::SctpEstablished,
        class::SCTP => State::SctpOpening,
        class::ECHO => State::Echo,
        class::OTHER if seen => State::OtherEstablished,
        class::OTHER => State::OtherOpening,
        _ => State::Fragments,
    };
    state.code()
}

/// State by flags and class.
static STATES: [u8; 256] = {
    let mut states = [0; 256];
    let mut index = 0;
    while index < 256 {
        states[index] = state((index >> 5) as u8, index & 0x1f);
        index += 1;
    }
    states
};

/// What a flow of this class with these flags is worth.
const fn worth(class: u8, flags: usize, ruled: bool) -> u8 {
    let seen = flags & 0b00100 != 0;
    match class {
        class::FRAGMENTS if ruled => Worth::RULED_FRAGMENTS,
        class::FRAGMENTS => Worth::FRAGMENTS,
        _ if ruled && seen => Worth::RULED_ANSWERED,
        _ if ruled => Worth::RULED_UNANSWERED,
        _ if seen => Worth::ANSWERED,
        _ => Worth::UNANSWERED,
    }
    .0
}

/// Worth by flags, class, and whether a rule permits it.
static WORTHS: [u8; 512] = {
    let mut worths = [0; 512];
    let mut index = 0;
    while index < 512 {
        let class = (index >> 5) as u8 & 7;
        worths[index] = worth(class, index & 0x1f, index >= 256);
        index += 1;
    }
    worths
};

impl Tag {
    /// The tag of a new flow with `key`, whose hash is `hash`. `ruled` says whether a rule permits it.
    #[inline(always)]
    #[must_use]
    pub const fn new(key: &Key, hash: u64, ruled: bool) -> Self {
        let ruled = if ruled { RULED } else { 0 };
        Self(
            (class(key) as u64) << CLASS_SHIFT
                | ruled
                | (key.owner() & OWNER_MASK) << OWNER_SHIFT
                | (hash >> 20) << HASH_SHIFT,
        )
    }

    /// The tag at `now`, of a flow of which the sides have sent this.
    #[inline(always)]
    #[must_use]
    pub const fn at(self, now: u32, sent: Half, received: Half) -> Self {
        let sent = sent.0 >> (Half::FLAGS_SHIFT + 1) & 0b11;
        let received = received.0 >> Half::FLAGS_SHIFT & 0b111;
        let flags = sent | received << 2;
        Self(self.0 & !CHANGING | flags << FLAGS_SHIFT | now as u64)
    }

    /// Whether there is no flow.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the flow's key may have this `hash`.
    #[inline(always)]
    #[must_use]
    pub const fn may_be(self, hash: u64) -> bool {
        self.0 >> HASH_SHIFT == hash >> 20 & 0xffff
    }

    /// Tick of the last packet.
    #[inline(always)]
    #[must_use]
    pub const fn last(self) -> u32 {
        self.0 as u32
    }

    /// Ticks since the last packet; none if another CPU, whose clock was read later, has noted it.
    #[inline(always)]
    #[must_use]
    pub const fn idle(self, now: u32) -> u32 {
        let idle = now.wrapping_sub(self.last());
        // All ones of a positive number, without a branch that the kernel's verifier would follow.
        idle & (idle >> 31).wrapping_sub(1)
    }

    /// The flow's state, as a code.
    #[inline(always)]
    #[must_use]
    pub fn state(self) -> u8 {
        STATES[usize::from((self.0 >> FLAGS_SHIFT) as u8)]
    }

    /// Whom its place counts for: seven bits.
    #[inline(always)]
    #[must_use]
    pub const fn owner(self) -> u64 {
        self.0 >> OWNER_SHIFT & OWNER_MASK
    }

    /// What the flow is worth where another needs a place.
    #[inline(always)]
    #[must_use]
    pub fn worth(self) -> Worth {
        Worth(WORTHS[usize::from((self.0 >> FLAGS_SHIFT) as u16) % WORTHS.len()])
    }
}

/// What a flow is worth where all places are taken: what no rule permits is given up before what a rule
/// permits, fragments before connections, what waits for an answer before what was answered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Worth(pub u8);

impl Worth {
    const FRAGMENTS: Self = Self(1);
    const UNANSWERED: Self = Self(2);
    const ANSWERED: Self = Self(3);
    const RULED_FRAGMENTS: Self = Self(4);
    /// A connection that a rule permits, and that waits for its answer.
    pub const RULED_UNANSWERED: Self = Self(5);
    /// A connection that a rule permits, and that was answered.
    pub const RULED_ANSWERED: Self = Self(6);
    /// What is never given up.
    pub const HELD: Self = Self(7);

    /// The most that is given up for a new flow that is itself worth this.
    #[inline(always)]
    #[must_use]
    pub const fn displaces(self) -> Self {
        match self {
            Self::UNANSWERED => Self::ANSWERED,
            Self::RULED_ANSWERED | Self::HELD => Self::RULED_UNANSWERED,
            other => other,
        }
    }
}
