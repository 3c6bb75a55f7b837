//! What the fast path decides by itself.

use super::super::sample::{
    self, BROADCAST, GRE, HOST, HOST6, MAC, NTP, OTHER, SSH, STRANGER, VIM, VIM6, WATCHED,
    ethernet, image_in, udp,
};
use crate::{
    decision::{self, path::Undecided},
    frame::transport::{ACK, SYN},
    image::header::Modes,
    reason::{Outcome, Reason},
};

use super::*;

/// The outcome of what the fast path decides by itself.
fn at_once(short: Result<Outcome, Undecided>) -> Reason {
    short.expect("a decision").reason()
}

#[test]
fn plain_packets_are_decided_at_once() {
    let host = Host::enforcing();
    let takes = |frame: &[u8]| {
        let frame = sample::bytes(frame);
        at_once(decision::fast::inbound(&frame, &host.0.tables, &host.0))
    };
    let sends = |frame: &[u8]| {
        let frame = sample::bytes(frame);
        at_once(decision::fast::outbound(&frame, &host.0.tables, &host.0))
    };
    let ssh = segment(OWN, SSH, ACK);
    assert_eq!(takes(&v4(VIM, HOST, TCP, &ssh)), Reason::Permitted);
    assert_eq!(takes(&v6(VIM6, HOST6, TCP, &ssh)), Reason::Permitted);
    assert_eq!(takes(&v4(STRANGER, HOST, TCP, &ssh)), Reason::UnknownSource);
    assert_eq!(takes(&v4(OTHER, HOST, TCP, &ssh)), Reason::WrongRole);
    let unserved = udp(OWN, 9);
    assert_eq!(takes(&v4(VIM, HOST, UDP, &unserved)), Reason::NoService);
    assert_eq!(
        takes(&v4(VIM, BROADCAST, UDP, &unserved)),
        Reason::Unprotected
    );
    assert_eq!(
        takes(&v4(STRANGER, VIM, UDP, &unserved)),
        Reason::Unprotected
    );
    let elsewhere = takes(&v6(HOST6, VIM6, UDP, &unserved));
    assert_eq!(elsewhere, Reason::Unprotected);
    assert_eq!(takes(&ethernet(MAC, 0x0806, &[0; 28])), Reason::NotIp);
    // The first packet of what says not itself what it begins is remembered.
    let tunnelled = v4(VIM, HOST, GRE, &[0; 8]);
    assert_eq!(host.takes(&tunnelled).reason(), Reason::Permitted);
    assert_eq!(takes(&tunnelled), Reason::Permitted);

    let reply = segment(SSH, OWN, ACK);
    assert_eq!(sends(&v4(HOST, VIM, TCP, &reply)), Reason::Reply);
    assert_eq!(sends(&v6(HOST6, VIM6, TCP, &reply)), Reason::Reply);
    assert_eq!(
        sends(&v4(STRANGER, VIM, UDP, &unserved)),
        Reason::Unprotected
    );
    assert_eq!(sends(&ethernet(MAC, 0x0806, &[0; 28])), Reason::NotIp);
    host.lets(&v4(HOST, VIM, UDP, &udp(OWN, NTP)));
    assert_eq!(sends(&v4(HOST, VIM, UDP, &udp(OWN, NTP))), Reason::Outbound);
    assert_eq!(
        takes(&v4(VIM, HOST, UDP, &udp(NTP, OWN))),
        Reason::Established
    );
    host.lets(&v4(HOST, VIM, TCP, &segment(OWN, NTP, SYN)));
    let answer = v4(VIM, HOST, TCP, &segment(NTP, OWN, SYN | ACK));
    assert_eq!(takes(&answer), Reason::Established);
}

#[test]
fn a_host_without_rules_follows_its_flows_at_once() {
    let host = Host::new(image_in(Modes::ANY_OUTBOUND.with(Modes::UNRULED_FLOWS)));
    let table = &host.0;
    // Both peers hold no permission here; one is no endpoint at all.
    host.lets(&v4(HOST, OTHER, UDP, &udp(OWN, 9)));
    let again = v4(HOST, OTHER, UDP, &udp(OWN, 9));
    let sent = decision::fast::outbound(&sample::bytes(&again), &table.tables, table);
    assert_eq!(sent, Ok(ungoverned(Reason::Outbound, 3)));
    let answer = v4(OTHER, HOST, UDP, &udp(9, OWN));
    let taken = decision::fast::inbound(&sample::bytes(&answer), &table.tables, table);
    assert_eq!(taken, Ok(ungoverned(Reason::Established, 3)));
    host.lets(&v4(HOST, STRANGER, UDP, &udp(OWN, 9)));
    let answer = v4(STRANGER, HOST, UDP, &udp(9, OWN));
    assert_eq!(host.takes(&answer), ungoverned(Reason::Established, 0));
    // Whom no role makes a peer of a service is asked under no rule.
    for _ in 0..2 {
        let asked = host.sends(&v4(HOST, STRANGER, UDP, &udp(OWN, NTP)));
        assert_eq!(asked, ungoverned(Reason::Outbound, 0));
    }
    // Nor does it matter that the peer might be asked for something else.
    let served = v4(VIM, HOST, TCP, &segment(OWN, SSH, SYN));
    assert_eq!(host.takes(&served), under(Reason::Permitted, 1, 1));
    let wrong = v4(OTHER, HOST, TCP, &segment(OWN, SSH, SYN));
    assert_eq!(host.takes(&wrong), under(Reason::WrongRole, 1, 3));
    // Nor that the host has asked from the port of a service.
    host.lets(&v4(HOST, VIM, UDP, &udp(WATCHED, 9)));
    let answer = v4(VIM, HOST, UDP, &udp(9, WATCHED));
    assert_eq!(host.takes(&answer), ungoverned(Reason::Established, 1));
}
