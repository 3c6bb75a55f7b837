//! Connections that the host opens, with their answers, errors and fragments, in both directions.

mod errors;
mod fast;
mod fragments;
mod served;
mod unasked;

use std::vec::Vec;

use super::sample::{
    self, BOUND, BROADCAST, Bytes, GUEST, HOST, HOST6, INTERFACES, Image, LASTS, MAC, NTP, OTHER,
    SSH, STRANGER, Table, VIM, VIM6, VLAN, WATCHED, ethernet, icmp, image, image_in, ipv4, ipv6,
    tcp, udp,
};
use crate::{
    frame::{
        address::{Ipv4, Ipv6},
        transport::{ACK, SYN},
    },
    image::{fixed::TIMEOUTS, header::Modes},
    reason::{Outcome, Reason, Verdict},
    state::clock::ticks,
};

const TCP: u8 = 6;
const IGMP: u8 = 2;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A port of the host's own choice.
const OWN: u16 = 40_000;

/// The table of a host, by an image.
struct Host(Table);

impl Host {
    fn new(image: Image) -> Self {
        Self(Table::new(64, image))
    }

    fn enforcing() -> Self {
        Self::new(image(false))
    }

    /// The outcome of a frame that comes in.
    fn takes(&self, frame: &[u8]) -> Outcome {
        self.0.takes(&sample::bytes(frame))
    }

    /// The same of one that goes out.
    fn sends(&self, frame: &[u8]) -> Outcome {
        self.0.sends(&sample::bytes(frame))
    }

    /// Sends a frame that passes.
    fn lets(&self, frame: &[u8]) {
        assert_eq!(self.sends(frame).verdict(), Verdict::Pass);
    }
}

fn v4(source: Ipv4, destination: Ipv4, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(MAC, 0x0800, &ipv4(source, destination, protocol, payload))
}

fn v6(source: Ipv6, destination: Ipv6, next: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(MAC, 0x86dd, &ipv6(source, destination, next, payload))
}

/// A TCP segment between these ports.
fn segment(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut segment = tcp(destination, flags);
    segment[..2].copy_from_slice(&source.to_be_bytes());
    // The answer to a SYN acknowledges it.
    segment[8..12].copy_from_slice(&1_u32.to_be_bytes());
    segment
}

/// An ICMP message of this type, with this identifier.
fn echo(kind: u8, identifier: u16) -> Vec<u8> {
    let mut message = icmp(kind);
    message[4..6].copy_from_slice(&identifier.to_be_bytes());
    message
}

fn under(reason: Reason, rule: u16, endpoint: u32) -> Outcome {
    Outcome::new(reason, false, rule, endpoint)
}

fn ungoverned(reason: Reason, endpoint: u32) -> Outcome {
    under(reason, 0, endpoint)
}

#[test]
fn what_the_host_asks_is_answered() {
    let outbound = under(Reason::Outbound, 4, 1);
    let established = under(Reason::Established, 4, 1);
    let host = Host::enforcing();
    assert_eq!(host.sends(&v4(HOST, VIM, UDP, &udp(OWN, NTP))), outbound);
    assert_eq!(host.takes(&v4(VIM, HOST, UDP, &udp(NTP, OWN))), established);
    let no_flow = under(Reason::NoFlow, 4, 1);
    assert_eq!(host.takes(&v4(VIM, HOST, UDP, &udp(NTP, OWN + 1))), no_flow);
    assert_eq!(host.takes(&v6(VIM6, HOST6, UDP, &udp(NTP, OWN))), no_flow);

    let syn = v6(HOST6, VIM6, TCP, &segment(OWN, NTP, SYN));
    assert_eq!(host.sends(&syn), outbound);
    let answer = v6(VIM6, HOST6, TCP, &segment(NTP, OWN, SYN | ACK));
    assert_eq!(host.takes(&answer), established);
    let other = v6(VIM6, HOST6, TCP, &segment(NTP, OWN + 1, SYN | ACK));
    assert_eq!(host.takes(&other), no_flow);
    // A peer that may be used does not use the host.
    let opening = v4(VIM, HOST, TCP, &segment(NTP, OWN, SYN));
    assert_eq!(host.takes(&opening), no_flow);
}

