//! ICMP (RFC 792) and `ICMPv6` (RFC 4443, RFC 4861). What an error quotes follows as further
//! layers.

use std::net::Ipv6Addr;

use super::checksum;
use super::{Layer, Surroundings};
use crate::net::station::Mac;

/// An ICMP message for IPv4.
#[derive(Clone, Debug, Default)]
pub struct Icmp {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The second word of the header.
    pub rest: [u8; 4],
    /// Overrides the checksum.
    pub checksum: Option<u16>,
}

impl Icmp {
    /// An echo request.
    #[must_use]
    pub fn echo() -> Self {
        Self {
            kind: 8,
            ..Self::default()
        }
    }

    /// Destination unreachable: fragmentation needed, with the next hop's MTU.
    #[must_use]
    pub fn fragmentation_needed(mtu: u16) -> Self {
        let [high, low] = mtu.to_be_bytes();
        Self {
            kind: 3,
            code: 4,
            rest: [0, 0, high, low],
            ..Self::default()
        }
    }

    /// Destination unreachable, for the reason that the code names.
    #[must_use]
    pub fn unreachable(code: u8) -> Self {
        Self {
            kind: 3,
            code,
            ..Self::default()
        }
    }
}

impl Layer for Icmp {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let mut header = [&[self.kind, self.code, 0, 0], &self.rest[..]].concat();
        let sum = self
            .checksum
            .unwrap_or_else(|| checksum::internet(&[&header, around.payload]));
        header[2..4].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(1)
    }
}

/// An ICMP message for IPv6.
#[derive(Clone, Debug, Default)]
pub struct Icmpv6 {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The second word of the header.
    pub rest: [u8; 4],
    /// What the message itself carries after its header, such as a neighbour message's target.
    pub body: Vec<u8>,
    /// Overrides the checksum.
    pub checksum: Option<u16>,
}

impl Icmpv6 {
    /// An echo request.
    #[must_use]
    pub fn echo() -> Self {
        Self {
            kind: 128,
            ..Self::default()
        }
    }

    /// Packet too big, with the next hop's MTU.
    #[must_use]
    pub fn too_big(mtu: u32) -> Self {
        Self {
            kind: 2,
            rest: mtu.to_be_bytes(),
            ..Self::default()
        }
    }

    /// Destination unreachable, for the reason that the code names.
    #[must_use]
    pub fn unreachable(code: u8) -> Self {
        Self {
            kind: 1,
            code,
            ..Self::default()
        }
    }

    /// "Who has `target`?", with the sender's link-layer address. IPv6 wants hop limit 255.
    #[must_use]
    pub fn neighbour_solicitation(target: Ipv6Addr, source: Mac) -> Self {
        Self {
            kind: 135,
            body: neighbour(target, 1, source),
            ..Self::default()
        }
    }

    /// "`target` is at `mac`", overriding what was known. IPv6 wants hop limit 255.
    #[must_use]
    pub fn neighbour_advertisement(target: Ipv6Addr, mac: Mac) -> Self {
        let override_flag = [0x20, 0, 0, 0];
        Self {
            kind: 136,
            rest: override_flag,
            body: neighbour(target, 2, mac),
            ..Self::default()
        }
    }
}

/// A neighbour message's target, and its one link-layer address option.
fn neighbour(target: Ipv6Addr, option: u8, mac: Mac) -> Vec<u8> {
    [&target.octets()[..], &[option, 1], &mac.0].concat()
}

impl Layer for Icmpv6 {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let mut header = [&[self.kind, self.code, 0, 0], &self.rest[..], &self.body].concat();
        let sum = self
            .checksum
            .unwrap_or_else(|| around.transport_checksum(&header, 58));
        header[2..4].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(58)
    }
}
