//! A socket bound to every address also receives packets to multicast and broadcast addresses, so
//! these are judged, too. Packets that ask for no service pass: neighbours and tenants need them.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use harness::Packet;
use harness::judge::{BROADCAST, Judges, Ruling};
use harness::net::packet::{Fragment, Icmpv6, Ipv4, Ipv6, Udp};
use harness::net::station::{HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{NO_SERVICE, ethernet, usual};

/// The subnet's broadcast, multicast from the first to the last address, the limited broadcast, and
/// 0.0.0.0, which Linux treats like it.
const GROUPS: [Ipv4Addr; 6] = [
    BROADCAST,
    Ipv4Addr::new(224, 0, 0, 0),
    Ipv4Addr::new(224, 0, 0, 251),
    Ipv4Addr::new(239, 255, 255, 255),
    Ipv4Addr::BROADCAST,
    Ipv4Addr::UNSPECIFIED,
];

const GROUPS_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),
    Ipv6Addr::new(0xffff, 0xffff, 0, 0, 0, 0, 0, 1),
];

/// Packets to every group, from these addresses.
fn groups(v4: Ipv4Addr, v6: Ipv6Addr) -> Vec<Packet> {
    let link = || Packet::new().with(ethernet(INTRUDER, HOST));
    let four = GROUPS.map(|group| link().with(Ipv4::between(v4, group)));
    let six = GROUPS_V6.map(|group| link().with(Ipv6::between(v6, group)));
    four.into_iter().chain(six).collect()
}

#[test]
fn a_service_is_judged() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for packet in groups(INTRUDER.v4, INTRUDER.v6) {
        let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "relay");
        judges.expect(&packet.with(Udp::to(7000)), unknown)?;
    }
    for packet in groups(VIM.v4, VIM.v6) {
        let permitted = Ruling::permitted("Nf-Vi", "relay", "vim");
        judges.expect(&packet.with(Udp::to(7000)), permitted)?;
    }
    Ok(())
}

/// Linux takes a datagram from 0.0.0.0 to 0.0.0.0 for a limited broadcast (RFC 1122, 3.3.6).
#[test]
fn a_packet_between_unspecified_addresses_is_a_broadcast() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let header = Ipv4::between(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
    let packet = Packet::new().with(ethernet(INTRUDER, HOST)).with(header);
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "relay");
    judges.expect(&packet.with(Udp::to(7000)), unknown)
}

#[test]
fn all_else_passes() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for packet in groups(INTRUDER.v4, INTRUDER.v6) {
        judges.expect(&packet.with(Udp::to(NO_SERVICE)), Reason::Unprotected)?;
    }
    for packet in groups(INTRUDER.v4, INTRUDER.v6) {
        judges.expect(&packet.with(vec![0; 32]), Reason::Unprotected)?;
    }
    for group in GROUPS {
        for protocol in [1, 2, 89, 103, 112] {
            let header = Ipv4 {
                protocol: Some(protocol),
                ..Ipv4::between(INTRUDER.v4, group)
            };
            let packet = Packet::new().with(ethernet(INTRUDER, HOST)).with(header);
            judges.expect(&packet.with(vec![0; 32]), Reason::Unprotected)?;
        }
    }
    Ok(())
}

#[test]
fn listener_discovery_and_echoes_of_ipv6_pass() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for group in GROUPS_V6 {
        let message = |source: &str, hop_limit, kind| {
            Packet::new()
                .with(ethernet(INTRUDER, HOST))
                .with(Ipv6 {
                    hop_limit,
                    ..Ipv6::between(source.parse().expect("an address"), group)
                })
                .with(Icmpv6 {
                    kind,
                    ..Icmpv6::default()
                })
        };
        let global = INTRUDER.v6.to_string();
        judges.expect(&message(&global, 64, 128), Reason::Unprotected)?;
        for kind in [130, 131, 132, 143] {
            judges.expect(&message("fe80::1", 1, kind), Reason::Unprotected)?;
            judges.expect(&message("fe80::1", 64, kind), Reason::HopLimit)?;
            judges.expect(&message(&global, 1, kind), Reason::DiscoveryInvalid)?;
            let unnamed = if kind == 130 {
                Reason::DiscoveryInvalid
            } else {
                Reason::Unprotected
            };
            judges.expect(&message("::", 1, kind), unnamed)?;
        }
    }
    Ok(())
}

#[test]
fn fragments_are_judged_by_the_first() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let group = GROUPS_V6[0];
    let packet = |source, offset| {
        Packet::new()
            .with(ethernet(INTRUDER, HOST))
            .with(Ipv6::between(source, group))
            .with(Fragment {
                offset,
                more: true,
                ..Fragment::default()
            })
            .with(Udp::to(7000))
    };
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "relay");
    judges.expect(&packet(INTRUDER.v6, 0), unknown)?;
    // Every host keeps what others send to a group of its link.
    judges.expect(&packet(INTRUDER.v6, 1), Reason::FragmentUnpermitted)?;
    judges.expect(&packet(VIM.v6, 1), Reason::Unprotected)
}
