use std::{vec, vec::Vec};

use super::*;
use crate::tests::sample::{HOST, VIM, bytes, ipv4};

fn parsed(packet: &[u8]) -> Result<Datagram<Ipv4>, Reason> {
    let packet = bytes(packet);
    let header = Ipv4::header(&packet, 0).ok_or(Ipv4::TRUNCATED)?;
    Ipv4::datagram(&packet, 0, header)
}

fn with(change: impl FnOnce(&mut Vec<u8>)) -> Result<Datagram<Ipv4>, Reason> {
    let mut packet = ipv4(VIM, HOST, 6, &[0; 20]);
    change(&mut packet);
    parsed(&packet)
}

#[test]
fn a_plain_header_is_read() {
    let datagram = with(|_| ()).expect("a valid header");
    assert_eq!(datagram.source, VIM);
    assert_eq!((datagram.protocol, datagram.hop_limit), (6, 64));
    assert_eq!((datagram.transport, datagram.transport_len), (20, 20));
    assert!(datagram.position.is_whole());
}

#[test]
fn the_destination_is_read_from_the_header_alone() {
    let packet = ipv4(VIM, HOST, 6, &[]);
    let packet = bytes(&packet);
    assert_eq!(Ipv4::header(&packet, 0).map(Ipv4::destination), Some(HOST));
}

#[test]
fn options_move_the_transport_header() {
    for words in 5..=15_u8 {
        let options = vec![1; usize::from(words - 5) * 4];
        let mut packet = ipv4(VIM, HOST, 17, &[options, vec![0; 8]].concat());
        packet[0] = 0x40 | words;
        let datagram = parsed(&packet).expect("a valid header");
        assert_eq!(datagram.transport, usize::from(words) * 4);
        assert_eq!(datagram.transport_len, 8);
    }
}

#[test]
fn options_are_wholly_there() {
    let mut packet = ipv4(VIM, HOST, 112, &[1; 40]);
    packet[0] = 0x4f;
    assert!(parsed(&packet).is_ok());
    for length in 20..60 {
        let cut = parsed(&packet[..length]);
        assert_eq!(cut.err(), Some(Reason::Ipv4Truncated), "{length} bytes");
    }
}

#[test]
fn contradictions_are_refused() {
    let header = Some(Reason::Ipv4Header);
    for version in [0, 5, 6, 15] {
        assert_eq!(with(|p| p[0] = version << 4 | 5).err(), header);
    }
    for words in 0..5 {
        assert_eq!(with(|p| p[0] = 0x40 | words).err(), header);
    }
    assert_eq!(with(|p| p[2..4].copy_from_slice(&[0, 0])).err(), header);
    assert_eq!(with(|p| p[2..4].copy_from_slice(&[0, 19])).err(), header);
    assert_eq!(with(|p| p[2..4].copy_from_slice(&[0, 20])).err(), None);
    let longer_than_all = |p: &mut Vec<u8>| {
        p[0] = 0x4f;
        p[2..4].copy_from_slice(&[0, 59]);
    };
    assert_eq!(with(longer_than_all).err(), header);
}

#[test]
fn a_truncated_header_is_none() {
    for end in 0..20 {
        assert_eq!(with(|p| p.truncate(end)).err(), Some(Reason::Ipv4Truncated));
    }
    assert_eq!(with(|p| p.truncate(20)).err(), None);
}

#[test]
fn the_position_leaves_out_the_other_flags() {
    let position = |field: u16| {
        with(|p| p[6..8].copy_from_slice(&field.to_be_bytes()))
            .expect("a valid header")
            .position
    };
    assert!(position(0x4000).is_whole());
    assert!(position(0xc000).is_whole());
    let first = position(0x2000);
    assert!(!first.is_whole() && first.offset() == 0);
    assert_eq!(position(0x2001).offset(), 1);
    let last = position(0x1fff);
    assert!(!last.is_whole() && last.offset() == 0x1fff);
}

#[test]
fn only_the_first_of_several_fragments_is_one() {
    let position = |field: u16| Position::from_ipv4(field);
    assert!(position(0x2000).is_first());
    for field in [0, 0x4000, 0x2001, 0x3fff, 1] {
        assert!(!position(field).is_first(), "{field:#x}");
    }
}

#[test]
fn plain_is_whole_without_options() {
    let plain = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = ipv4(VIM, HOST, 6, &[0; 20]);
        change(&mut packet);
        let packet = bytes(&packet);
        Ipv4::plain(Ipv4::header(&packet, 0).expect("a whole header"))
    };
    assert_eq!(plain(&|_| ()), Some(IpProtocol::TCP));
    assert_eq!(
        plain(&|p| p[6] = 0x40),
        Some(IpProtocol::TCP),
        "unfragmented"
    );
    assert_eq!(plain(&|p| p[9] = 47), Some(IpProtocol(47)));
    assert_eq!(plain(&|p| p[0] = 0x46), None);
    assert_eq!(plain(&|p| p[0] = 0x65), None);
    assert_eq!(plain(&|p| p[6] = 0x20), None);
    assert_eq!(plain(&|p| p[7] = 1), None);
}

#[test]
fn what_a_packet_holds_is_what_its_header_says() {
    let mut packet = ipv4(VIM, HOST, 6, &[0; 20]);
    for (total_len, payload_len) in [
        (40, Some(20)),
        (20, Some(0)),
        (19, None),
        (0, None),
        (65_535, Some(65_515)),
    ] {
        packet[2..4].copy_from_slice(&u16::to_be_bytes(total_len));
        let packet = bytes(&packet);
        let header = Ipv4::header(&packet, 0).expect("a whole header");
        assert_eq!(Ipv4::payload_len(header), payload_len, "{total_len}");
    }
}
