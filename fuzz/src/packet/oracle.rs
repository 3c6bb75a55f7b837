//! An independent check of what passed: with another parser, and with the policy itself instead of
//! its image.

use std::net::IpAddr;

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket};
use harness::judge::facts;
use manoward::{
    explain::{covering, to_hex},
    policy::{Direction, Policy, Protect},
};
use verdict::host::Frame;
use verdict::reason::{Outcome, Reason};

/// What a frame carries.
struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// Destination port, of ICMP the type; 0 of other protocols without ports.
    port: u16,
}

/// Checks that a frame which passed without being audited had a reason to.
pub fn passed(policy: &Policy, frame: &Frame<'_>, inward: bool, outcome: Outcome) {
    let Some(datagram) = read(frame.bytes) else {
        assert!(
            matches!(outcome.reason(), Reason::NotIp | Reason::Unprotected),
            "{outcome:?} of what is no packet: {}",
            to_hex(frame.bytes)
        );
        return;
    };
    let ours = if inward {
        datagram.destination
    } else {
        datagram.source
    };
    if protects(policy, ours) {
        let reasons: &[Reason] = if inward { &INWARD } else { &OUTWARD };
        assert!(
            reasons.contains(&outcome.reason()),
            "{outcome:?} at a protected address: {} {:?}",
            to_hex(frame.bytes),
            frame.vlan
        );
    }
    if UNFOLLOWED.contains(&datagram.protocol) {
        return;
    }
    match outcome.reason() {
        Reason::Permitted => {
            let asks = (datagram.source, datagram.protocol, datagram.port);
            assert!(
                allows(policy, Direction::Inbound, asks),
                "{outcome:?} for {asks:?}: {}",
                to_hex(frame.bytes)
            );
            // What anyone may use is bound to nothing.
            if outcome.endpoint() != 0 {
                bound(policy, frame, datagram.source);
            }
        }
        // A group belongs to no endpoint; a service that the host may use at any endpoint it may
        // use at a group.
        Reason::Outbound if outcome.rule() != 0 && outcome.endpoint() != 0 => {
            let asks = (datagram.destination, datagram.protocol, datagram.port);
            assert!(
                allows(policy, Direction::Outbound, asks),
                "{outcome:?} for {asks:?}: {}",
                to_hex(frame.bytes)
            );
        }
        _ => {}
    }
}

/// Extension headers (RFC 8200, section 4.1). The other parser does not follow options that are not
/// the first header; nor does Linux, which refuses such a packet.
const UNFOLLOWED: [u8; 4] = [0, 43, 44, 60];

/// Why packets to a protected address pass.
const INWARD: [Reason; 6] = [
    Reason::Permitted,
    Reason::Established,
    Reason::Fragment,
    Reason::NeighbourDiscovery,
    Reason::GroupMembership,
    Reason::IcmpError,
];

/// Why packets from a protected address pass.
const OUTWARD: [Reason; 7] = [
    Reason::Reply,
    Reason::Answer,
    Reason::Outbound,
    Reason::Fragment,
    Reason::NeighbourDiscovery,
    Reason::GroupMembership,
    Reason::IcmpError,
];

fn protects(policy: &Policy, address: IpAddr) -> bool {
    policy.protect.iter().any(|protect| match protect {
        Protect::Address(protected) => *protected == address,
        Protect::InterfaceAddresses => facts().addresses.contains(&address),
    })
}

/// Whether a reference point lets the owner of an address use, or offer, a protocol and port.
fn allows(policy: &Policy, direction: Direction, asks: (IpAddr, u8, u16)) -> bool {
    let (peer, protocol, port) = asks;
    let endpoint = covering(policy, peer).map(|found| found.endpoint);
    let points = policy.reference_points.iter();
    points
        .filter(|point| point.direction == direction)
        .filter(|point| point.names(endpoint))
        .flat_map(|point| &point.services)
        .flat_map(|service| &policy.services[service].matches)
        .any(|matched| {
            let (number, first, last) = matched.range();
            number == protocol && (first..=last).contains(&port)
        })
}

/// Checks that `frame` has the MAC address and interface that the owner of `source` is bound to.
fn bound(policy: &Policy, frame: &Frame<'_>, source: IpAddr) {
    let binding = covering(policy, source).map(|found| &found.endpoint.binding);
    let Some(binding) = binding else {
        return;
    };
    if let Some(mac) = binding.mac {
        assert_eq!(frame.bytes.get(6..12), Some(&mac[..]), "MAC address");
    }
    let names = &binding.interfaces;
    let may_arrive = |name: &String| facts().arrivals[name].contains(&frame.ifindex);
    assert!(
        names.is_empty() || names.iter().any(may_arrive),
        "{names:?}"
    );
}

/// What another parser reads from `frame`.
fn read(frame: &[u8]) -> Option<Datagram> {
    let mut at = 12;
    while let Some([0x81, 0x00] | [0x88, 0xa8]) = frame.get(at..at + 2) {
        at += 4;
    }
    let ether_type = EtherType(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let payload = frame.get(at + 2..)?;
    // Linux strips no other tags, and drops a packet whose IP version contradicts its EtherType;
    // the other parser accepts both.
    let version = match ether_type {
        EtherType::IPV4 => 4,
        EtherType::IPV6 => 6,
        _ => return None,
    };
    if payload.first()? >> 4 != version {
        return None;
    }
    let net = LaxSlicedPacket::from_ether_type(ether_type, payload).net?;
    let (source, destination) = match &net {
        LaxNetSlice::Ipv4(v4) => (
            v4.header().source_addr().into(),
            v4.header().destination_addr().into(),
        ),
        LaxNetSlice::Ipv6(v6) => (
            v6.header().source_addr().into(),
            v6.header().destination_addr().into(),
        ),
        LaxNetSlice::Arp(_) => return None,
    };
    // Authentication headers, which the other parser skips in IPv4, are what the policy calls a
    // protocol.
    let (protocol, payload) = if let LaxNetSlice::Ipv4(v4) = &net {
        let length = usize::from(v4.header().ihl()) * 4;
        (v4.header().protocol().0, payload.get(length..)?)
    } else {
        let inner = net.ip_payload_ref()?;
        (inner.ip_number.0, inner.payload)
    };
    let port = match payload.first_chunk() {
        Some(&[_, _, high, low]) if matches!(protocol, 6 | 17 | 132) => {
            u16::from_be_bytes([high, low])
        }
        Some(&[kind, ..]) if matches!(protocol, 1 | 58) => u16::from(kind),
        _ => 0,
    };
    Some(Datagram {
        source,
        destination,
        protocol,
        port,
    })
}