#[test]
fn what_the_host_may_not_ask_opens_nothing() {
    let host = Host::enforcing();
    let unknown = under(Reason::UnknownDestination, 4, 0);
    let wrong = under(Reason::WrongRole, 4, 3);
    let no_service = ungoverned(Reason::NoService, 1);
    assert_eq!(
        host.sends(&v4(HOST, STRANGER, UDP, &udp(OWN, NTP))),
        unknown
    );
    assert_eq!(host.sends(&v4(HOST, OTHER, UDP, &udp(OWN, NTP))), wrong);
    assert_eq!(host.sends(&v4(HOST, VIM, UDP, &udp(OWN, 9))), no_service);
    assert!(host.0.flows().next().is_none());
    // Nor does an answer to whom the host would not have answered.
    let reply = v4(HOST, OTHER, TCP, &segment(SSH, OWN, ACK));
    assert_eq!(host.sends(&reply), under(Reason::WrongRole, 1, 3));
    let reply = v4(HOST, STRANGER, TCP, &segment(SSH, OWN, ACK));
    assert_eq!(host.sends(&reply), under(Reason::UnknownDestination, 1, 0));
    assert!(host.0.flows().next().is_none());
}

#[test]
fn replies_of_services_take_no_flow() {
    let host = Host::enforcing();
    let reply = under(Reason::Reply, 1, 1);
    assert_eq!(
        host.sends(&v4(HOST, VIM, TCP, &segment(SSH, OWN, ACK))),
        reply
    );
    assert!(host.0.flows().next().is_none());
    // A connection that the host opens from a service's port is none.
    let opening = v4(HOST, VIM, TCP, &segment(SSH, OWN, SYN));
    assert_eq!(host.sends(&opening), ungoverned(Reason::NoService, 1));
}

#[test]
fn pings_are_answered_to_whoever_asked() {
    let host = Host::enforcing();
    let established = under(Reason::Established, 4, 1);
    let outbound = under(Reason::Outbound, 4, 1);
    assert_eq!(host.sends(&v4(HOST, VIM, ICMP, &echo(8, 5))), outbound);
    assert_eq!(host.takes(&v4(VIM, HOST, ICMP, &echo(0, 5))), established);
    assert_eq!(
        host.takes(&v4(VIM, HOST, ICMP, &echo(0, 6))).reason(),
        Reason::NoFlow
    );
    assert_eq!(
        host.sends(&v6(HOST6, VIM6, ICMPV6, &echo(128, 7))),
        outbound
    );
    assert_eq!(
        host.takes(&v6(VIM6, HOST6, ICMPV6, &echo(129, 7))),
        established
    );
}

#[test]
fn what_is_no_part_of_a_connection_is_refused_under_its_rule() {
    let opened = |host: &Host, peer, port| {
        host.lets(&v4(HOST, peer, TCP, &segment(OWN, port, SYN)));
        let mut answer = segment(port, OWN, SYN | ACK);
        answer[8..12].copy_from_slice(&0x7000_0000_u32.to_be_bytes());
        host.takes(&v4(peer, HOST, TCP, &answer))
    };
    let host = Host::enforcing();
    assert_eq!(opened(&host, VIM, NTP), under(Reason::OutOfWindow, 4, 1));
    let host = Host::new(image_in(Modes::ANY_OUTBOUND.with(Modes::UNRULED_FLOWS)));
    assert_eq!(
        opened(&host, STRANGER, 9),
        ungoverned(Reason::OutOfWindow, 0)
    );
    let modes = Modes::AUDIT.with(Modes::ANY_OUTBOUND);
    let host = Host::new(image_in(modes.with(Modes::UNRULED_FLOWS)));
    let audited = Outcome::new(Reason::OutOfWindow, true, 0, 0);
    assert_eq!(opened(&host, STRANGER, 9), audited);
}

#[test]
fn whoever_may_answers_what_a_group_was_asked() {
    let host = Host::enforcing();
    let question = v4(HOST, BROADCAST, UDP, &udp(OWN, NTP));
    assert_eq!(host.sends(&question), under(Reason::Outbound, 4, 0));
    let answer = |source| host.takes(&v4(source, HOST, UDP, &udp(NTP, OWN)));
    assert_eq!(answer(VIM), under(Reason::Established, 4, 1));
    assert_eq!(answer(OTHER), under(Reason::WrongRole, 4, 3));
    assert_eq!(answer(STRANGER), under(Reason::UnknownSource, 4, 0));
    // Nobody opens a connection of TCP with a group.
    host.lets(&v4(HOST, BROADCAST, TCP, &segment(OWN, NTP, SYN)));
    let answer = host.takes(&v4(VIM, HOST, TCP, &segment(NTP, OWN, SYN | ACK)));
    assert_eq!(answer, under(Reason::NoFlow, 4, 1));
}

#[test]
fn a_host_without_an_address_is_answered() {
    let host = Host::enforcing();
    let answer = |port| host.takes(&v4(VIM, HOST, UDP, &udp(NTP, port)));
    let nobody = Ipv4(0);
    let question = v4(nobody, Ipv4(u32::MAX), UDP, &udp(OWN, NTP));
    assert_eq!(host.sends(&question), ungoverned(Reason::Unprotected, 0));
    assert_eq!(answer(OWN), under(Reason::Established, 4, 1));
    assert_eq!(answer(OWN + 1), under(Reason::NoFlow, 4, 1));
}

