//! IPv4 and IPv6: addresses by number, and the frames that are measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use harness::net::packet::{Arp, Ethernet, Fragment, Icmpv6, Ipv4, Ipv6, Packet, Tcp};
use harness::net::station::{INTRUDER, Mac};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::packets::walk::Field;

/// First of the allowed IPv4 addresses, and the last 4 bytes of the first allowed IPv6 address.
const ALLOWED: u32 = u32::from_be_bytes([10, 0, 0, 0]);
/// First of the IPv4 addresses that no policy knows (172.16.0.0/12), and the last 4 bytes of the
/// first such IPv6 address.
const UNKNOWN: u32 = u32::from_be_bytes([172, 16, 0, 0]);
/// What comes before those 4 bytes in an IPv6 address.
const PREFIX_V6: u128 = 0x2001_0db8_0001 << 80;

const PROTECTED_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 17);
const PROTECTED_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x17, 0, 0, 0, 0x17);
const ELSEWHERE_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const ELSEWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x113, 0, 0, 0, 0x10);

/// First local port of the connections that the protected address opened.
const LOCAL_PORT: u16 = 20_000;

/// A MAC address that no endpoint is bound to.
const OTHER_MAC: Mac = INTRUDER.mac;

/// First of the IPv4 prefixes, 16.0.0.0/24, and first 8 bytes of the first IPv6 prefix,
/// `2001::/48`.
const PREFIXES_V4: u32 = u32::from_be_bytes([16, 0, 0, 0]);
const PREFIXES_V6: u64 = 0x2001 << 48;
/// Bits by which a prefix's number is shifted to the left before it is added.
const PREFIX_SHIFT_V4: u32 = 8;
const PREFIX_SHIFT_V6: u32 = 16;

/// Offsets of the sender's address in an untagged frame.
const SOURCE_OFFSET_V4: u32 = 14 + 12;
const SOURCE_OFFSET_V6: u32 = 14 + 8;
const ARP_SENDER_OFFSET: u32 = 14 + 14;
/// Offsets of the ports in an untagged frame.
const PORTS_OFFSET_V4: u32 = 14 + 20;
const PORTS_OFFSET_V6: u32 = 14 + 40;

/// Protocol number of TCP.
const TCP: u8 = 6;

