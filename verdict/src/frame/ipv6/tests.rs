use std::vec::Vec;

use super::*;
use crate::tests::sample::{HOST6, VIM6, bytes, ipv6};

/// The headers of this chain, each of `8 + 8 * len` bytes, and then `next` with its payload.
fn chain(headers: &[(u8, u8, [u8; 2])], next: u8, payload: &[u8]) -> Vec<u8> {
    let kinds: Vec<u8> = headers.iter().map(|h| h.0).chain([next]).collect();
    let mut bytes = Vec::new();
    for (&(_, len, field), &following) in headers.iter().zip(&kinds[1..]) {
        bytes.extend([following, len, field[0], field[1], 0, 0, 0, 0]);
        bytes.resize(bytes.len() + 8 * usize::from(len), 0);
    }
    bytes.extend(payload);
    ipv6(VIM6, HOST6, kinds[0], &bytes)
}

fn parsed(packet: &[u8]) -> Result<Datagram<Ipv6>, Reason> {
    let packet = bytes(packet);
    let header = Ipv6::header(&packet, 0).ok_or(Ipv6::TRUNCATED)?;
    Ipv6::datagram(&packet, 0, header)
}

const TCP: u8 = 6;
const PLAIN: [u8; 2] = [0, 0];

#[test]
fn a_plain_header_is_read() {
    let datagram = parsed(&chain(&[], TCP, &[0; 20])).expect("a valid header");
    assert_eq!(datagram.source, VIM6);
    assert_eq!((datagram.protocol, datagram.hop_limit), (TCP, 64));
    assert_eq!((datagram.transport, datagram.transport_len), (40, 20));
    assert!(datagram.position.is_whole());
}

#[test]
fn the_version_must_be_6() {
    let mut packet = chain(&[], TCP, &[0; 20]);
    packet[0] = 0x45;
    assert_eq!(parsed(&packet).err(), Some(Reason::Ipv6Header));
}

#[test]
fn extension_headers_are_followed() {
    let headers = [
        (HOP_BY_HOP, 0, PLAIN),
        (DESTINATION_OPTIONS, 2, PLAIN),
        (ROUTING, 1, [4, 0]),
        (DESTINATION_OPTIONS, 0, PLAIN),
    ];
    for count in 0..=headers.len() {
        let datagram = parsed(&chain(&headers[..count], TCP, &[0; 20])).expect("a valid chain");
        let len: usize = headers[..count]
            .iter()
            .map(|h| 8 + 8 * usize::from(h.1))
            .sum();
        assert_eq!(datagram.protocol, TCP);
        assert_eq!(datagram.transport, 40 + len);
        assert_eq!(datagram.transport_len, 20);
    }
}

#[test]
fn eight_headers_are_followed_and_not_a_ninth() {
    let headers = [(DESTINATION_OPTIONS, 0, PLAIN); 9];
    let protocol = parsed(&chain(&headers[..8], TCP, &[0; 20])).map(|d| d.protocol);
    assert_eq!(protocol, Ok(TCP));
    let ninth = parsed(&chain(&headers, TCP, &[0; 20]));
    assert_eq!(ninth.err(), Some(Reason::ExtensionDepth));
}

#[test]
fn a_routing_header_has_no_segments_left() {
    for kind in [0, 2, 3, 4] {
        let packet = chain(&[(ROUTING, 2, [kind, 1])], TCP, &[0; 20]);
        assert_eq!(parsed(&packet).err(), Some(Reason::RoutingHeader));
    }
}

#[test]
fn what_is_no_extension_header_ends_the_chain() {
    // ESP, AH, no next header, mobility, HIP, Shim6: none is looked into.
    for next in [50, 51, 59, 135, 139, 140] {
        let packet = chain(&[(HOP_BY_HOP, 0, PLAIN)], next, &[TCP, 0, 0, 0, 0, 0, 0, 0]);
        let datagram = parsed(&packet).expect("a valid chain");
        assert_eq!((datagram.protocol, datagram.transport), (next, 48));
    }
}

#[test]
fn a_truncated_packet_says_where() {
    let packet = chain(&[(HOP_BY_HOP, 1, PLAIN), (ROUTING, 0, PLAIN)], TCP, &[]);
    for end in 0..packet.len() {
        let reason = match end {
            0..40 => Some(Reason::Ipv6Truncated),
            40..44 | 56..60 => Some(Reason::ExtensionTruncated),
            // The first options are there, but not what follows them.
            44..56 => Some(Reason::ExtensionTruncated),
            _ => None,
        };
        assert_eq!(parsed(&packet[..end]).err(), reason, "{end}");
    }
}

