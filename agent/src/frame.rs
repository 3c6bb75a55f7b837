//! Headers of the frames that the agent builds.

use std::net::IpAddr;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};
use verdict::frame::ethernet::EtherType;

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

/// The EtherType of packets to `address`, in network byte order.
#[must_use]
pub const fn ether_type(address: IpAddr) -> [u8; 2] {
    let ether_type = match address {
        IpAddr::V4(_) => EtherType::IPV4,
        IpAddr::V6(_) => EtherType::IPV6,
    };
    ether_type.0.to_be_bytes()
}