#[test]
fn connections_of_guests_are_taken_over_in_their_midst() {
    let mut host = Host::enforcing();
    let midst =
        |host: &Host, local, flags| host.takes(&v4(VIM, local, TCP, &segment(NTP, OWN, flags)));
    let no_flow = under(Reason::NoFlow, 4, 1);
    assert_eq!(midst(&host, GUEST, ACK), no_flow);
    host.0.adopting = true;
    assert_eq!(midst(&host, HOST, ACK), no_flow, "of those the agent knows");
    assert_eq!(midst(&host, GUEST, SYN), no_flow);
    assert_eq!(midst(&host, GUEST, SYN | ACK), no_flow);
    let datagram = host.takes(&v4(VIM, GUEST, UDP, &udp(NTP, OWN)));
    assert_eq!(datagram, no_flow);
    let established = under(Reason::Established, 4, 1);
    assert_eq!(midst(&host, GUEST, ACK), established);
    host.0.adopting = false;
    assert_eq!(midst(&host, GUEST, ACK), established);
    let other = host.takes(&v4(OTHER, GUEST, TCP, &segment(NTP, OWN, ACK)));
    assert_eq!(other, under(Reason::WrongRole, 4, 3));
}

#[test]
fn an_audit_lets_the_host_ask_and_be_answered() {
    let modes = Modes::AUDIT_OUTBOUND.with(Modes::UNRULED_FLOWS);
    let host = Host::new(image_in(modes));
    let asked = host.sends(&v4(HOST, STRANGER, UDP, &udp(OWN, 9)));
    assert_eq!(asked, Outcome::new(Reason::NoService, true, 0, 0));
    let answer = |port| host.takes(&v4(STRANGER, HOST, UDP, &udp(port, OWN)));
    assert_eq!(answer(9), ungoverned(Reason::Established, 0));
    assert_eq!(answer(10).verdict(), Verdict::Drop);
    assert_eq!(answer(10), ungoverned(Reason::NoService, 0));
    let quoted = ipv4(HOST, STRANGER, UDP, &udp(OWN, 9));
    let error = host.takes(&v4(VIM, HOST, ICMP, &errors::error(3, &quoted)));
    assert_eq!(error, ungoverned(Reason::IcmpError, 0));
    // An answer to nobody who may ask opens nothing, though it passes.
    let opened = || host.0.flows().count();
    let before = opened();
    let reply = host.sends(&v4(HOST, OTHER, TCP, &segment(SSH, OWN, ACK)));
    assert_eq!(reply.reason(), Reason::WrongRole);
    assert_eq!(opened(), before);
}

#[test]
fn a_host_that_may_ask_anyone_is_answered_by_whom_it_asked() {
    let host = Host::new(image_in(Modes::ANY_OUTBOUND.with(Modes::UNRULED_FLOWS)));
    let asked = host.sends(&v4(HOST, STRANGER, TCP, &segment(OWN, 443, SYN)));
    assert_eq!(asked, ungoverned(Reason::Outbound, 0));
    let answer = |port| host.takes(&v4(STRANGER, HOST, TCP, &segment(443, port, SYN | ACK)));
    assert_eq!(answer(OWN), ungoverned(Reason::Established, 0));
    assert_eq!(answer(OWN + 1), ungoverned(Reason::NoService, 0));
}

#[test]
fn a_flow_ends_after_its_time_in_either_way() {
    for lasts in [ticks(1), LASTS] {
        let mut image = image(false);
        for word in &mut image.0[TIMEOUTS as usize] {
            *word = u64::from(lasts) << 32 | u64::from(lasts);
        }
        let mut host = Host::new(image);
        let question = v4(HOST, VIM, UDP, &udp(OWN, NTP));
        let answer = v4(VIM, HOST, UDP, &udp(NTP, OWN));
        for later in [1, lasts - 1, lasts] {
            host.lets(&question);
            host.0.now += later;
            assert_eq!(host.takes(&answer), under(Reason::Established, 4, 1));
        }
        host.0.now += lasts + 1;
        assert_eq!(host.takes(&answer), under(Reason::NoFlow, 4, 1));
        // What is sent opens another.
        assert_eq!(host.sends(&question), under(Reason::Outbound, 4, 1));
        let flows = host.0.flows();
        let opened = flows.map(|flow| flow.opened).max();
        assert_eq!(opened, Some(host.0.now));
    }
}

