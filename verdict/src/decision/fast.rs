//! The fast path: the common packets, decided in one straight line.
//!
//! A call costs a CPU as much as half of a decision where returns are guarded (Retbleed, SRSO), and
//! keeps it from reading several tables at once. So whole packets without options or extension
//! headers, other than ICMP, are decided without a function of the kernel's being called, as far as
//! that takes no more than looking up. [`full`](super::full) decides about all others.

use core::marker::PhantomData;

use super::{
    Ip, Judge,
    conversation::{Conversation, Ends, TO_GROUP, UNICAST},
    inbound::Inbound,
    is_foreign, is_left_to_sockets, judge,
    outbound::Outbound,
    pass,
    path::{FastPath, Undecided},
};
use crate::{
    frame::{
        ethernet::{self, Frame},
        packet::Packet,
        transport::{IpProtocol, PORTS_LEN},
    },
    image::{
        header::Header,
        lookup::{Destination, Lookup, destination},
    },
    reason::{Outcome, Reason},
    state::flow::{Flows, follow::says_what_opens},
};

/// Decides about `packet`, which came in, as [`full::inbound`](super::full::inbound) does.
///
/// # Errors
///
/// [`Undecided`] if that is to be asked.
#[inline(always)]
pub fn inbound<P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Result<Outcome, Undecided> {
    decide::<Ingress, P, T, F>(packet, tables, flows)
}

/// Decides about `packet`, which goes out, as [`full::outbound`](super::full::outbound) does.
///
/// # Errors
///
/// [`Undecided`] if that is to be asked.
#[inline(always)]
pub fn outbound<P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Result<Outcome, Undecided> {
    decide::<Egress, P, T, F>(packet, tables, flows)
}

#[inline(always)]
fn decide<J: Judge<Stop = Undecided>, P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Result<Outcome, Undecided> {
    let frame = ethernet::parse(packet)?;
    if is_foreign(packet, tables, frame.segment())? {
        return Ok(pass(Reason::Unprotected, 0));
    }
    match frame.untagged() {
        Some(frame) => judge::<J, P, T, F>(packet, tables, flows, &frame),
        None => judge::<J, P, T, F>(packet, tables, flows, &frame.opaque()),
    }
}

/// The protocol and the ends of a plain packet, other than ICMP, that has room for its transport
/// header, and how many bytes there are from there on.
#[inline(always)]
fn plain<A: Ip>(
    header: &A::Header,
    ports: &[u8; PORTS_LEN],
) -> Result<(IpProtocol, Ends, u32), Undecided> {
    let protocol = A::plain(header).ok_or(Undecided)?;
    let len = A::payload_len(header).ok_or(Undecided)?;
    if protocol == A::ICMP || len < protocol.header_len() as u32 {
        return Err(Undecided);
    }
    Ok((protocol, Ends::of(protocol, *ports), len))
}

struct Ingress;

impl Judge for Ingress {
    type Stop = Undecided;

    #[inline(always)]
    fn network<A: Ip, P: Packet, T: Lookup, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Result<Outcome, Undecided> {
        let (header, ports) = A::header_and_ports(packet, frame.payload).ok_or(Undecided)?;
        if A::may_be_dhcp_answer(header, ports) {
            return Err(Undecided);
        }
        let local = A::destination(header);
        let destination = destination(tables, local)?;
        match destination {
            Destination::Unprotected => return Ok(pass(Reason::Unprotected, 0)),
            Destination::Loopback => return Err(Undecided),
            Destination::Group if is_left_to_sockets(Header::of(tables)?, flows) => {
                plain::<A>(header, ports)?;
                return Ok(pass(Reason::Unprotected, 0));
            }
            Destination::Protected | Destination::Group => {}
        }
        let (protocol, ends, len) = plain::<A>(header, ports)?;
        let about = |kind| {
            Conversation::received(kind, local, A::source(header), protocol.0, ends)
                .at(frame.payload + A::HEADER_LEN, len)
        };
        let inbound = Inbound::<_, _, _, FastPath> {
            packet,
            tables,
            flows,
            policy: Header::of(tables)?,
            frame,
            path: PhantomData,
        };
        // Written out twice, so that the compiler knows which it is.
        let outcome = if destination == Destination::Group {
            inbound.decide(&about(TO_GROUP))?
        } else {
            inbound.decide(&about(UNICAST))?
        };
        // Who has sent it is noted.
        if outcome.audited() && !says_what_opens(protocol.0) {
            return Err(Undecided);
        }
        Ok(outcome)
    }
}

struct Egress;

impl Judge for Egress {
    type Stop = Undecided;

    #[inline(always)]
    fn network<A: Ip, P: Packet, T: Lookup, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Result<Outcome, Undecided> {
        let (header, ports) = A::header_and_ports(packet, frame.payload).ok_or(Undecided)?;
        let local = A::source(header);
        if local.is_unspecified() {
            return Err(Undecided);
        }
        if !destination(tables, local)?.is_own() {
            return Ok(pass(Reason::Unprotected, 0));
        }
        let (protocol, ends, len) = plain::<A>(header, ports)?;
        let remote = A::destination(header);
        if destination(tables, remote)? == Destination::Group {
            return Err(Undecided);
        }
        let outbound = Outbound::<_, _, _, FastPath> {
            packet,
            tables,
            flows,
            policy: Header::of(tables)?,
            path: PhantomData,
        };
        let about = Conversation::sent(UNICAST, local, remote, protocol.0, ends)
            .at(frame.payload + A::HEADER_LEN, len);
        outbound.decide(&about)
    }
}
