//! Neighbour and router discovery passes if it cannot have crossed a router (RFC 4861).

use std::net::Ipv6Addr;

use anyhow::Result;
use harness::Packet;
use harness::judge::Judges;
use harness::net::packet::{Extension, Fragment, Icmpv6, Ipv6};
use harness::net::station::{HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{ethernet, usual};

fn to(destination: Ipv6Addr, hop_limit: u8) -> Packet {
    Packet::new().with(ethernet(VIM, HOST)).with(Ipv6 {
        hop_limit,
        ..Ipv6::between(INTRUDER.v6, destination)
    })
}

/// To one address, its solicited-node group, and all nodes.
fn destinations() -> [Ipv6Addr; 3] {
    let solicited = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x17);
    [
        HOST.v6,
        solicited,
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    ]
}

#[test]
fn from_the_link_it_passes() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for destination in destinations() {
        for message in [
            Icmpv6::neighbour_solicitation(HOST.v6, VIM.mac),
            Icmpv6::neighbour_advertisement(VIM.v6, VIM.mac),
            Icmpv6 {
                kind: 133,
                ..Icmpv6::default()
            },
        ] {
            let packet = to(destination, 255).with(message.clone());
            judges.expect(&packet, Reason::NeighbourDiscovery)?;
            let extended = to(destination, 255).with(Extension::hop_by_hop());
            judges.expect(&extended.with(message), Reason::NeighbourDiscovery)?;
        }
    }
    Ok(())
}

/// Also behind a fragment header that fragments nothing (RFC 6946).
#[test]
fn in_fragments_it_is_dropped() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for destination in destinations() {
        for more in [false, true] {
            for before in [None, Some(Extension::hop_by_hop())] {
                let mut packet = to(destination, 255);
                if let Some(extension) = before {
                    packet = packet.with(extension);
                }
                let packet = packet.with(Fragment {
                    more,
                    ..Fragment::default()
                });
                let message = Icmpv6::neighbour_advertisement(VIM.v6, VIM.mac);
                judges.expect(&packet.with(message), Reason::DiscoveryFragmented)?;
            }
        }
    }
    Ok(())
}

#[test]
fn from_beyond_the_link_it_is_dropped() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for destination in destinations() {
        for hop_limit in [0, 1, 64, 254] {
            for kind in 133..=136 {
                let message = Icmpv6 {
                    kind,
                    ..Icmpv6::default()
                };
                let packet = to(destination, hop_limit).with(message);
                judges.expect(&packet, Reason::HopLimit)?;
            }
        }
    }
    Ok(())
}

#[test]
fn redirects_are_not_part_of_it() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let redirect = Icmpv6 {
        kind: 137,
        ..Icmpv6::default()
    };
    judges.expect(&to(HOST.v6, 255).with(redirect), Reason::IcmpRedirect)
}

/// RFC 4861, 6.1.2: routers advertise themselves with their address on the link.
#[test]
fn routers_advertise_from_the_link() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let advertisement = Icmpv6 {
        kind: 134,
        body: vec![0; 8],
        ..Icmpv6::default()
    };
    for (source, expected) in [
        ("fe80::1", Reason::NeighbourDiscovery),
        ("2001:db8:0:17::1", Reason::DiscoveryInvalid),
        ("::", Reason::DiscoveryInvalid),
    ] {
        let from = |message| {
            Packet::new()
                .with(ethernet(VIM, HOST))
                .with(Ipv6 {
                    hop_limit: 255,
                    ..Ipv6::between(source.parse().expect("an address"), HOST.v6)
                })
                .with(message)
        };
        judges.expect(&from(advertisement.clone()), expected)?;
        let short = Icmpv6 {
            body: Vec::new(),
            ..advertisement.clone()
        };
        judges.expect(&from(short), Reason::DiscoveryInvalid)?;
        let coded = Icmpv6 {
            code: 1,
            ..advertisement.clone()
        };
        judges.expect(&from(coded), Reason::DiscoveryInvalid)?;
    }
    Ok(())
}

/// RFC 4861, 7.1: the target is no group.
#[test]
fn the_target_is_not_a_group() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let group = "ff02::1".parse()?;
    for message in [
        Icmpv6::neighbour_solicitation(group, VIM.mac),
        Icmpv6::neighbour_advertisement(group, VIM.mac),
    ] {
        judges.expect(&to(HOST.v6, 255).with(message), Reason::DiscoveryInvalid)?;
    }
    Ok(())
}
