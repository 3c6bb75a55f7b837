//! Packets to ask about: from what somebody typed to the bytes of a frame.

use std::{fmt::Write as _, net::IpAddr};

use etherparse::{IpNumber, LaxNetSlice, LaxSlicedPacket, SingleVlanHeader, VlanId};
use thiserror::Error;
use verdict::frame::{ethernet::VlanTags, transport::IpProtocol};

use crate::{
    frame::{ether_type, ip_header},
    policy::{Binding, Vlan},
};

/// Source MAC address of packets that nothing else is known of; locally administered.
const ANY_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const HOST_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
const WINDOW: u16 = 64_240;
/// SCTP common header (RFC 9260): ports, verification tag, checksum.
const SCTP_HEADER_LEN: usize = 12;

/// Why there is no frame to ask about.
#[derive(Debug, Error)]
pub enum PacketError {
    /// Source and destination are of different families.
    #[error("{from} and {to} are not of the same address family")]
    Families {
        /// Source.
        from: IpAddr,
        /// Destination.
        to: IpAddr,
    },
    /// No such protocol.
    #[error(
        "`{0}` is no protocol: write tcp, udp, sctp, icmp, icmpv6, another name of a protocol, or its number"
    )]
    Protocol(String),
    /// A protocol with ports needs one.
    #[error("protocol {0} has ports: give the destination port")]
    NoPort(u8),
    /// The frame could not be composed.
    #[error("cannot compose the packet: {0}")]
    Compose(String),
    /// Not a MAC address.
    #[error("`{0}` is not a MAC address: write six bytes as 52:54:00:aa:bb:01")]
    Mac(String),
    /// Not a VLAN.
    #[error("`{0}` is not a VLAN: write an id from 1 to 4094, `untagged`, or OUTER.INNER")]
    Vlan(String),
    /// Not hexadecimal.
    #[error("the frame is not hexadecimal: {0}")]
    Hex(String),
}

/// A packet that opens a connection, or belongs to one of TCP that is open.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Source address.
    pub from: IpAddr,
    /// Destination address.
    pub to: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination port.
    pub port: Option<u16>,
    /// Source port.
    pub source_port: u16,
    /// Source MAC address; that of the endpoint's binding if not given.
    pub mac: Option<[u8; 6]>,
    /// VLAN; that of the endpoint's binding if not given.
    pub vlan: Option<Vlan>,
    /// Sequence number of a TCP segment mid-stream; `None` of one that opens a connection.
    pub mid_stream: Option<u32>,
}

impl Packet {
    /// The packet as a frame, with what it does not say taken from `binding`, that of its sender.
    pub fn frame(&self, binding: Option<&Binding>) -> Result<Vec<u8>, PacketError> {
        let mac = self
            .mac
            .or(binding.and_then(|binding| binding.mac))
            .unwrap_or(ANY_MAC);
        let vlan = self.vlan.or(binding.and_then(|binding| binding.vlan));
        let mut frame = Vec::with_capacity(128);
        frame.extend(HOST_MAC);
        frame.extend(mac);
        frame.extend(tags(vlan)?);
        let body = self.datagram()?;
        frame.extend(ether_type(self.to));
        frame.extend(body);
        Ok(frame)
    }

    /// The packet from its IP header on.
    fn datagram(&self) -> Result<Vec<u8>, PacketError> {
        let (from, to) = (self.from, self.to);
        let builder = ip_header(from, to).ok_or(PacketError::Families { from, to })?;
        let mut bytes = Vec::with_capacity(96);
        let port = || self.port.ok_or(PacketError::NoPort(self.protocol));
        let written = match IpProtocol(self.protocol) {
            IpProtocol::TCP => {
                let sequence = self.mid_stream.unwrap_or(0);
                let segment = builder.tcp(self.source_port, port()?, sequence, WINDOW);
                let segment = if self.mid_stream.is_some() {
                    segment.ack(0)
                } else {
                    segment.syn()
                };
                segment.write(&mut bytes, &[])
            }
            IpProtocol::UDP => builder
                .udp(self.source_port, port()?)
                .write(&mut bytes, &[]),
            IpProtocol::SCTP => {
                let mut header = [0; SCTP_HEADER_LEN];
                header[..2].copy_from_slice(&self.source_port.to_be_bytes());
                header[2..4].copy_from_slice(&port()?.to_be_bytes());
                builder.write(&mut bytes, IpNumber::SCTP, &header)
            }
            IpProtocol::ICMP => builder.icmpv4_echo_request(1, 1).write(&mut bytes, &[]),
            IpProtocol::ICMPV6 => builder.icmpv6_echo_request(1, 1).write(&mut bytes, &[]),
            IpProtocol(other) => builder.write(&mut bytes, IpNumber(other), &[0; 20]),
        };
        written.map_err(|error| PacketError::Compose(error.to_string()))?;
        Ok(bytes)
    }
}