/// The shortest frame that Ethernet carries, without its check sequence.
const SHORTEST_FRAME_BYTES: usize = 60;

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Its name in reports.
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

    /// The prefix of this number; lengths take turns: 24 and 32, or 48, 64 and 128.
    pub fn allowed_prefix(self, number: u32) -> Result<IpNet> {
        let address = self.in_prefix(number);
        let lengths: &[u8] = match self {
            Self::V4 => &[24, 32],
            Self::V6 => &[48, 64, 128],
        };
        let length = lengths[number as usize % lengths.len()];
        Ok(IpNet::new(address, length)?.trunc())
    }

    /// Source addresses of a walk, allowed or unknown.
    pub const fn source(self, allowed: bool) -> Field {
        let first = if allowed { ALLOWED } else { UNKNOWN } as u64;
        match self {
            Self::V4 => Field {
                offset: SOURCE_OFFSET_V4,
                bytes: 4,
                first,
                shift: 0,
            },
            Self::V6 => Field {
                offset: SOURCE_OFFSET_V6 + 8,
                bytes: 8,
                first,
                shift: 0,
            },
        }
    }

    /// Destination addresses of a walk, all allowed.
    pub const fn destination(self) -> Field {
        let source = self.source(true);
        Field {
            offset: source.offset
                + match self {
                    Self::V4 => 4,
                    Self::V6 => 16,
                },
            ..source
        }
    }

    /// Source addresses of a walk, one in each prefix.
    pub const fn prefix(self) -> Field {
        match self {
            Self::V4 => Field {
                offset: SOURCE_OFFSET_V4,
                bytes: 4,
                first: PREFIXES_V4 as u64,
                shift: PREFIX_SHIFT_V4,
            },
            Self::V6 => Field {
                offset: SOURCE_OFFSET_V6,
                bytes: 8,
                first: PREFIXES_V6,
                shift: PREFIX_SHIFT_V6,
            },
        }
    }

    /// Senders of ARP requests or neighbour solicitations in a walk.
    pub const fn solicitor(self) -> Field {
        match self {
            Self::V4 => Field {
                offset: ARP_SENDER_OFFSET,
                ..self.source(true)
            },
            Self::V6 => self.source(true),
        }
    }

    /// Ports of a walk, to `port` from one local port after the other.
    pub const fn local_port(self, port: u16) -> Field {
        Field {
            offset: match self {
                Self::V4 => PORTS_OFFSET_V4,
                Self::V6 => PORTS_OFFSET_V6,
            },
            bytes: 4,
            first: (LOCAL_PORT as u64) << 16 | port as u64,
            shift: 16,
        }
    }

    /// A frame that opens a TCP connection to `port` of the protected address.
    pub fn request(self, port: u16) -> Vec<u8> {
        frame(&between(self.allowed(0), self.protected()).with(Tcp::syn(port)))
    }

    /// A frame of a TCP connection with `port` of the protected address, or with one that is not
    /// protected.
    pub fn frame(self, protected: bool, port: u16) -> Vec<u8> {
        let to = match self {
            _ if protected => self.protected(),
            Self::V4 => ELSEWHERE_V4.into(),
            Self::V6 => ELSEWHERE_V6.into(),
        };
        frame(&between(self.allowed(0), to).with(Tcp::ack(port)))
    }

    /// A frame of a TCP connection with `port` of the protected address, from the first prefix.
    pub fn frame_of_prefix(self, port: u16) -> Vec<u8> {
        frame(&between(self.in_prefix(0), self.protected()).with(Tcp::ack(port)))
    }

    /// A frame of a TCP connection with `port` of the protected address, from the first allowed
    /// address, with the MAC address of another station.
    pub fn frame_with_other_mac(self, port: u16) -> Vec<u8> {
        let ethernet = Ethernet {
            source: OTHER_MAC,
            ..Ethernet::default()
        };
        let packet = Packet::new().with(ethernet);
        frame(&addressed(packet, self.allowed(0), self.protected()).with(Tcp::ack(port)))
    }

    /// A frame from `port` of the first allowed address, mid-stream.
    pub fn answer(self, port: u16) -> Vec<u8> {
        let segment = Tcp {
            source: port,
            ..Tcp::to(LOCAL_PORT, Tcp::ACK)
        };
        frame(&between(self.allowed(0), self.protected()).with(segment))
    }

    /// A frame to `port` of the allowed address of this number, mid-stream.
    pub fn question(self, port: u16, number: u32) -> Vec<u8> {
        let segment = Tcp {
            source: LOCAL_PORT,
            acknowledgement: 1,
            ..Tcp::to(port, Tcp::ACK)
        };
        frame(&between(self.protected(), self.allowed(number)).with(segment))
    }

    /// A frame that answers the first allowed address from `port`.
    pub fn reply(self, port: u16) -> Vec<u8> {
        let segment = Tcp {
            source: port,
            acknowledgement: 1,
            ..Tcp::to(LOCAL_PORT, Tcp::ACK)
        };
        frame(&between(self.protected(), self.allowed(0)).with(segment))
    }

    /// A frame that opens a connection to `port` of the allowed address of this number.
    pub fn opening(self, port: u16, number: u32) -> Vec<u8> {
        let segment = Tcp {
            source: LOCAL_PORT,
            ..Tcp::syn(port)
        };
        frame(&between(self.protected(), self.allowed(number)).with(segment))
    }

    /// A later fragment from the first allowed address.
    pub fn fragment(self) -> Vec<u8> {
        let packet = Packet::new().with(Ethernet::default());
        let packet = match (self.allowed(0), self.protected()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => packet.with(Ipv4 {
                fragment_offset: 185,
                protocol: Some(TCP),
                ..Ipv4::between(from, to)
            }),
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                packet.with(Ipv6::between(from, to)).with(Fragment {
                    offset: 185,
                    next_header: Some(TCP),
                    ..Fragment::default()
                })
            }
            _ => packet,
        };
        frame(&packet.with(vec![0; 64]))
    }

    /// An ARP request or neighbour solicitation for the protected address.
    pub fn neighbour(self) -> Vec<u8> {
        let ethernet = Ethernet::default();
        let mac = ethernet.source;
        frame(&match (self.allowed(0), self.protected()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Packet::new()
                .with(ethernet)
                .with(Arp::request((mac, from), to)),
            (IpAddr::V6(from), IpAddr::V6(to)) => Packet::new()
                .with(ethernet)
                .with(Ipv6 {
                    hop_limit: 255,
                    ..Ipv6::between(from, to)
                })
                .with(Icmpv6::neighbour_solicitation(to, mac)),
            _ => Packet::new(),
        })
    }

    /// An address in the prefix of this number.
    fn in_prefix(self, number: u32) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits(PREFIXES_V4 + (number << PREFIX_SHIFT_V4)).into(),
            Self::V6 => {
                let high = PREFIXES_V6 + (u64::from(number) << PREFIX_SHIFT_V6);
                Ipv6Addr::from_bits(u128::from(high) << 64 | 1).into()
            }
        }
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
    addressed(Packet::new().with(Ethernet::default()), from, to)
}

