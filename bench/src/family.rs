//! IPv4 and IPv6: addresses by number, and the frames that are measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use harness::packet::{Ethernet, Ipv4, Ipv6, Packet, Tcp};
use serde::Serialize;

/// First of the allowed IPv4 addresses, and the last 4 bytes of the first allowed IPv6 address.
const ALLOWED: u32 = u32::from_be_bytes([10, 0, 0, 0]);
/// The same of those that no policy knows: 172.16.0.0/12.
const UNKNOWN: u32 = u32::from_be_bytes([172, 16, 0, 0]);
/// What comes before those 4 bytes in an IPv6 address.
const PREFIX_V6: u128 = 0x2001_0db8_0001 << 80;

const PROTECTED_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 17);
const PROTECTED_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x17, 0, 0, 0, 0x17);
const ELSEWHERE_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const ELSEWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x113, 0, 0, 0, 0x10);

/// Local port of the connections that the protected address opened.
const LOCAL_PORT: u16 = 40_000;

/// Offset in an untagged frame of the last 4 bytes of the source address.
const SOURCE_OFFSET_V4: u32 = 14 + 12;
const SOURCE_OFFSET_V6: u32 = 14 + 8 + 12;

/// The shortest frame that Ethernet carries, without its check sequence.
const SHORTEST_FRAME_BYTES: usize = 60;

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Family {
    /// Version 4.
    #[serde(rename = "ipv4")]
    V4,
    /// Version 6.
    #[serde(rename = "ipv6")]
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// As one writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The address whose management traffic is enforced.
    pub const fn protected(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(PROTECTED_V4),
            Self::V6 => IpAddr::V6(PROTECTED_V6),
        }
    }

    /// The allowed address of this number.
    pub fn allowed(self, number: u32) -> IpAddr {
        self.address(ALLOWED + number)
    }

    /// Last 4 bytes of the first source address of a walk, allowed or unknown.
    pub const fn base(allowed: bool) -> u32 {
        if allowed { ALLOWED } else { UNKNOWN }
    }

    /// Offset in a frame of what changes from packet to packet.
    pub const fn source_offset(self) -> u32 {
        match self {
            Self::V4 => SOURCE_OFFSET_V4,
            Self::V6 => SOURCE_OFFSET_V6,
        }
    }

    /// A frame that opens a TCP connection to `port` of the protected address, or to one that is
    /// not protected.
    pub fn frame(self, protected: bool, port: u16) -> Vec<u8> {
        let to = match self {
            _ if protected => self.protected(),
            Self::V4 => ELSEWHERE_V4.into(),
            Self::V6 => ELSEWHERE_V6.into(),
        };
        let packet = between(self.allowed(0), to);
        let mut frame = packet.with(Tcp::syn(port)).build();
        frame.resize(frame.len().max(SHORTEST_FRAME_BYTES), 0);
        frame
    }

    /// A frame from the midst of a connection to `port` of the first allowed address.
    pub fn answer(self, port: u16) -> Vec<u8> {
        let segment = Tcp {
            source: port,
            ..Tcp::to(LOCAL_PORT, Tcp::ACK)
        };
        let mut frame = between(self.allowed(0), self.protected())
            .with(segment)
            .build();
        frame.resize(frame.len().max(SHORTEST_FRAME_BYTES), 0);
        frame
    }

    /// The frame that goes the other way, to the allowed address of this number.
    pub fn question(self, port: u16, number: u32) -> Vec<u8> {
        let segment = Tcp {
            source: LOCAL_PORT,
            acknowledgement: 1,
            ..Tcp::to(port, Tcp::ACK)
        };
        between(self.protected(), self.allowed(number))
            .with(segment)
            .build()
    }

    fn address(self, last: u32) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits(last).into(),
            Self::V6 => Ipv6Addr::from_bits(PREFIX_V6 | u128::from(last)).into(),
        }
    }
}

/// The headers of a packet between two addresses of one version.
fn between(from: IpAddr, to: IpAddr) -> Packet {
    let packet = Packet::new().with(Ethernet::default());
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => packet.with(Ipv4::between(from, to)),
        (IpAddr::V6(from), IpAddr::V6(to)) => packet.with(Ipv6::between(from, to)),
        _ => packet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale;

    #[test]
    fn a_walk_changes_the_last_bytes_of_the_source() {
        for family in Family::ALL {
            let frame = family.frame(true, 22);
            let at = family.source_offset() as usize;
            assert_eq!(frame[at..at + 4], ALLOWED.to_be_bytes());
            assert!(frame.len() >= SHORTEST_FRAME_BYTES);
        }
    }

    #[test]
    fn unknown_sources_are_none_of_the_allowed() {
        const { assert!(ALLOWED + scale::MOST <= UNKNOWN) };
        assert!(UNKNOWN.checked_add(scale::MOST).is_some());
    }
}
