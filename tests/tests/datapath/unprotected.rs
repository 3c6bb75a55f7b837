//! Traffic of unprotected addresses always passes.

use anyhow::Result;
use harness::judge::Judges;
use harness::net::packet::{Ethernet, Extension, Ipv4, Ipv6, Packet, Tcp, Udp, Vlan};
use harness::net::station::{GUEST, HOST, INTRUDER, TENANT};
use verdict::reason::Reason;

use crate::{both, usual, v4, v6};

#[test]
fn tenants_reach_their_guests() -> Result<()> {
    let mut judges = Judges::of(&usual("mode: enforce"))?;
    for packet in both(TENANT, GUEST) {
        judges.expect(&packet.with(Tcp::syn(22)), Reason::Unprotected)?;
    }
    for packet in both(INTRUDER, GUEST) {
        judges.expect(&packet.with(Udp::to(7000)), Reason::Unprotected)?;
    }
    for packet in both(HOST, TENANT) {
        judges.expect(&packet.with(Tcp::syn(22)), Reason::Unprotected)?;
    }
    Ok(())
}

#[test]
fn an_address_that_differs_in_one_bit_is_not_protected() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for bit in 0..32 {
        let neighbour = Ipv4::between(INTRUDER.v4, (HOST.v4.to_bits() ^ 1 << bit).into());
        let expected = if neighbour.destination.is_multicast() {
            // Multicast is judged where it asks for a service.
            Reason::UnknownSource
        } else {
            Reason::Unprotected
        };
        let packet = Packet::new().with(Ethernet::default()).with(neighbour);
        let outcome = judges.outcome(&packet.with(Tcp::syn(22)).build())?;
        assert_eq!(outcome.reason(), expected, "bit {bit}");
    }
    for bit in 0..120 {
        let neighbour = Ipv6::between(INTRUDER.v6, (HOST.v6.to_bits() ^ 1 << bit).into());
        let packet = Packet::new().with(Ethernet::default()).with(neighbour);
        judges.expect(&packet.with(Tcp::syn(22)), Reason::Unprotected)?;
    }
    Ok(())
}

#[test]
fn malformed_packets_to_guests_pass() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let broken = Ipv4 {
        ihl: Some(2),
        total_length: Some(1),
        ..Ipv4::between(TENANT.v4, GUEST.v4)
    };
    let packet = Packet::new().with(Ethernet::default()).with(broken);
    judges.expect(&packet, Reason::Unprotected)?;
    judges.expect(&v4(TENANT, GUEST).with(vec![0; 2]), Reason::Unprotected)?;
    let chain = (0..20).fold(v6(TENANT, GUEST), |packet, _| {
        packet.with(Extension::destination())
    });
    judges.expect(&chain.with(Tcp::syn(22)), Reason::Unprotected)?;
    let segments = v6(TENANT, GUEST).with(Extension::routing(4, 3));
    judges.expect(&segments.with(Tcp::syn(22)), Reason::Unprotected)
}

#[test]
fn other_protocols_of_the_link_pass() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    // STP and other LLC by length, LACP, LLDP, PTP, 802.1X, MPLS, PPPoE, an unknown type.
    for ether_type in [
        0x0026, 0x05dc, 0x8809, 0x88cc, 0x88f7, 0x888e, 0x8847, 0x8864, 0xffff,
    ] {
        let header = || Ethernet {
            ether_type: Some(ether_type),
            ..Ethernet::default()
        };
        let bare = Packet::new().with(header()).with(vec![0; 46]);
        judges.expect(&bare, Reason::NotIp)?;
        let tagged = Packet::new().with(Ethernet::default()).with(Vlan {
            ether_type: Some(ether_type),
            ..Vlan::new(42)
        });
        judges.expect(&tagged.with(vec![0; 46]), Reason::NotIp)?;
        judges.expect(&Packet::new().with(header()).with(vec![0]), Reason::NotIp)?;
    }
    Ok(())
}
