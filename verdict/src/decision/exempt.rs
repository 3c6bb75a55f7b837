//! Packets that an [exemption](crate::state::exemption) lets pass although the policy does not.
//!
//! Only what the policy refuses comes here, so what it admits pays nothing. Only whole packets without
//! options or extensions are looked at, of TCP, UDP or SCTP, and ICMP errors about these: a packet that is
//! broken stays dropped, whoever has sent it. What the host sends is let pass if it answers.

use super::Ip;
use crate::{
    counters::Direction,
    frame::{
        address::{Ipv4, Ipv6, family},
        ethernet::{self, EtherType},
        icmp::{self, Class},
        packet::Packet,
        transport::{IpProtocol, PORTS_LEN, segment},
    },
    reason::{Outcome, Reason},
    state::exemption::{Arrival, Case, Exemptions, IPV4, IPV6},
};

/// Reasons that say what the policy refuses, as bits; all others are about packets that are broken.
const OF_POLICY: u64 = bit(Reason::UnknownSource)
    | bit(Reason::WrongRole)
    | bit(Reason::WrongMac)
    | bit(Reason::WrongVlan)
    | bit(Reason::WrongInterface)
    | bit(Reason::NoService)
    | bit(Reason::NoPolicy)
    | bit(Reason::NoFlow)
    | bit(Reason::OutOfWindow)
    | bit(Reason::UnknownDestination)
    | bit(Reason::FlowTableFull)
    | bit(Reason::IcmpUnrelated)
    | bit(Reason::NoLease)
    | bit(Reason::LeaseExpired)
    | bit(Reason::BindingUnseen)
    | bit(Reason::WrongPlace);

const fn bit(reason: Reason) -> u64 {
    1 << reason.code()
}

/// What passes because of an exemption.
pub const EXEMPT: Outcome = Outcome::new(Reason::BreakGlass, false, 0, 0);

/// Whether the policy refuses a packet with this outcome, and an exemption may let it pass.
#[inline(always)]
#[must_use]
const fn is_refused_by_policy(outcome: Outcome) -> bool {
    OF_POLICY >> outcome.code() & 1 != 0
}

/// `outcome`, unless the policy refuses the packet and an exemption lets it pass, which is asked for only then.
#[inline(always)]
pub fn considered(outcome: Outcome, is_exempt: impl FnOnce() -> bool) -> Outcome {
    if is_refused_by_policy(outcome) && is_exempt() {
        return EXEMPT;
    }
    outcome
}

/// Whether an exemption lets `packet` pass, a frame of this direction.
#[inline(always)]
pub fn frame<P: Packet, E: Exemptions>(packet: &P, exemptions: &E, direction: Direction) -> bool {
    match ethernet::parse(packet) {
        Ok(frame) => {
            let frame = frame.opaque();
            at(
                packet,
                exemptions,
                direction,
                frame.ether_type,
                frame.payload,
            )
        }
        Err(_) => false,
    }
}

/// Whether an exemption lets `packet` pass, whose network header is at offset `at`.
#[inline(always)]
pub fn at<P: Packet, E: Exemptions>(
    packet: &P,
    exemptions: &E,
    direction: Direction,
    ether_type: EtherType,
    at: usize,
) -> bool {
    let case = match ether_type {
        EtherType::IPV4 => case::<Ipv4, P>(packet, at, direction),
        EtherType::IPV6 => case::<Ipv6, P>(packet, at, direction),
        _ => None,
    };
    let Some(mut case) = case else {
        return false;
    };
    if direction == Direction::In {
        case.origin = Some(Arrival {
            mac: packet.source_mac().unwrap_or(0),
            ifindex: if P::SEES_LINK { packet.ifindex() } else { 0 },
        });
    }
    exemptions.covers(&case)
}

/// What exemptions are compared with of the packet whose network header is at offset `at`; `None` if none
/// can be about it.
#[inline(always)]
fn case<A: Ip, P: Packet>(packet: &P, at: usize, direction: Direction) -> Option<Case> {
    let (header, ports) = A::header_and_ports(packet, at)?;
    let protocol = A::plain(header)?;
    let len = A::payload_len(header)?;
    let transport = at + A::HEADER_LEN;
    let (source, destination) = (A::source(header), A::destination(header));
    if protocol == A::ICMP {
        let is_error = A::icmp_class(ports[0]) == Class::ERROR;
        if !is_error || direction == Direction::Out || !is_one_host(destination) {
            return None;
        }
        // The host has sent the packet that it is about.
        let (quoted, ports) = A::header_and_ports(packet, transport + icmp::BODY)?;
        let is_own = A::source(quoted) == destination;
        let protocol = A::plain(quoted).filter(|_| is_own)?;
        return answer::<A>(A::destination(quoted), protocol, *ports);
    }
    if len < protocol.header_len() as u32 {
        return None;
    }
    let segment = segment(packet, protocol, transport, len).ok()?;
    let is_tcp = protocol == IpProtocol::TCP;
    match direction {
        Direction::In => {
            if !is_one_host(destination) || (is_tcp && !segment.is_sensible()) {
                return None;
            }
            of::<A>(source, protocol, [ports[2], ports[3]])
        }
        Direction::Out if is_tcp && segment.opens() => None,
        Direction::Out => answer::<A>(destination, protocol, *ports),
    }
}

/// What the host has sent to `peer` from the first of these `ports`.
#[inline(always)]
fn answer<A: Ip>(peer: A, protocol: IpProtocol, ports: [u8; PORTS_LEN]) -> Option<Case> {
    of::<A>(peer, protocol, [ports[0], ports[1]])
}

#[inline(always)]
fn of<A: Ip>(peer: A, protocol: IpProtocol, port: [u8; 2]) -> Option<Case> {
    protocol.port_table()?;
    Some(Case {
        peer: peer.to_words(),
        asked: Case::ask(
            if family::<A>() == 0 { IPV4 } else { IPV6 },
            protocol.0,
            u16::from_be_bytes(port),
        ),
        origin: None,
    })
}

/// Whether `address` is neither a group's nor the loopback interface's.
#[inline(always)]
fn is_one_host<A: Ip>(address: A) -> bool {
    !address.is_group() && !address.is_loopback()
}
