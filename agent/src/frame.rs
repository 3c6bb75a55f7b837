//! A frame in memory, as the verdict crate reads it.

use std::net::IpAddr;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};
use verdict::{ethernet::EtherType, packet::Packet};

const TTL: u8 = 64;

/// The beginning of an IP packet; `None` if the addresses are of two families.
#[must_use]
pub fn ip_header(from: IpAddr, to: IpAddr) -> Option<PacketBuilderStep<IpHeaders>> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            Some(PacketBuilder::ipv4(from.octets(), to.octets(), TTL))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            Some(PacketBuilder::ipv6(from.octets(), to.octets(), TTL))
        }
        _ => None,
    }
}

/// The type, behind the MAC addresses, of packets to `address`, in the order of the wire.
#[must_use]
pub const fn ether_type(address: IpAddr) -> [u8; 2] {
    let ether_type = match address {
        IpAddr::V4(_) => EtherType::IPV4,
        IpAddr::V6(_) => EtherType::IPV6,
    };
    ether_type.0.to_be_bytes()
}

/// A frame with what the hook knows besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// From the destination MAC address on.
    pub bytes: &'a [u8],
    /// Index of the interface that it arrives on.
    pub ifindex: u32,
    /// VLAN tag (TCI, host byte order) that was taken out of the frame.
    pub vlan: Option<u16>,
}

impl Packet for Frame<'_> {
    fn view<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        self.bytes
            .get(offset..offset.checked_add(N)?)?
            .try_into()
            .ok()
    }

    fn offloaded_vlan(&self) -> Option<u16> {
        self.vlan
    }

    fn frame_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn ifindex(&self) -> u32 {
        self.ifindex
    }
}
