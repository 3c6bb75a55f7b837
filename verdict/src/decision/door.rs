//! The inner door: packets at the host's sockets.
//!
//! XDP judges what arrives over covered interfaces. What reaches a socket another way, over an
//! interface that nobody named, out of a tunnel, by a group or at an address that was not known yet, is
//! judged here. Packets begin at their network header, and are whole: the stack has put fragments
//! together.

use core::marker::PhantomData;

use super::{Ip, inbound::Inbound, outbound::Outbound, pass, path::FullPath, ungoverned};
use crate::{
    counters::Direction,
    frame::{
        address::{Ipv4, Ipv6},
        ethernet::{EtherType, Frame, VlanTags},
        packet::Packet,
    },
    image::{
        header::{Header, Modes},
        lookup::{Destination, Lookup, destination},
    },
    reason::{Outcome, Reason},
    state::flow::Flows,
};

/// Whether the program at a covered interface has judged, or will judge, a packet that takes this way: of
/// its addresses the host's is a protected one.
#[inline(always)]
pub fn is_judged_elsewhere<P: Packet, T: Lookup>(
    packet: &P,
    tables: &T,
    ether_type: EtherType,
    direction: Direction,
) -> bool {
    match ether_type {
        EtherType::IPV4 => is_protected::<Ipv4, P, T>(packet, tables, direction),
        EtherType::IPV6 => is_protected::<Ipv6, P, T>(packet, tables, direction),
        _ => false,
    }
}

#[inline(always)]
fn is_protected<A: Ip, P: Packet, T: Lookup>(packet: &P, tables: &T, direction: Direction) -> bool {
    let Some(header) = A::header(packet, 0) else {
        return false;
    };
    let local = match direction {
        Direction::In => A::destination(header),
        Direction::Out => A::source(header),
    };
    destination(tables, local) == Ok(Destination::Protected)
}

/// Decides about `packet`, which has arrived at a socket.
#[inline(always)]
pub fn inbound<P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    ether_type: EtherType,
) -> Outcome {
    let decided = match ether_type {
        EtherType::IPV4 => receive::<Ipv4, P, T, F>(packet, tables, flows),
        EtherType::IPV6 => receive::<Ipv6, P, T, F>(packet, tables, flows),
        _ => Ok(pass(Reason::NotIp, 0)),
    };
    match decided {
        Ok(outcome) => outcome,
        Err(reason) => ungoverned(tables, Modes::AUDIT, reason, 0),
    }
}

#[inline(always)]
fn receive<A: Ip, P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Result<Outcome, Reason> {
    let Some(header) = A::header(packet, 0) else {
        return Err(A::TRUNCATED);
    };
    let policy = Header::of(tables)?;
    let local = A::destination(header);
    if !concerns(tables, policy, local)? {
        return Ok(pass(Reason::Unprotected, 0));
    }
    let frame = &BARE.opaque();
    let inbound = Inbound::<_, _, _, FullPath> {
        packet,
        tables,
        flows,
        policy,
        frame,
        path: PhantomData,
    };
    // What a socket receives is for this host. To a group, a packet is a request, or the answer to a query
    // that was sent before the host had an address.
    inbound.judge::<A, true>(header, local, Destination::Protected)
}

/// Decides about `packet`, which a socket sends over an interface that is not covered.
#[inline(always)]
pub fn outbound<P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    ether_type: EtherType,
) -> Outcome {
    let decided = match ether_type {
        EtherType::IPV4 => send::<Ipv4, P, T, F>(packet, tables, flows),
        EtherType::IPV6 => send::<Ipv6, P, T, F>(packet, tables, flows),
        _ => Ok(pass(Reason::NotIp, 0)),
    };
    match decided {
        Ok(outcome) => outcome,
        Err(reason) => ungoverned(tables, Modes::AUDIT_OUTBOUND, reason, 0),
    }
}

#[inline(always)]
fn send<A: Ip, P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Result<Outcome, Reason> {
    let Some(header) = A::header(packet, 0) else {
        return Err(A::TRUNCATED);
    };
    let policy = Header::of(tables)?;
    let local = A::source(header);
    let unnamed = local.is_unspecified();
    if !unnamed && !concerns(tables, policy, local)? {
        return Ok(pass(Reason::Unprotected, 0));
    }
    let outbound = Outbound::<_, _, _, FullPath> {
        packet,
        tables,
        flows,
        policy,
        path: PhantomData,
    };
    let datagram = A::datagram(packet, BARE.opaque().payload, header)?;
    let outcome = outbound.judge::<A, true>(A::destination(header), &datagram);
    Ok(if unnamed {
        pass(Reason::Unprotected, 0)
    } else {
        outcome
    })
}

/// Whether the policy says who may talk with `local`, an address of the host or a group: groups it leaves
/// to the programs at interfaces unless it protects every address.
#[inline(always)]
fn concerns<A: Ip, T: Lookup>(tables: &T, policy: Header<'_>, local: A) -> Result<bool, Reason> {
    Ok(policy.flags().modes().has(Modes::EVERY_ADDRESS)
        || destination(tables, local)? == Destination::Protected)
}

/// What stands for the Ethernet header, which a packet at a socket does not have any more.
const BARE: Frame = Frame {
    ether_type: EtherType(0),
    payload: 0,
    tags: VlanTags::NONE,
};
