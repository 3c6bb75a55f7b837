//! ICMP errors, which are judged by the packet that they quote.

use std::vec::Vec;

use super::super::sample::{
    self, BOUND, HOST, HOST6, MAC, NTP, OTHER, SSH, STRANGER, VIM, VIM6, ethernet, icmp, ipv4,
    ipv6, udp,
};
use crate::{
    frame::transport::{ACK, SYN},
    reason::Reason,
};

use super::*;

/// An ICMP error that quotes `packet`.
pub fn error(kind: u8, packet: &[u8]) -> Vec<u8> {
    [&icmp(kind), packet].concat()
}

#[test]
fn an_error_is_about_the_packet_that_it_quotes() {
    let host = Host::enforcing();
    let asked = ipv4(HOST, VIM, UDP, &udp(OWN, NTP));
    let unrelated = ungoverned(Reason::IcmpUnrelated, 0);
    let about = |quoted: &[u8]| host.takes(&v4(STRANGER, HOST, ICMP, &error(3, quoted)));
    assert_eq!(about(&asked), unrelated);
    host.lets(&ethernet(MAC, 0x0800, &asked));
    // It comes from any router.
    assert_eq!(about(&asked), under(Reason::IcmpError, 4, 1));
    assert_eq!(about(&ipv4(HOST, VIM, UDP, &udp(OWN + 1, NTP))), unrelated);
    assert_eq!(
        about(&ipv4(HOST, STRANGER, UDP, &udp(OWN, NTP))).reason(),
        Reason::IcmpUnrelated
    );
    // Where that router sits says nothing about the peer.
    let bound = ipv4(HOST, BOUND, UDP, &udp(OWN, NTP));
    host.lets(&ethernet(MAC, 0x0800, &bound));
    assert_eq!(about(&bound), under(Reason::IcmpError, 4, 2));
    // Of a service of the host's, no flow is asked for.
    let reply = ipv4(HOST, VIM, TCP, &segment(SSH, OWN, ACK));
    assert_eq!(about(&reply), under(Reason::IcmpError, 1, 1));
    let reply = ipv4(HOST, OTHER, TCP, &segment(SSH, OWN, ACK));
    assert_eq!(about(&reply).reason(), Reason::IcmpUnrelated);

    let asked = ipv6(HOST6, VIM6, UDP, &udp(OWN, NTP));
    host.lets(&ethernet(MAC, 0x86dd, &asked));
    let about = |quoted: &[u8]| host.takes(&v6(sample::v6(0x99), HOST6, ICMPV6, &error(2, quoted)));
    assert_eq!(about(&asked), under(Reason::IcmpError, 4, 1));
    assert_eq!(
        about(&ipv6(HOST6, VIM6, UDP, &udp(OWN, NTP + 1))),
        unrelated
    );
}

#[test]
fn an_error_quotes_ports_at_least() {
    let host = Host::enforcing();
    let asked = ipv4(HOST, VIM, UDP, &udp(OWN, NTP));
    host.lets(&ethernet(MAC, 0x0800, &asked));
    let about = |quoted: &[u8]| {
        let mut frame = v4(STRANGER, HOST, ICMP, &error(3, quoted));
        // What follows the datagram is no part of it.
        frame.extend(&asked[quoted.len()..]);
        host.takes(&frame)
    };
    assert_eq!(about(&asked[..24]), under(Reason::IcmpError, 4, 1));
    assert_eq!(about(&asked[..23]), ungoverned(Reason::IcmpUnrelated, 0));
    let asked = ipv6(HOST6, VIM6, UDP, &udp(OWN, NTP));
    host.lets(&ethernet(MAC, 0x86dd, &asked));
    let about = |quoted: &[u8]| {
        let mut frame = v6(VIM6, HOST6, ICMPV6, &error(1, quoted));
        frame.extend(&asked[quoted.len()..]);
        host.takes(&frame)
    };
    assert_eq!(about(&asked[..44]), under(Reason::IcmpError, 4, 1));
    assert_eq!(about(&asked[..43]), ungoverned(Reason::IcmpUnrelated, 0));
}

#[test]
fn an_error_that_the_host_sends_is_about_what_it_took() {
    let host = Host::enforcing();
    let about = |quoted: &[u8]| host.sends(&v4(HOST, VIM, ICMP, &error(3, quoted)));
    let asking = ipv4(VIM, HOST, TCP, &segment(OWN, SSH, SYN));
    assert_eq!(about(&asking), under(Reason::IcmpError, 1, 1));
    let answer = ipv4(VIM, HOST, UDP, &udp(NTP, OWN));
    assert_eq!(about(&answer), ungoverned(Reason::IcmpUnrelated, 1));
    host.lets(&v4(HOST, VIM, UDP, &udp(OWN, NTP)));
    assert_eq!(about(&answer), under(Reason::IcmpError, 4, 1));
    let nothing = ipv4(VIM, HOST, UDP, &udp(1, 2));
    assert_eq!(about(&nothing), ungoverned(Reason::IcmpUnrelated, 1));
}
