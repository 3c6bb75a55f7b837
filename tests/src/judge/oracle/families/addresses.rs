//! Addresses with a special meaning to a stack.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::station::{HOST, INTRUDER, Mac, VIM};

use super::{Families, Route, at, with_mac};

const ANYCAST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x17, 0, 0, 0, 0);
/// The host's link-local address, made of its MAC address (EUI-64).
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfeaa, 0xbb17);
/// The solicited-node multicast address of the host.
const SOLICITED: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x17);

const GROUPS4: [[u8; 4]; 7] = [
    [255, 255, 255, 255],
    [0, 0, 0, 0],
    [192, 0, 2, 255],
    [192, 0, 2, 0],
    [198, 51, 100, 255],
    [224, 0, 0, 1],
    [239, 1, 1, 1],
];

/// An IPv4 broadcast or multicast address that a host may listen to.
pub fn group4(families: &mut Families) -> Ipv4Addr {
    families.pick(&GROUPS4).into()
}

/// An IPv6 multicast address that a host may listen to.
pub fn group6(families: &mut Families) -> Ipv6Addr {
    let all_nodes = |scope: u16| Ipv6Addr::new(0xff00 | scope, 0, 0, 0, 0, 0, 0, 1);
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    families.pick(&[
        all_nodes(1),
        all_nodes(2),
        all_nodes(2),
        all_routers,
        SOLICITED,
    ])
}

/// The Ethernet address that frames to a group carry.
pub fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, b, c, d] = group.octets();
            Mac([1, 0, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V4(_) => Mac::BROADCAST,
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
    }
}

fn asked(families: &mut Families, route: Route, mac: Option<Mac>) -> Vec<Vec<u8>> {
    let packet = families.network(route);
    let mut frame = families.ask(packet, route.v6, 20).build();
    if let Some(mac) = mac {
        frame[..6].copy_from_slice(&mac.0);
    }
    vec![frame]
}

/// To multicast and broadcast addresses, in frames to a group or to the host alone.
pub fn group(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let (v4, v6) = (group4(families), group6(families));
    let mac = if route.v6 {
        group_mac(v6.into())
    } else {
        group_mac(v4.into())
    };
    let to = at(route.to, v4, v6);
    let mac = families.rng.bool().then_some(mac);
    asked(families, Route { to, ..route }, mac)
}

/// From addresses that are invalid as a remote source.
pub fn odd_source(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let v4 = families.pick(&[
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(192, 0, 2, 255),
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(240, 0, 0, 1),
        HOST.v4,
    ]);
    let v6 = families.pick(&[
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::LOCALHOST,
        VIM.v4.to_ipv6_mapped(),
        VIM.v4.to_ipv6_compatible(),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66),
        HOST.v6,
    ]);
    let from = at(route.from, v4, v6);
    asked(families, Route { from, ..route }, None)
}

/// To addresses that a stack may accept beside those that it was given.
pub fn odd_destination(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let v4 = families.pick(&[
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(127, 0, 0, 17),
        Ipv4Addr::new(127, 255, 255, 255),
        Ipv4Addr::new(192, 0, 2, 18),
        Ipv4Addr::new(240, 0, 0, 17),
        Ipv4Addr::new(0, 0, 0, 17),
    ]);
    let v6 = families.pick(&[
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::UNSPECIFIED,
        ANYCAST,
        LINK_LOCAL,
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        HOST.v4.to_ipv6_mapped(),
        HOST.v4.to_ipv6_compatible(),
        Ipv6Addr::new(0x2002, 0xc000, 0x0211, 0, 0, 0, 0, 1),
    ]);
    let to = at(route.to, v4, v6);
    asked(families, Route { to, ..route }, None)
}

/// To and from MAC addresses of other stations, or of groups.
pub fn odd_mac(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let mac = families.pick(&[
        Mac::BROADCAST,
        VIM.mac,
        Mac([1, 0, 0x5e, 0, 0, 1]),
        Mac([0x33, 0x33, 0, 0, 0, 1]),
        Mac([0; 6]),
    ]);
    let source = families.pick(&[INTRUDER.mac, HOST.mac, Mac::BROADCAST, Mac([0; 6])]);
    let from = with_mac(route.from, source);
    asked(families, Route { from, ..route }, Some(mac))
}
