//! Headers and options before the transport header.

use crate::net::packet::{Extension, Fragment, Ipv4, Ipv6, Layer, Packet, Udp, Vlan};
use crate::net::station::{HOST, HOST_OPERATIONS, INTRUDER, VIM};

use super::{Families, Route};

/// IPv4 options: none, one of each kind, or anything.
pub fn ipv4_options(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let nothing = families.rng.usize(..41);
    let length = families.rng.usize(..41);
    let options = match families.rng.u8(..6) {
        0 => vec![1; nothing],
        1 => vec![0; nothing],
        // Record route, timestamp, router alert.
        2 => [&[7, 39, 4][..], &[0; 36]].concat(),
        3 => [&[68, 36, 5, 0][..], &[0; 32]].concat(),
        4 => vec![148, 4, 0, 0],
        _ => families.bytes(length),
    };
    let header = Ipv4 {
        options,
        ..families.v4(route)
    };
    let packet = Families::link(route).with(header);
    vec![families.ask(packet, false, 20).build()]
}

/// Loose and strict source routes, with a hop left or used up. The hop may be an address of the
/// host.
pub fn source_route(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let kind = families.pick(&[131, 137]);
    let next = families.pick(&[
        HOST.v4,
        HOST_OPERATIONS.v4,
        VIM.v4,
        INTRUDER.v4,
        [127, 0, 0, 1].into(),
    ]);
    let pointer = families.pick(&[4, 8]);
    let mut options = vec![kind, 7, pointer];
    options.extend(next.octets());
    let header = Ipv4 {
        options,
        ..families.v4(route)
    };
    let packet = Families::link(route).with(header);
    vec![families.ask(packet, false, 20).build()]
}

/// IPv6 extension headers in any order and number, also those that the product does not follow.
pub fn extension_headers(families: &mut Families) -> Vec<Vec<u8>> {
    let route = Route {
        v6: true,
        ..families.route()
    };
    let mut packet = families.network(route);
    for _ in 0..families.rng.usize(1..=10) {
        packet = match families.rng.u8(..16) {
            0..4 => packet.with(Extension::hop_by_hop()),
            4..8 => packet.with(Extension::destination()),
            8..10 => {
                let kind = families.pick(&[0, 2, 3, 4, 253]);
                let left = families.pick(&[0, 0, 0, 1]);
                packet.with(Extension::routing(kind, left))
            }
            10 => packet.with(segment_routing(families)),
            11..13 => packet.with(Fragment {
                identification: families.rng.u32(..),
                ..Fragment::default()
            }),
            13 => packet.with(authentication()),
            // Mobility, HIP, Shim6 (RFC 6275, RFC 7401, RFC 5533).
            14 => {
                let kind = families.pick(&[135, 139, 140]);
                packet.with(Extension::of(kind, vec![0; 6]))
            }
            _ => {
                let length = families.rng.usize(..30);
                let content = families.bytes(length);
                packet.with(Extension::of(60, content))
            }
        };
        if families.once_in(2) {
            break;
        }
    }
    vec![families.ask(packet, true, 20).build()]
}

/// A segment routing header (RFC 8754) with one segment, the host.
fn segment_routing(families: &mut Families) -> Extension {
    let left = families.pick(&[0, 1]);
    let mut content = vec![4, left, 0, 0, 0, 0];
    content.extend(HOST.v6.octets());
    Extension::of(43, content)
}

/// An authentication header (RFC 4302), whose length is counted in words of 4 bytes.
fn authentication() -> Extension {
    let mut header = Extension::of(51, vec![0; 22]);
    header.length = Some(4);
    header
}

/// Priority tags, any number of which the stack accepts, and VLAN tags, which it does not.
pub fn vlan_tags(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let mut packet = Families::link(route);
    for _ in 0..families.rng.usize(1..=4) {
        packet = packet.with(Vlan {
            id: families.pick(&[0, 0, 0, 0, 0, 42]),
            priority: families.rng.u8(..8),
            tpid: families.pick(&[0x8100, 0x8100, 0x88a8, 0x9100]),
            ether_type: None,
        });
        if families.rng.bool() {
            break;
        }
    }
    let packet = network(families, packet, route);
    vec![families.ask(packet, route.v6, 20).build()]
}

fn network(families: &Families, packet: Packet, route: Route) -> Packet {
    if route.v6 {
        packet.with(Families::v6(route))
    } else {
        packet.with(families.v4(route))
    }
}

/// A request of the VIM, encapsulated in a packet of any peer.
pub fn tunnel(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let mut packet = families.network(route);
    packet = match families.rng.u8(..5) {
        // GRE without options (RFC 2784).
        0 => packet.with(Gre(vec![0, 0, 8, 0])),
        1 => packet
            .with(Udp::to(4789))
            .with(vec![8, 0, 0, 0, 0, 0, 7, 0]),
        2 if route.v6 => packet.with(Extension::routing(4, 0)),
        _ => packet,
    };
    packet = if families.rng.bool() {
        packet.with(Ipv4::between(VIM.v4, HOST.v4))
    } else {
        packet.with(Ipv6::between(VIM.v6, HOST.v6))
    };
    vec![families.ask(packet, route.v6, 20).build()]
}

/// A header of the protocol GRE.
struct Gre(Vec<u8>);

impl Layer for Gre {
    fn encode(&self, _: &crate::net::packet::Surroundings<'_>) -> Vec<u8> {
        self.0.clone()
    }

    fn ip_protocol(&self) -> Option<u8> {
        Some(47)
    }
}
