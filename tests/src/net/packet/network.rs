//! The network layer: IPv4 and IPv6.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::checksum::{self, Pseudo};
use super::{Layer, Surroundings};
use crate::net::station::{HOST, VIM};

/// An IPv4 header, by default from the VIM to the host.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// The source address.
    pub source: Ipv4Addr,
    /// The destination address.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// Differentiated services and ECN.
    pub tos: u8,
    /// Identification of the datagram.
    pub identification: u16,
    /// Forbids fragmentation.
    pub dont_fragment: bool,
    /// Whether more fragments follow.
    pub more_fragments: bool,
    /// The fragment's offset, in units of 8 bytes.
    pub fragment_offset: u16,
    /// Options; padded to a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// The version field.
    pub version: u8,
    /// Overrides the header's length in units of 4 bytes.
    pub ihl: Option<u8>,
    /// Overrides the datagram's length in bytes.
    pub total_length: Option<u16>,
    /// Overrides the protocol number of the next layer.
    pub protocol: Option<u8>,
    /// Overrides the header's checksum.
    pub checksum: Option<u16>,
}

impl Default for Ipv4 {
    fn default() -> Self {
        Self::between(VIM.v4, HOST.v4)
    }
}

impl Ipv4 {
    /// A header without anything unusual.
    #[must_use]
    pub const fn between(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self {
            source,
            destination,
            ttl: 64,
            tos: 0,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            options: Vec::new(),
            version: 4,
            ihl: None,
            total_length: None,
            protocol: None,
            checksum: None,
        }
    }

    fn fragment_field(&self) -> u16 {
        u16::from(self.dont_fragment) << 14
            | u16::from(self.more_fragments) << 13
            | self.fragment_offset & 0x1fff
    }
}

impl Layer for Ipv4 {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let length = 20 + options.len();
        let ihl = self.ihl.unwrap_or((length / 4) as u8);
        let total = self
            .total_length
            .unwrap_or((length + around.payload.len()) as u16);

        let mut header = vec![self.version << 4 | ihl & 0x0f, self.tos];
        header.extend(total.to_be_bytes());
        header.extend(self.identification.to_be_bytes());
        header.extend(self.fragment_field().to_be_bytes());
        header.extend([
            self.ttl,
            self.protocol.unwrap_or_else(|| around.ip_protocol()),
            0,
            0,
        ]);
        header.extend(self.source.octets());
        header.extend(self.destination.octets());
        header.extend(options);

        let sum = self
            .checksum
            .unwrap_or_else(|| checksum::internet(&[&header]));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn ether_type(&self) -> Option<u16> {
        Some(0x0800)
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(4)
    }

    fn pseudo(&self) -> Option<Pseudo> {
        Some(Pseudo::V4(self.source, self.destination))
    }
}

/// An IPv6 header, by default from the VIM to the host.
#[derive(Clone, Debug)]
pub struct Ipv6 {
    /// The source address.
    pub source: Ipv6Addr,
    /// The destination address.
    pub destination: Ipv6Addr,
    /// Time to live.
    pub hop_limit: u8,
    /// Differentiated services and ECN.
    pub traffic_class: u8,
    /// The flow label, 20 bits.
    pub flow_label: u32,
    /// The version field.
    pub version: u8,
    /// Overrides the protocol number of the next header.
    pub next_header: Option<u8>,
    /// Overrides the length of what follows, in bytes.
    pub payload_length: Option<u16>,
}

impl Default for Ipv6 {
    fn default() -> Self {
        Self::between(VIM.v6, HOST.v6)
    }
}

impl Ipv6 {
    /// A header without anything unusual.
    #[must_use]
    pub const fn between(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self {
            source,
            destination,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            version: 6,
            next_header: None,
            payload_length: None,
        }
    }
}

impl Layer for Ipv6 {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let first = u32::from(self.version) << 28
            | u32::from(self.traffic_class) << 20
            | self.flow_label & 0xf_ffff;
        let length = self.payload_length.unwrap_or(around.payload.len() as u16);
        let next_header = self.next_header.unwrap_or_else(|| around.ip_protocol());

        let mut header = first.to_be_bytes().to_vec();
        header.extend(length.to_be_bytes());
        header.extend([next_header, self.hop_limit]);
        header.extend(self.source.octets());
        header.extend(self.destination.octets());
        header
    }

    fn ether_type(&self) -> Option<u16> {
        Some(0x86dd)
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(41)
    }

    fn pseudo(&self) -> Option<Pseudo> {
        Some(Pseudo::V6(self.source, self.destination))
    }
}
