use std::{vec, vec::Vec};

use super::*;
use crate::{
    address::Ipv4,
    judge::Network,
    tests::sample::{self, Image, NTP, STRANGER, bytes, icmp, image, ipv4, tcp, udp},
};

fn belongs(image: &Image, protocol: u8, transport: &[u8]) -> Result<bool, Reason> {
    let packet = ipv4(STRANGER, sample::HOST, protocol, transport);
    let packet = bytes(&packet);
    let header = Ipv4::header(&packet, 0).expect("a whole header");
    let datagram = Ipv4::datagram(&packet, 0, header).expect("a valid header");
    let ports = packet
        .view::<4>(datagram.transport)
        .map_or(Ports::NONE, |bytes| Ports::from_bytes(*bytes));
    may_belong(&packet, image, &datagram, ports)
}

#[test]
fn tcp_that_opens_a_connection_does_not() {
    let image = image(false);
    for flags in 0..=u8::MAX {
        let opens = flags & 0x12 == 0x02;
        assert_eq!(
            belongs(&image, 6, &tcp(40_000, flags)),
            Ok(!opens),
            "{flags:#x}"
        );
    }
}

#[test]
fn udp_comes_from_the_port_of_an_outbound_service() {
    let image = image(false);
    for source in 0..=u16::MAX {
        let expected = Ok(source == NTP);
        assert_eq!(belongs(&image, 17, &udp(source, 40_000)), expected);
    }
}

#[test]
fn icmp_is_an_error_or_an_echo_reply() {
    let image = image(false);
    let answers: Vec<u8> = (0..=u8::MAX)
        .filter(|&kind| belongs(&image, 1, &icmp(kind)) == Ok(true))
        .collect();
    assert_eq!(answers, vec![0, 3, 11, 12]);
    let answers: Vec<u8> = (0..=u8::MAX)
        .filter(|&kind| belongs(&image, 58, &icmp(kind)) == Ok(true))
        .collect();
    assert_eq!(answers, vec![1, 2, 3, 4, 129]);
}

#[test]
fn nothing_else_does() {
    let image = image(false);
    for protocol in (0..=u8::MAX).filter(|p| ![1, 6, 17, 58].contains(p)) {
        assert_eq!(belongs(&image, protocol, &[0; 40]), Ok(false), "{protocol}");
    }
}

#[test]
fn a_header_that_ends_early_is_truncated() {
    let image = image(false);
    let truncated = Err(Reason::TransportTruncated);
    assert_eq!(belongs(&image, 6, &tcp(40_000, ACK)[..13]), truncated);
    assert_eq!(belongs(&image, 6, &tcp(40_000, ACK)[..14]), Ok(true));
    assert_eq!(belongs(&image, 1, &icmp(0)[..1]), truncated);
    assert_eq!(belongs(&image, 58, &[]), truncated);
}

#[test]
fn without_the_port_table_there_is_no_policy() {
    let mut broken = image(false);
    broken.0.truncate(OUTBOUND_UDP as usize);
    assert_eq!(
        belongs(&broken, 17, &udp(NTP, 40_000)),
        Err(Reason::NoPolicy)
    );
}
