//! ICMP (RFC 792) and ICMPv6 (RFC 4443): what a message is for.

use super::packet::{Packet, bounded};
use crate::reason::Reason;

/// What a message is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Class(u8);

impl Class {
    /// Every other type.
    pub const OTHER: Self = Self(0);
    /// Echo request, and what else asks for a reply.
    pub const REQUEST: Self = Self(1);
    /// Echo reply, and what else answers a request.
    pub const REPLY: Self = Self(2);
    /// Unreachable, packet too big, time exceeded, parameter problem: quotes the packet it is about.
    pub const ERROR: Self = Self(3);
    /// Another route.
    pub const REDIRECT: Self = Self(4);
    /// Router solicitation and advertisement, neighbour solicitation and advertisement (RFC 4861).
    pub const DISCOVERY: Self = Self(5);
    /// Multicast listener query, report and done (RFC 2710, RFC 3810).
    pub const MEMBERSHIP: Self = Self(6);

    /// What an ICMP message of this type is for.
    #[inline(always)]
    #[must_use]
    pub const fn of_icmp(kind: u8) -> Self {
        match kind {
            0 | 14 | 16 | 18 | 43 => Self::REPLY,
            3 | 11 | 12 => Self::ERROR,
            5 => Self::REDIRECT,
            8 | 13 | 15 | 17 | 42 => Self::REQUEST,
            _ => Self::OTHER,
        }
    }

    /// What an ICMPv6 message of this type is for.
    #[inline(always)]
    #[must_use]
    pub const fn of_icmpv6(kind: u8) -> Self {
        match kind {
            1..=4 => Self::ERROR,
            128 | 139 | 144 | 160 => Self::REQUEST,
            129 | 140 | 145 | 161 => Self::REPLY,
            130..=132 | 143 => Self::MEMBERSHIP,
            133..=136 => Self::DISCOVERY,
            137 => Self::REDIRECT,
            _ => Self::OTHER,
        }
    }
}

/// The type of the replies to a request of type `kind`, of ICMP or ICMPv6; `None` if it is no request.
///
/// ICMP: echo, timestamp, information and address mask (RFC 792, RFC 950), extended echo (RFC 8335).
/// ICMPv6: echo (RFC 4443), node information (RFC 4620), home agent discovery (RFC 6275), extended
/// echo.
#[must_use]
pub const fn reply_to(v6: bool, kind: u8) -> Option<u8> {
    match (v6, kind) {
        (false, 8) => Some(0),
        (false, 13 | 15 | 17 | 42) | (true, 128 | 139 | 144 | 160) => Some(kind + 1),
        _ => None,
    }
}

/// Offset of the quoted packet in an error message, and of what other messages carry.
pub const BODY: usize = 8;

/// The beginning of a message.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier, if this is a request or a reply; what else lies there is the same in both.
    pub id: u16,
}

impl Message {
    /// Reads the message at `at`.
    ///
    /// # Errors
    ///
    /// [`Reason::TransportTruncated`] if the frame ends too early.
    #[inline(always)]
    pub fn read<P: Packet>(packet: &P, at: usize) -> Result<Self, Reason> {
        match packet.view::<6>(bounded(at)) {
            Some(&[kind, code, _, _, high, low]) => Ok(Self {
                kind,
                code,
                id: u16::from_be_bytes([high, low]),
            }),
            None => Err(Reason::TransportTruncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_purpose() {
        let of = |class, classify: fn(u8) -> Class| -> std::vec::Vec<u8> {
            (0..=u8::MAX)
                .filter(|&kind| classify(kind) == class)
                .collect()
        };
        assert_eq!(of(Class::ERROR, Class::of_icmp), [3, 11, 12]);
        assert_eq!(of(Class::REDIRECT, Class::of_icmp), [5]);
        assert_eq!(of(Class::REQUEST, Class::of_icmp), [8, 13, 15, 17, 42]);
        assert_eq!(of(Class::REPLY, Class::of_icmp), [0, 14, 16, 18, 43]);
        assert_eq!(of(Class::DISCOVERY, Class::of_icmp), []);
        assert_eq!(of(Class::ERROR, Class::of_icmpv6), [1, 2, 3, 4]);
        assert_eq!(of(Class::REDIRECT, Class::of_icmpv6), [137]);
        assert_eq!(of(Class::REQUEST, Class::of_icmpv6), [128, 139, 144, 160]);
        assert_eq!(of(Class::REPLY, Class::of_icmpv6), [129, 140, 145, 161]);
        assert_eq!(
            of(Class::MEMBERSHIP, Class::of_icmpv6),
            [130, 131, 132, 143]
        );
        assert_eq!(of(Class::DISCOVERY, Class::of_icmpv6), [133, 134, 135, 136]);
    }

    #[test]
    fn every_request_has_a_reply() {
        for (v6, classify) in [
            (false, Class::of_icmp as fn(u8) -> Class),
            (true, Class::of_icmpv6),
        ] {
            let mut replies = std::collections::BTreeSet::new();
            for kind in 0..=u8::MAX {
                let reply = reply_to(v6, kind);
                assert_eq!(reply.is_some(), classify(kind) == Class::REQUEST, "{kind}");
                if let Some(reply) = reply {
                    assert_eq!(classify(reply), Class::REPLY, "{kind}");
                    assert!(replies.insert(reply));
                }
            }
            let known = (0..=u8::MAX).filter(|&kind| classify(kind) == Class::REPLY);
            assert!(known.eq(replies));
        }
    }
}
