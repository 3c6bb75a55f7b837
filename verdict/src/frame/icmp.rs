//! ICMP (RFC 792) and ICMPv6 (RFC 4443): what a message is for.

use super::packet::Packet;
use crate::reason::Reason;

/// What a message is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Class(u8);

impl Class {
    /// Every other type.
    pub const OTHER: Self = Self(0);
    /// Echo request.
    pub const ECHO_REQUEST: Self = Self(1);
    /// Echo reply.
    pub const ECHO_REPLY: Self = Self(2);
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
            0 => Self::ECHO_REPLY,
            3 | 11 | 12 => Self::ERROR,
            5 => Self::REDIRECT,
            8 => Self::ECHO_REQUEST,
            _ => Self::OTHER,
        }
    }

    /// What an ICMPv6 message of this type is for.
    #[inline(always)]
    #[must_use]
    pub const fn of_icmpv6(kind: u8) -> Self {
        match kind {
            1..=4 => Self::ERROR,
            128 => Self::ECHO_REQUEST,
            129 => Self::ECHO_REPLY,
            130..=132 | 143 => Self::MEMBERSHIP,
            133..=136 => Self::DISCOVERY,
            137 => Self::REDIRECT,
            _ => Self::OTHER,
        }
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
    /// Identifier, if this is an echo message.
    pub echo_id: u16,
}

impl Message {
    /// Reads the message at `at`.
    ///
    /// # Errors
    ///
    /// [`Reason::TransportTruncated`] if the frame ends too early.
    #[inline(always)]
    pub fn read<P: Packet>(packet: &P, at: usize) -> Result<Self, Reason> {
        match packet.view::<6>(at) {
            Some(&[kind, code, _, _, high, low]) => Ok(Self {
                kind,
                code,
                echo_id: u16::from_be_bytes([high, low]),
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
        assert_eq!(of(Class::ECHO_REQUEST, Class::of_icmp), [8]);
        assert_eq!(of(Class::ECHO_REPLY, Class::of_icmp), [0]);
        assert_eq!(of(Class::DISCOVERY, Class::of_icmp), []);
        assert_eq!(of(Class::ERROR, Class::of_icmpv6), [1, 2, 3, 4]);
        assert_eq!(of(Class::REDIRECT, Class::of_icmpv6), [137]);
        assert_eq!(of(Class::ECHO_REQUEST, Class::of_icmpv6), [128]);
        assert_eq!(of(Class::ECHO_REPLY, Class::of_icmpv6), [129]);
        assert_eq!(
            of(Class::MEMBERSHIP, Class::of_icmpv6),
            [130, 131, 132, 143]
        );
        assert_eq!(of(Class::DISCOVERY, Class::of_icmpv6), [133, 134, 135, 136]);
    }
}