#[test]
fn extensions_end_within_the_payload() {
    let mut packet = chain(&[(HOP_BY_HOP, 1, PLAIN)], TCP, &[0; 20]);
    packet[4..6].copy_from_slice(&[0, 16]);
    assert_eq!(parsed(&packet).map(|d| d.transport_len), Ok(0));
    for len in [0, 8, 15] {
        packet[4..6].copy_from_slice(&[0, len]);
        assert_eq!(parsed(&packet).err(), Some(Reason::ExtensionTruncated));
    }
}

#[test]
fn fragments_say_where_they_lie() {
    let position = |field: u16| {
        let packet = chain(&[(FRAGMENT, 0, field.to_be_bytes())], TCP, &[0; 20]);
        parsed(&packet).expect("a valid fragment").position
    };
    assert!(position(0).is_whole(), "atomic");
    assert!(position(0b110).is_whole(), "reserved bits");
    let first = position(1);
    assert!(!first.is_whole() && first.offset() == 0);
    assert_eq!(position(3 << 3 | 1).offset(), 3);
    assert_eq!(position(0xfff8).offset(), 0x1fff);
}

#[test]
fn the_payload_of_a_later_fragment_is_not_followed() {
    let headers = [(FRAGMENT, 0, (8_u16 << 3).to_be_bytes())];
    let looks_like_routing = [ROUTING, 0, 0, 1, 0, 0, 0, 0];
    let datagram = parsed(&chain(&headers, DESTINATION_OPTIONS, &looks_like_routing))
        .expect("a later fragment");
    assert_eq!(datagram.protocol, DESTINATION_OPTIONS);
    assert_eq!(datagram.transport, 48);
    assert_eq!(datagram.position.offset(), 8);
}

#[test]
fn headers_behind_a_first_fragment_are_followed() {
    let headers = [(FRAGMENT, 0, [0, 1]), (DESTINATION_OPTIONS, 0, PLAIN)];
    let datagram = parsed(&chain(&headers, TCP, &[0; 20])).expect("a first fragment");
    assert_eq!((datagram.protocol, datagram.transport), (TCP, 56));
    assert!(!datagram.position.is_whole());
    let segments = [(FRAGMENT, 0, [0, 1]), (ROUTING, 0, [0, 1])];
    let reason = parsed(&chain(&segments, TCP, &[0; 20])).err();
    assert_eq!(reason, Some(Reason::RoutingHeader));
}

#[test]
fn plain_has_no_extension_headers() {
    let plain = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = ipv6(VIM6, HOST6, TCP, &[0; 20]);
        change(&mut packet);
        let packet = bytes(&packet);
        Ipv6::plain(Ipv6::header(&packet, 0).expect("a whole header"))
    };
    assert_eq!(plain(&|_| ()), Some(IpProtocol::TCP));
    assert_eq!(plain(&|p| p[0] = 0x6f), Some(IpProtocol::TCP));
    assert_eq!(plain(&|p| p[6] = 47), Some(IpProtocol(47)));
    assert_eq!(plain(&|p| p[0] = 0x46), None);
    for next in [0, 43, 44, 60] {
        assert_eq!(plain(&|p| p[6] = next), None, "{next}");
    }
}

#[test]
fn what_a_packet_holds_is_what_its_header_says() {
    let mut packet = ipv6(VIM6, HOST6, TCP, &[0; 20]);
    for payload_len in [20, 0, 65_535] {
        packet[4..6].copy_from_slice(&u16::to_be_bytes(payload_len));
        let packet = bytes(&packet);
        let header = Ipv6::header(&packet, 0).expect("a whole header");
        assert_eq!(Ipv6::payload_len(header), Some(payload_len.into()));
    }
}

#[test]
fn every_byte_of_the_addresses_is_read() {
    let bits = |address: Ipv6| u128::from(address.high) << 64 | u128::from(address.low);
    let mut packet = ipv6(VIM6, HOST6, TCP, &[]);
    for (at, byte) in (0x80..).zip(&mut packet[8..40]) {
        *byte = at;
    }
    let packet = bytes(&packet);
    let header = Ipv6::header(&packet, 0).expect("a whole header");
    let source = 0x8081_8283_8485_8687_8889_8a8b_8c8d_8e8f;
    let destination = 0x9091_9293_9495_9697_9899_9a9b_9c9d_9e9f;
    assert_eq!(bits(Ipv6::source(header)), source);
    assert_eq!(bits(Ipv6::destination(header)), destination);
}
