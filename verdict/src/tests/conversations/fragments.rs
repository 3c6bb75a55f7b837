//! Later fragments, which follow the first one.

use std::vec::Vec;

use super::super::sample::{
    HOST, MAC, NTP, OTHER, SSH, STRANGER, VIM, WATCHED, ethernet, ipv4, udp,
};
use crate::{
    frame::{address::Ipv4, transport::ACK},
    reason::{Outcome, Reason},
};

use super::*;

/// A fragment of a datagram with this identification, at this offset in units of 8 bytes.
fn fragment(
    source: Ipv4,
    destination: Ipv4,
    identification: u16,
    offset: u16,
    payload: &[u8],
) -> Vec<u8> {
    const MORE: u16 = 0x2000;
    let mut packet = ipv4(source, destination, UDP, payload);
    packet[4..6].copy_from_slice(&identification.to_be_bytes());
    let position = if offset == 0 { MORE } else { offset };
    packet[6..8].copy_from_slice(&position.to_be_bytes());
    ethernet(MAC, 0x0800, &packet)
}

#[test]
fn later_fragments_follow_the_first_one_in() {
    let host = Host::enforcing();
    let first = |source, identification, port| {
        let payload = [udp(1, port), [0; 24].to_vec()].concat();
        host.takes(&fragment(source, HOST, identification, 0, &payload))
    };
    let later =
        |source, identification| host.takes(&fragment(source, HOST, identification, 4, &[0; 32]));
    // Of OTHER's role, who has a permission; rule 2 audits, and no rule is there for the others.
    let watched = first(OTHER, 1, WATCHED);
    assert_eq!(watched, under(Reason::Permitted, 2, 3));
    assert_eq!(later(OTHER, 1), under(Reason::Fragment, 2, 3));
    let refused = first(OTHER, 2, NTP + 1);
    assert_eq!(refused, ungoverned(Reason::NoService, 0));
    let early = ungoverned(Reason::Fragment, 3);
    assert_eq!(
        later(OTHER, 2),
        early,
        "its first one is remembered of nobody"
    );
    assert_eq!(later(OTHER, 3), early);
    let violation = first(VIM, 4, WATCHED);
    assert_eq!(violation, Outcome::new(Reason::WrongRole, true, 2, 1));
    assert_eq!(later(VIM, 4), Outcome::new(Reason::Fragment, true, 2, 1));
    assert_eq!(
        later(STRANGER, 5),
        ungoverned(Reason::FragmentUnpermitted, 0)
    );
}

#[test]
fn a_whole_packet_is_no_first_fragment() {
    let host = Host::enforcing();
    let whole = host.takes(&v4(OTHER, HOST, UDP, &udp(1, WATCHED)));
    assert_eq!(whole.reason(), Reason::Permitted);
    let sent = host.sends(&v4(HOST, VIM, TCP, &segment(SSH, OWN, ACK)));
    assert_eq!(sent.reason(), Reason::Reply);
    assert!(host.0.flows().next().is_none());
    let later = host.takes(&fragment(OTHER, HOST, 0, 4, &[0; 32]));
    assert_eq!(later.reason(), Reason::Fragment);
}

#[test]
fn later_fragments_follow_the_first_one_out() {
    let host = Host::enforcing();
    let payload = [udp(OWN, NTP), [0; 24].to_vec()].concat();
    let later = |identification| host.sends(&fragment(HOST, VIM, identification, 4, &[0; 32]));
    assert_eq!(later(1), ungoverned(Reason::FragmentUnpermitted, 1));
    let outbound = under(Reason::Outbound, 4, 1);
    assert_eq!(host.sends(&fragment(HOST, VIM, 1, 0, &payload)), outbound);
    assert_eq!(later(1), under(Reason::Fragment, 4, 1));
    assert_eq!(later(2), ungoverned(Reason::FragmentUnpermitted, 1));
}
