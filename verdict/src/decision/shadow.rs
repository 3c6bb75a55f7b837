//! A shadow: a candidate policy that judges packets beside the one in force, and only counts.
//!
//! What is noted is that both would not do the same with a packet. There are as many such differences
//! as the policies have names, but as many strangers as somebody cares to invent; so the addresses of
//! these lie in a table of their own.

use super::Ip;
use crate::{
    counters::Direction,
    frame::{
        address::{Ipv4, Ipv6, family},
        ethernet::{self, EtherType},
        packet::Packet,
    },
    reason::{Outcome, Verdict},
};

/// Differences that have an entry.
pub const DIFFERENCES: u32 = 1 << 13;

/// Strangers that have one.
pub const STRANGERS: u32 = 1 << 12;

/// Where a packet was judged: bits of [`Difference::place`].
pub mod place {
    /// It was sent by the host.
    pub const OUT: u64 = 1;
    /// It was judged at the sockets.
    pub const DOOR: u64 = 2;
    /// The address beside it is one of IPv6.
    pub const IPV6: u64 = 4;
}

/// What two policies would do with a packet, where that is not the same.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct Difference {
    /// [`Outcome`] by the policy in force, in its numbers.
    pub enforced: u64,
    /// [`Outcome`] by the candidate, in its numbers.
    pub candidate: u64,
    /// Bits of [`place`].
    pub place: u64,
}

impl Difference {
    /// Between these two outcomes of a packet; `None` if both come to the same.
    #[inline(always)]
    #[must_use]
    pub fn between(enforced: Outcome, candidate: Outcome, place: u64) -> Option<Self> {
        (enforced.verdict() != candidate.verdict()).then_some(Self {
            enforced: enforced.0,
            candidate: candidate.0,
            place,
        })
    }

    /// Which of the [`Total`]s it counts to.
    #[inline(always)]
    #[must_use]
    pub const fn total(&self) -> Total {
        match Outcome(self.candidate).verdict() {
            Verdict::Drop => Total::Dropped,
            Verdict::Pass => Total::Admitted,
        }
    }

    /// Whether neither policy knows who is at the far end.
    #[inline(always)]
    #[must_use]
    pub const fn is_strangers(&self) -> bool {
        Outcome(self.enforced).endpoint() == 0 && Outcome(self.candidate).endpoint() == 0
    }
}

/// A difference, and the stranger's address that it was seen with, as
/// [`Family::to_words`](crate::frame::address::Family::to_words) writes it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct Stranger {
    /// The difference.
    pub difference: Difference,
    /// The address.
    pub address: [u64; 2],
}

/// How often something was seen, and when, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
    /// When the first was seen.
    pub first: u64,
    /// When the last was.
    pub last: u64,
}

const _: () = assert!(size_of::<Stranger>() == 40 && size_of::<Tally>() == 32);

/// What is counted apart from any entry, so that it is exact however full the tables are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Total {
    /// What the candidate would newly drop.
    Dropped,
    /// What it would newly admit.
    Admitted,
    /// What of both has no entry, as there was no room.
    Unrecorded,
}

impl Total {
    /// How many there are.
    pub const COUNT: u32 = 3;
}

/// The address at the far end of a frame, and the bits of [`place`] that go with it; zeros if there is none.
#[inline(always)]
pub fn far_end<P: Packet>(frame: &P, direction: Direction) -> ([u64; 2], u64) {
    match ethernet::parse(frame) {
        Ok(header) => far_end_at(frame, header.ether_type, header.opaque().payload, direction),
        Err(_) => ([0; 2], 0),
    }
}

/// The same of a packet whose network header is at offset `at`.
#[inline(always)]
pub fn far_end_at<P: Packet>(
    packet: &P,
    ether_type: EtherType,
    at: usize,
    direction: Direction,
) -> ([u64; 2], u64) {
    match ether_type {
        EtherType::IPV4 => remote::<Ipv4, P>(packet, at, direction),
        EtherType::IPV6 => remote::<Ipv6, P>(packet, at, direction),
        _ => ([0; 2], 0),
    }
}

#[inline(always)]
fn remote<A: Ip, P: Packet>(packet: &P, at: usize, direction: Direction) -> ([u64; 2], u64) {
    let Some(header) = A::header(packet, at) else {
        return ([0; 2], 0);
    };
    let address = match direction {
        Direction::In => A::source(header),
        Direction::Out => A::destination(header),
    };
    (address.to_words(), family::<A>() as u64 * place::IPV6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{host::Frame, reason::Reason};

    const PASSES: Outcome = Outcome::new(Reason::Permitted, false, 3, 7);
    const DROPS: Outcome = Outcome::new(Reason::WrongRole, false, 3, 7);

    #[test]
    fn only_what_becomes_of_a_packet_makes_a_difference() {
        let audited = Outcome::new(Reason::WrongRole, true, 3, 7);
        let other = Outcome::new(Reason::Established, false, 9, 7);
        for (one, two) in [(PASSES, other), (PASSES, audited), (DROPS, DROPS)] {
            assert_eq!(Difference::between(one, two, 0), None);
        }
        let newly_dropped = Difference::between(audited, DROPS, place::DOOR).unwrap();
        assert_eq!(newly_dropped.total(), Total::Dropped);
        let newly_admitted = Difference::between(DROPS, PASSES, place::OUT).unwrap();
        assert_eq!(newly_admitted.total(), Total::Admitted);
    }

    #[test]
    fn who_is_known_to_one_policy_is_no_stranger() {
        let stranger = Outcome::new(Reason::UnknownSource, false, 3, 0);
        let anyone = Outcome::new(Reason::Permitted, false, 3, 0);
        let is_strangers =
            |one, two| Difference::between(one, two, 0).map(|between| between.is_strangers());
        assert_eq!(is_strangers(stranger, anyone), Some(true));
        assert_eq!(is_strangers(stranger, PASSES), Some(false));
        assert_eq!(is_strangers(PASSES, stranger), Some(false));
    }

    #[test]
    fn the_far_end_is_read_behind_tags_and_in_both_directions() {
        let mut ipv4 = [0; 14 + 4 + 20];
        ipv4[12..18].copy_from_slice(&[0x81, 0, 0, 17, 8, 0]);
        ipv4[18] = 0x45;
        ipv4[30..38].copy_from_slice(&[192, 0, 2, 10, 192, 0, 2, 17]);
        let of = |bytes: &[u8], direction| {
            far_end(
                &Frame {
                    bytes,
                    ..Frame::default()
                },
                direction,
            )
        };
        assert_eq!(of(&ipv4, Direction::In), ([0, 0xc000_020a], 0));
        assert_eq!(of(&ipv4, Direction::Out), ([0, 0xc000_0211], 0));
        let mut ipv6 = [0; 14 + 40];
        ipv6[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
        ipv6[22] = 0x20;
        ipv6[37] = 1;
        ipv6[53] = 2;
        let source = [0x20 << 56, 1];
        assert_eq!(of(&ipv6, Direction::In), (source, place::IPV6));
        assert_eq!(of(&ipv6, Direction::Out), ([0, 2], place::IPV6));
        assert_eq!(of(&ipv6[..30], Direction::In), ([0; 2], 0));
        assert_eq!(of(&[0; 14], Direction::In), ([0; 2], 0));
    }
}