/// The bytes of a packet, padded to Ethernet's minimum length.
fn frame(packet: &Packet) -> Vec<u8> {
    let mut frame = packet.build();
    frame.resize(frame.len().max(SHORTEST_FRAME_BYTES), 0);
    frame
}

/// A packet with the header of its IP version.
fn addressed(packet: Packet, from: IpAddr, to: IpAddr) -> Packet {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => packet.with(Ipv4::between(from, to)),
        (IpAddr::V6(from), IpAddr::V6(to)) => packet.with(Ipv6::between(from, to)),
        _ => packet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets::scale;

    /// The value of the field in this frame.
    fn value(field: Field, frame: &[u8]) -> u64 {
        let bytes = &frame[field.offset as usize..][..field.bytes as usize];
        bytes
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    #[test]
    fn a_walk_begins_with_the_value_in_the_frame() {
        for family in Family::ALL {
            for (field, frame) in [
                (family.source(true), family.frame(true, 22)),
                (family.source(true), family.fragment()),
                (family.solicitor(), family.neighbour()),
                (family.prefix(), family.frame_of_prefix(22)),
                (family.local_port(22), family.opening(22, 0)),
                (family.local_port(22), family.question(22, 0)),
                (family.destination(), family.reply(22)),
            ] {
                assert_eq!(value(field, &frame), field.first, "{family:?} {field:?}");
                assert!(frame.len() >= SHORTEST_FRAME_BYTES);
            }
        }
    }

    #[test]
    fn unknown_sources_are_not_allowed() {
        const { assert!(ALLOWED + scale::MOST <= UNKNOWN) };
        const { assert!(PREFIXES_V4 + (scale::MOST << PREFIX_SHIFT_V4) <= UNKNOWN) };
        assert!(UNKNOWN.checked_add(scale::MOST).is_some());
    }

    #[test]
    fn every_number_has_another_prefix() {
        for family in Family::ALL {
            for number in [0, 1, 2, 3, 70_000, 999_999] {
                let prefix = family.allowed_prefix(number).unwrap();
                assert!(prefix.contains(&family.in_prefix(number)));
                assert!(!prefix.contains(&family.in_prefix(number + 1)));
            }
        }
    }
}
