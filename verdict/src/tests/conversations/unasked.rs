//! What nobody has asked for, and what the host answers to it.

use super::*;

/// A port of the stranger's.
const PEER: u16 = 5_000;

fn any() -> Modes {
    Modes::ANY_OUTBOUND.with(Modes::UNRULED_FLOWS)
}

fn audit() -> Modes {
    Modes::AUDIT_OUTBOUND
        .with(Modes::UNRULED_FLOWS)
        .with(Modes::AUDIT)
}

/// Asserts that what the host sends from its port to the stranger is an answer, and lets nobody in.
#[track_caller]
fn answers(host: &mut Host, port: u16, expected: Outcome) {
    let answer = v4(HOST, STRANGER, UDP, &udp(port, PEER));
    assert_eq!(host.sends(&answer), expected);
    assert!(host.0.flows().next().is_none());
}

#[test]
fn an_answer_to_a_broadcast_does_not_let_the_asker_in() {
    let mut host = Host::new(image_in(any()));
    let asks = v4(STRANGER, BROADCAST, UDP, &udp(PEER, 9));
    assert_eq!(host.takes(&asks), ungoverned(Reason::Unprotected, 0));
    let answer = ungoverned(Reason::Answer, 0);
    answers(&mut host, 9, answer);
    answers(&mut host, OWN, answer);
    // Others the host may still ask, and this one once it has been quiet.
    host.lets(&v4(HOST, STRANGER, UDP, &udp(OWN, PEER + 1)));
    assert_eq!(host.0.flows().count(), 1);
    host.0.now += ticks(4) + 1;
    let later = host.sends(&v4(HOST, STRANGER, UDP, &udp(OWN, PEER)));
    assert_eq!(later, ungoverned(Reason::Outbound, 0));
    assert_eq!(host.0.flows().count(), 2);
}

#[test]
fn an_answer_to_what_was_audited_is_counted_as_such() {
    let mut host = Host::new(image_in(audit()));
    let asks = host.takes(&v4(STRANGER, HOST, UDP, &udp(PEER, 9)));
    assert_eq!(asks, Outcome::new(Reason::NoService, true, 0, 0));
    answers(&mut host, 9, ungoverned(Reason::Answer, 0));
    // At a service that is offered to others.
    let asks = host.takes(&v4(STRANGER, HOST, UDP, &udp(PEER, WATCHED)));
    assert!(asks.audited(), "{asks:?}");
    answers(&mut host, WATCHED, under(Reason::Answer, 2, 0));
    // What the host begins is not.
    let begins = host.sends(&v4(HOST, STRANGER, UDP, &udp(OWN, PEER + 1)));
    assert_eq!(begins, Outcome::new(Reason::NoService, true, 0, 0));
}

#[test]
fn tcp_and_icmp_say_themselves_what_they_answer() {
    let host = Host::new(image_in(audit()));
    let answer = ungoverned(Reason::Answer, 0);
    let segment = |flags| v4(HOST, STRANGER, TCP, &segment(8080, PEER, flags));
    assert_eq!(host.sends(&segment(SYN | ACK)), answer);
    assert_eq!(host.sends(&segment(ACK)), answer);
    assert_eq!(host.sends(&v4(HOST, STRANGER, ICMP, &echo(0, 5))), answer);
    assert!(host.0.flows().next().is_none());
    let begins = host.sends(&segment(SYN));
    assert_eq!(begins, Outcome::new(Reason::NoService, true, 0, 0));
}

#[test]
fn notes_over_one_another_let_nobody_in() {
    let mut host = Host::new(image_in(any()));
    let asks = |port| v4(STRANGER, BROADCAST, UDP, &udp(port, 9));
    let _ = host.takes(&asks(PEER));
    for other in (1..=u16::MAX).filter(|&port| port != PEER) {
        let _ = host.takes(&asks(other));
    }
    answers(&mut host, 9, ungoverned(Reason::Answer, 0));
}

#[test]
fn what_a_rule_permits_is_opened_whoever_has_asked() {
    let host = Host::new(image_in(any()));
    let _ = host.takes(&v4(VIM, BROADCAST, UDP, &udp(NTP, 9)));
    let asked = host.sends(&v4(HOST, VIM, UDP, &udp(OWN, NTP)));
    assert_eq!(asked, under(Reason::Outbound, 4, 1));
    assert_eq!(host.0.flows().count(), 1);
}
