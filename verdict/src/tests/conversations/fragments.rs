//! Later fragments, which follow the first one.

use std::vec::Vec;

use super::super::sample::{
    ENROLMENT, HOST, MAC, NTP, OTHER, SSH, STRANGER, VIM, WATCHED, ethernet, ipv4, udp,
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
    let host = Host(Table::new(64, image(false)).enrolling());
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
    assert_eq!(later(OTHER, 2), ungoverned(Reason::NoService, 3));
    assert_eq!(later(OTHER, 3), ungoverned(Reason::Fragment, 3));
    let violation = first(VIM, 4, WATCHED);
    assert_eq!(violation, Outcome::new(Reason::WrongRole, true, 2, 1));
    assert_eq!(later(VIM, 4), violation);
    // Of a stranger, dropped and audited; and one that cannot be parsed.
    let unknown = ungoverned(Reason::UnknownSource, 0);
    assert_eq!(
        later(STRANGER, 5),
        ungoverned(Reason::FragmentUnpermitted, 0)
    );
    assert_eq!(
        first(STRANGER, 5, ENROLMENT).reason(),
        Reason::UnknownSource
    );
    assert_eq!(later(STRANGER, 5).reason(), unknown.reason());
    let audited = first(STRANGER, 6, WATCHED);
    assert_eq!(audited, Outcome::new(Reason::UnknownSource, true, 2, 0));
    assert_eq!(later(STRANGER, 6), audited);
    let tiny = host.takes(&fragment(VIM, HOST, 7, 0, &[0; 7]));
    assert_eq!(tiny, ungoverned(Reason::FragmentTiny, 0));
    assert_eq!(later(VIM, 7), ungoverned(Reason::FragmentTiny, 1));
}

/// Whoever it was, where the host may ask anyone.
#[test]
fn later_fragments_follow_the_first_one_of_an_answer() {
    for modes in [
        Modes::ANY_OUTBOUND.with(Modes::UNRULED_FLOWS),
        Modes::AUDIT_OUTBOUND.with(Modes::UNRULED_FLOWS),
    ] {
        let host = Host(Table::new(64, image_in(modes)).enrolling());
        host.lets(&v4(HOST, STRANGER, UDP, &udp(OWN, 9)));
        let answer = [udp(9, OWN), [0; 24].to_vec()].concat();
        let first = host.takes(&fragment(STRANGER, HOST, 1, 0, &answer));
        assert_eq!(first, ungoverned(Reason::Established, 0));
        let later = |id| host.takes(&fragment(STRANGER, HOST, id, 4, &[0; 32]));
        assert_eq!(later(1), ungoverned(Reason::Fragment, 0));
        assert_eq!(later(2), ungoverned(Reason::FragmentUnpermitted, 0));
    }
}

/// Strangers change no more than the notes, and displace nothing of those who are permitted.
#[test]
fn strangers_displace_no_fragments() {
    let host = Host(Table::new(1, image(true)).enrolling());
    let payload = |port| [udp(1, port), [0; 24].to_vec()].concat();
    for identification in 0..8 {
        let first = fragment(OTHER, HOST, identification, 0, &payload(WATCHED));
        assert_eq!(host.takes(&first).reason(), Reason::Permitted);
    }
    let flows = || host.0.flows().collect::<Vec<_>>();
    let before = flows();
    assert!(before.len() > 4);
    for identification in 0..=u16::MAX {
        for (source, port) in [(STRANGER, NTP), (STRANGER, WATCHED), (VIM, WATCHED)] {
            let first = fragment(source, HOST, identification, 0, &payload(port));
            assert!(host.takes(&first).is_refusal());
        }
        // An error that quotes what the host may have sent to a permitted peer passes, from anyone.
        let quoted = ipv4(HOST, VIM, TCP, &segment(SSH, OWN, ACK));
        let error = [&icmp(3)[..], &quoted].concat();
        let mut error = ipv4(STRANGER, HOST, ICMP, &error);
        error[4..6].copy_from_slice(&identification.to_be_bytes());
        error[6] = 0x20;
        let error = host.takes(&ethernet(MAC, 0x0800, &error));
        assert_eq!(error.reason(), Reason::IcmpError);
    }
    assert_eq!(flows(), before);
    let later = host.takes(&fragment(OTHER, HOST, 7, 4, &[0; 32]));
    assert_eq!(later, under(Reason::Fragment, 2, 3));
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
