//! Neighbour and listener discovery.

use super::*;

#[test]
fn neighbours_are_not_discovered_in_fragments() {
    let message = [&icmp(135)[..], &[0; 16]].concat();
    // A first fragment, a whole packet behind a fragment header, and one without.
    for (more, expected) in [
        (Some(1), Reason::DiscoveryFragmented),
        (Some(0), Reason::DiscoveryFragmented),
        (None, Reason::NeighbourDiscovery),
    ] {
        let (next, payload) = match more {
            Some(more) => (
                44,
                [&[ICMPV6, 0, 0, more, 0, 0, 0, 1], &message[..]].concat(),
            ),
            None => (ICMPV6, message.clone()),
        };
        let outcome = v6(next, &payload, |packet| packet[7] = 255);
        assert_eq!(outcome.reason(), expected, "{more:?}");
    }
}

#[test]
fn neighbour_discovery_never_crossed_a_router() {
    for kind in [133, 135, 136] {
        let message = [&icmp(kind)[..], &[0; 16]].concat();
        let judged = |hops| v6(ICMPV6, &message, |p| p[7] = hops);
        assert_eq!(judged(255), passed(Reason::NeighbourDiscovery, 0, 0));
        assert_eq!(judged(254), drop(Reason::HopLimit));
    }
    let redirect = v6(ICMPV6, &icmp(137), |p| p[7] = 255);
    assert_eq!(redirect, drop(Reason::IcmpRedirect));
}

/// The outcome of an ICMPv6 message with these hops that comes from a link-local address, unless
/// `change` makes it another.
fn on_link(message: &[u8], hops: u8, change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    v6(ICMPV6, message, |packet| {
        packet[7] = hops;
        packet[8..10].copy_from_slice(&[0xfe, 0x80]);
        change(packet);
    })
}

#[test]
fn neighbour_discovery_is_whole_and_from_the_link() {
    let discovered = passed(Reason::NeighbourDiscovery, 0, 0);
    let invalid = drop(Reason::DiscoveryInvalid);
    let message = |kind, body: usize| [&icmp(kind)[..], &vec![0; body]].concat();
    // Solicitations of routers are short; advertisements have four times as many bytes as those
    // of neighbours have behind the address.
    for (kind, body) in [(133, 0), (134, 8), (135, 16), (136, 16)] {
        let judged = |body| on_link(&message(kind, body), 255, |_| ());
        assert_eq!(judged(body), discovered, "{kind}");
        assert_eq!(judged(body + 8), discovered, "{kind}");
        if body > 0 {
            // Padding of the frame is no part of the message.
            let padded = |packet: &mut Vec<u8>| {
                packet[4..6].copy_from_slice(&(7 + body as u16).to_be_bytes());
            };
            let short = on_link(&message(kind, body), 255, padded);
            assert_eq!(short, invalid, "{kind}");
        }
        let mut coded = message(kind, body);
        coded[1] = 1;
        assert_eq!(on_link(&coded, 255, |_| ()), invalid, "{kind}");
    }
    for kind in [135, 136] {
        let truncated = on_link(&message(kind, 15), 255, |_| ());
        assert_eq!(truncated, drop(Reason::TransportTruncated));
        let mut group = message(kind, 16);
        group[8] = 0xff;
        assert_eq!(on_link(&group, 255, |_| ()), invalid);
        // The address that is asked for, not its checksum or what follows.
        let mut other = message(kind, 24);
        other[24] = 0xff;
        assert_eq!(on_link(&other, 255, |_| ()), discovered);
    }
    // Routers advertise themselves from the link alone; others have addresses, too.
    let elsewhere = |packet: &mut Vec<u8>| packet[8..10].copy_from_slice(&[0x20, 1]);
    assert_eq!(on_link(&message(134, 8), 255, elsewhere), invalid);
    assert_eq!(on_link(&message(135, 16), 255, elsewhere), discovered);
}

#[test]
fn members_of_groups_are_heard_from_the_link() {
    let to_group = |packet: &mut Vec<u8>| packet[24..26].copy_from_slice(&[0xff, 2]);
    let from_nobody = |packet: &mut Vec<u8>| packet[8..24].fill(0);
    let from_elsewhere = |packet: &mut Vec<u8>| packet[8..10].copy_from_slice(&[0x20, 1]);
    let invalid = drop(Reason::DiscoveryInvalid);
    let passes = passed(Reason::Unprotected, 0, 0);
    for kind in [130, 131, 132, 143] {
        let judged = |change: &dyn Fn(&mut Vec<u8>)| {
            on_link(&icmp(kind), 1, |packet| {
                to_group(packet);
                change(packet);
            })
        };
        assert_eq!(judged(&|_| ()), passes, "{kind}");
        assert_eq!(judged(&from_elsewhere), invalid, "{kind}");
        // A host that has no address yet tells, and does not ask.
        let expected = if kind == 130 { invalid } else { passes };
        assert_eq!(judged(&from_nobody), expected, "{kind}");
        assert_eq!(judged(&|packet| packet[7] = 2), drop(Reason::HopLimit));
        let to_host = on_link(&icmp(kind), 1, |_| ());
        assert_eq!(to_host, passed(Reason::GroupMembership, 0, 0), "{kind}");
    }
}
