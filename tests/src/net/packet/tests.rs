//! The builder against bytes computed elsewhere, and against its own arithmetic.

use super::*;

#[test]
fn plain_tcp_has_lengths_types_and_valid_checksums() {
    let frame = Packet::v4()
        .with(Tcp::syn(22))
        .with(b"hello".to_vec())
        .build();
    assert_eq!(frame.len(), 14 + 20 + 20 + 5);
    assert_eq!(frame[12..14], [0x08, 0x00]);
    assert_eq!(frame[14], 0x45);
    assert_eq!(frame[16..18], 45_u16.to_be_bytes());
    assert_eq!(frame[23], 6);
    // A correct checksum makes the sum over its field and all it covers zero.
    assert_eq!(checksum::internet(&[&frame[14..34]]), 0);
    let pseudo = [&frame[26..34], &[0, 6, 0, 25]].concat();
    assert_eq!(checksum::internet(&[&pseudo, &frame[34..]]), 0);
}

#[test]
fn tags_chain_their_types() {
    let frame = Packet::new()
        .with(Ethernet::default())
        .with(Vlan::service(7))
        .with(Vlan {
            priority: 5,
            ..Vlan::new(42)
        })
        .with(Ipv6::default())
        .with(Udp::to(53))
        .build();
    assert_eq!(
        frame[12..22],
        [0x88, 0xa8, 0, 7, 0x81, 0x00, 0xa0, 42, 0x86, 0xdd]
    );
}

#[test]
fn extension_headers_chain_and_the_checksum_skips_them() {
    let frame = Packet::v6()
        .with(Extension::hop_by_hop())
        .with(Fragment {
            more: true,
            offset: 2,
            ..Fragment::default()
        })
        .with(Udp::to(53))
        .build();
    assert_eq!((frame[20], frame[54], frame[62]), (0, 44, 17));
    assert_eq!(frame[64..66], [0, 0x11]);
    let bare = Packet::v6().with(Udp::to(53)).build();
    assert_eq!(frame[70..78], bare[54..62]);
}

#[test]
fn overrides_stay_as_they_are() {
    let header = Ipv4 {
        ihl: Some(15),
        total_length: Some(9),
        protocol: Some(132),
        checksum: Some(0xdead),
        fragment_offset: 185,
        more_fragments: true,
        options: vec![7],
        ..Ipv4::default()
    };
    let frame = Packet::new().with(header).with(vec![0; 3]).build();
    assert_eq!(frame.len(), 20 + 4 + 3);
    assert_eq!(frame[0], 0x4f);
    assert_eq!(frame[2..4], [0, 9]);
    assert_eq!(frame[6..8], [0x20, 185]);
    assert_eq!(frame[9], 132);
    assert_eq!(frame[10..12], [0xde, 0xad]);
}

#[test]
fn an_error_quotes_a_whole_packet() {
    let frame = Packet::v4()
        .with(Icmp::fragmentation_needed(1400))
        .with(Ipv4::default())
        .with(Tcp::syn(22))
        .build();
    assert_eq!(frame[23], 1);
    assert_eq!(frame[34..36], [3, 4]);
    assert_eq!(frame[40..42], 1400_u16.to_be_bytes());
    assert_eq!(checksum::internet(&[&frame[34..]]), 0);
    assert_eq!(frame[42], 0x45);
}

#[test]
fn neighbour_messages_carry_target_and_option() {
    let mac = crate::net::station::INTRUDER.mac;
    let target = crate::net::station::VIM.v6;
    let frame = Packet::v6()
        .with(Icmpv6::neighbour_advertisement(target, mac))
        .build();
    assert_eq!(frame.len(), 14 + 40 + 8 + 16 + 8);
    assert_eq!(frame[54], 136);
    assert_eq!(frame[62..78], target.octets());
    assert_eq!(frame[78..], [&[2, 1], &mac.0[..]].concat());
}