#[test]
fn a_wrong_role_may_still_answer() {
    let host = Host::enforcing();
    // A service is asked for from the port of a service that the host uses: it may be an answer.
    let bytes = v4(OTHER, HOST, UDP, &udp(NTP, WATCHED));
    assert_eq!(host.takes(&bytes).reason(), Reason::Permitted);
    let bytes = v4(VIM, HOST, UDP, &udp(NTP, WATCHED));
    assert_eq!(host.takes(&bytes).reason(), Reason::NoFlow);
    host.lets(&v4(HOST, VIM, UDP, &udp(WATCHED, NTP)));
    assert_eq!(host.takes(&bytes), under(Reason::Established, 4, 1));
}

#[test]
fn a_host_without_an_address_may_ask_in_packets_that_can_be_parsed() {
    let host = Host::enforcing();
    let nobody = Ipv6 { high: 0, low: 0 };
    let asks = host.sends(&v6(nobody, VIM6, UDP, &udp(68, 67)));
    assert_eq!(asks, ungoverned(Reason::Unprotected, 0));
    // A routing header with a segment left.
    let routed = host.sends(&v6(nobody, VIM6, 43, &[UDP, 0, 0, 1, 0, 0, 0, 0]));
    assert_eq!(routed, ungoverned(Reason::RoutingHeader, 0));
    // Options that the frame does not hold.
    let mut cut = v4(Ipv4(0), VIM, UDP, &[]);
    cut[14] = 0x47;
    cut[17] = 28;
    assert_eq!(host.sends(&cut), ungoverned(Reason::Ipv4Truncated, 0));
}

#[test]
fn what_keeps_a_link_together_goes_out() {
    let host = Host::enforcing();
    let sends = |kind| host.sends(&v6(HOST6, VIM6, ICMPV6, &icmp(kind)));
    for kind in [133, 134, 135, 136] {
        assert_eq!(sends(kind), ungoverned(Reason::NeighbourDiscovery, 0));
    }
    for kind in [130, 131, 132, 143] {
        assert_eq!(sends(kind), ungoverned(Reason::GroupMembership, 0));
    }
    assert_eq!(sends(137), ungoverned(Reason::IcmpRedirect, 0));
    let redirect = host.sends(&v4(HOST, VIM, ICMP, &icmp(5)));
    assert_eq!(redirect, ungoverned(Reason::IcmpRedirect, 0));
    let report = |to| host.sends(&v4(HOST, to, IGMP, &[0; 8]));
    assert_eq!(
        report(Ipv4(0xe000_0016)),
        ungoverned(Reason::GroupMembership, 0)
    );
    assert_eq!(report(VIM), ungoverned(Reason::NoService, 1));
}

#[test]
fn an_answer_that_only_an_audit_lets_pass_opens_nothing() {
    let host = Host::enforcing();
    let answer = host.sends(&v4(HOST, VIM, UDP, &udp(WATCHED, OWN)));
    assert_eq!(answer, under(Reason::Answer, 2, 1));
    assert!(host.0.flows().next().is_none());
}

#[test]
fn an_answer_comes_from_where_the_peer_is_bound() {
    let host = Host::enforcing();
    host.lets(&v4(HOST, BOUND, UDP, &udp(OWN, NTP)));
    let bytes = v4(BOUND, HOST, UDP, &udp(NTP, OWN));
    let takes = |vlan, ifindex| {
        let frame = Bytes {
            bytes: &bytes,
            vlan,
            ifindex,
        };
        host.0.takes(&frame)
    };
    let [interface, _] = INTERFACES;
    assert_eq!(takes(None, interface), under(Reason::WrongVlan, 4, 2));
    assert_eq!(takes(Some(VLAN), 1), under(Reason::WrongInterface, 4, 2));
    assert_eq!(
        takes(Some(VLAN), interface),
        under(Reason::Established, 4, 2)
    );
}

#[test]
fn the_wrong_place_is_the_reason_where_the_peer_had_been_let_in() {
    let takes = |modes, source, destination| {
        let bytes = v4(BOUND, HOST, UDP, &udp(source, destination));
        Host::new(image_in(modes)).takes(&bytes)
    };
    let ruled = Modes::default();
    let unruled = Modes::ANY_OUTBOUND.with(Modes::UNRULED_FLOWS);
    // Its role is wrong wherever it comes from.
    assert_eq!(
        takes(ruled, OWN, WATCHED),
        Outcome::new(Reason::WrongRole, true, 2, 2)
    );
    assert_eq!(takes(ruled, NTP, OWN), under(Reason::WrongVlan, 4, 2));
    assert_eq!(takes(unruled, 9, OWN), ungoverned(Reason::WrongVlan, 2));
}
