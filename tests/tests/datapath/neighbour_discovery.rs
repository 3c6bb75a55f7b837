//! Neighbour and router discovery passes if it cannot have crossed a router (RFC 4861).

use std::net::Ipv6Addr;

use anyhow::Result;
use harness::Packet;
use harness::kernel::Judges;
use harness::packet::{Extension, Icmpv6, Ipv6};
use harness::station::{HOST, INTRUDER, VIM};
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
            Icmpv6 {
                kind: 134,
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

#[test]
fn from_beyond_it_does_not() -> Result<()> {
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
    judges.expect(&to(HOST.v6, 255).with(redirect), Reason::NoService)
}