/// VLAN tags as they lie in a frame, each from its type on.
fn tags(vlan: Option<Vlan>) -> Result<Vec<u8>, PacketError> {
    let tag = |ether_type: [u8; 2], id: u16| -> Result<[u8; 4], PacketError> {
        let vlan_id = VlanId::try_new(id).map_err(|error| PacketError::Vlan(error.to_string()))?;
        let header = SingleVlanHeader {
            vlan_id,
            ..SingleVlanHeader::default()
        };
        let [a, b, _, _] = header.to_bytes();
        Ok([ether_type[0], ether_type[1], a, b])
    };
    let customer = [0x81, 0x00];
    Ok(match vlan {
        None | Some(Vlan::Untagged) => Vec::new(),
        Some(Vlan::Tagged(id)) => tag(customer, id)?.to_vec(),
        Some(Vlan::Stacked { outer, inner }) => {
            [tag([0x88, 0xa8], outer)?, tag(customer, inner)?].concat()
        }
    })
}

/// Source and destination address of an IP packet in a frame.
#[must_use]
pub fn addresses(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match LaxSlicedPacket::from_ethernet(frame).ok()?.net? {
        LaxNetSlice::Ipv4(packet) => {
            let header = packet.header();
            Some((
                header.source_addr().into(),
                header.destination_addr().into(),
            ))
        }
        LaxNetSlice::Ipv6(packet) => {
            let header = packet.header();
            Some((
                header.source_addr().into(),
                header.destination_addr().into(),
            ))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// Reads a MAC address: six bytes in hexadecimal, between colons or hyphens.
pub fn parse_mac(text: &str) -> Result<[u8; 6], PacketError> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| PacketError::Mac(text.to_owned()))
}

/// Tags as [`parse_vlan`] reads them; `None` if there are none.
#[must_use]
pub fn vlan_of(tags: VlanTags) -> Option<Vlan> {
    let id = |half: u32| (half & 0xfff) as u16;
    match (id(tags.0 >> 16), id(tags.0)) {
        (0, 0) => None,
        (0, id) => Some(Vlan::Tagged(id)),
        (outer, inner) => Some(Vlan::Stacked { outer, inner }),
    }
}

/// Reads a VLAN: an id, `untagged`, or `OUTER.INNER`.
pub fn parse_vlan(text: &str) -> Result<Vlan, PacketError> {
    let invalid = || PacketError::Vlan(text.to_owned());
    let id = |text: &str| {
        text.parse()
            .ok()
            .filter(|id| (1..=4094).contains(id))
            .ok_or_else(invalid)
    };
    match text.split_once('.') {
        _ if text == "untagged" => Ok(Vlan::Untagged),
        Some((outer, inner)) => Ok(Vlan::Stacked {
            outer: id(outer)?,
            inner: id(inner)?,
        }),
        None => Ok(Vlan::Tagged(id(text)?)),
    }
}

/// A frame in hexadecimal.
#[must_use]
pub fn to_hex(frame: &[u8]) -> String {
    frame
        .iter()
        .fold(String::with_capacity(2 * frame.len()), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Reads a frame in hexadecimal; white space and colons are skipped.
pub fn parse_hex(text: &str) -> Result<Vec<u8>, PacketError> {
    let digits: Vec<char> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .collect();
    if !digits.len().is_multiple_of(2) {
        return Err(PacketError::Hex(format!(
            "it has {} digits, an odd number",
            digits.len()
        )));
    }
    digits
        .chunks_exact(2)
        .map(|pair| {
            let value = |c: char| {
                c.to_digit(16)
                    .ok_or_else(|| PacketError::Hex(format!("`{c}` is no digit")))
            };
            Ok((value(pair[0])? << 4 | value(pair[1])?) as u8)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::protocol::Mac;

    #[test]
    fn reads_what_people_type() {
        assert_eq!(
            parse_mac("52:54:00:aa:BB:01").expect("a MAC"),
            [0x52, 0x54, 0, 0xaa, 0xbb, 1]
        );
        assert!(parse_mac("52:54:00:aa:bb").is_err());
        assert_eq!(
            parse_vlan("200.100").expect("tags"),
            Vlan::Stacked {
                outer: 200,
                inner: 100
            }
        );
        assert!(parse_vlan("4095").is_err() && parse_vlan("0").is_err());
        assert_eq!(
            parse_hex("de:ad be\nef").expect("hex"),
            [0xde, 0xad, 0xbe, 0xef]
        );
        assert!(parse_hex("abc").is_err() && parse_hex("xy").is_err());
    }

    #[test]
    fn writes_what_it_reads() {
        let mac = Mac::from_word(0x5254_00aa_bb01);
        assert_eq!(mac.to_string(), "52:54:00:aa:bb:01");
        assert_eq!(vlan_of(VlanTags::NONE), None);
        let single = vlan_of(VlanTags::single(12)).expect("a tag");
        assert_eq!(single.to_string(), "12");
        let stacked = vlan_of(VlanTags::stacked(200, 100)).expect("tags");
        assert_eq!(stacked.to_string(), "200.100");
    }
}
