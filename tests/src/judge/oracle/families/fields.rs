//! Plain packets, and packets with wrong or unusual fields.

use super::Families;
use crate::net::packet::{Extension, Ipv4, Ipv6, Tcp, Udp};

pub fn plain(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let packet = families.network(route);
    vec![families.ask(packet, route.v6, 40).build()]
}

pub fn tcp_flags(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let length = families.rng.usize(..=40);
    let segment = Tcp {
        source: families.pick(&[53, 443, 49152]),
        options: families.bytes(length),
        sequence: families.rng.u32(..),
        acknowledgement: families.rng.u32(..),
        data_offset: families.once_in(4).then(|| families.rng.u8(..16)),
        ..Tcp::to(families.port(), families.rng.u8(..))
    };
    let packet = families.network(route).with(segment);
    vec![packet.with(families.tag().to_vec()).build()]
}

pub fn wrong_checksum(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let wrong = families.pick(&[0, 1, 0xffff]);
    if !route.v6 && families.rng.bool() {
        let header = Ipv4 {
            checksum: Some(wrong),
            ..families.v4(route)
        };
        let packet = Families::link(route).with(header);
        return vec![families.ask(packet, false, 20).build()];
    }
    let (packet, port) = (families.network(route), families.port());
    let packet = if families.rng.bool() {
        packet.with(Udp {
            checksum: Some(wrong),
            ..Udp::to(port)
        })
    } else {
        packet.with(Tcp {
            checksum: Some(wrong),
            ..Tcp::syn(port)
        })
    };
    vec![packet.with(families.tag().to_vec()).build()]
}

/// A length in the network header that differs from the frame's, or one in UDP that differs from
/// IP's.
pub fn wrong_length(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let wrong = families.pick(&[0, 8, 20, 27, 28, 36, 40, 48, 100, 1500, u16::MAX]);
    let link = Families::link(route);
    let packet = match (families.rng.u8(..3), route.v6) {
        (0, _) => {
            let datagram = Udp {
                length: Some(wrong),
                ..Udp::to(families.port())
            };
            let packet = families.network(route).with(datagram);
            packet.with(families.tag().to_vec())
        }
        (_, true) => {
            let header = Ipv6 {
                payload_length: Some(wrong),
                ..Families::v6(route)
            };
            let mut packet = link.with(header);
            // A length of zero stands for a jumbogram (RFC 2675).
            if families.rng.bool() {
                packet = packet.with(Extension::hop_by_hop());
            }
            families.ask(packet, true, 20)
        }
        (_, false) => {
            let header = Ipv4 {
                total_length: Some(wrong),
                ..families.v4(route)
            };
            families.ask(link.with(header), false, 20)
        }
    };
    let mut frame = packet.build();
    if families.rng.bool() {
        let padding = families.rng.usize(..64);
        let padding = families.bytes(padding);
        frame.extend(padding);
    }
    vec![frame]
}
