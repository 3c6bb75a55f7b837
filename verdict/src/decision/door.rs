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
    reason::{Outcome, Reason, Verdict},
    state::flow::{Flows, Key, key::CONNECTION},
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

/// The ends of a packet as a key: of one that has ports, and neither options nor extensions.
#[inline(always)]
pub fn key<P: Packet>(packet: &P, ether_type: EtherType, direction: Direction) -> Option<Key> {
    match ether_type {
        EtherType::IPV4 => key_of::<Ipv4, P>(packet, direction),
        EtherType::IPV6 => key_of::<Ipv6, P>(packet, direction),
        _ => None,
    }
}

#[inline(always)]
fn key_of<A: Ip, P: Packet>(packet: &P, direction: Direction) -> Option<Key> {
    let (header, ports) = A::header_and_ports(packet, 0)?;
    let protocol = A::plain(header)?;
    protocol.port_table()?;
    let (source, destination) = (A::source(header), A::destination(header));
    let ports = u32::from_be_bytes(*ports);
    Some(match direction {
        Direction::In => {
            let ports = ports.rotate_left(16);
            Key::new(CONNECTION, destination, source, protocol.0, ports)
        }
        Direction::Out => Key::new(CONNECTION, source, destination, protocol.0, ports),
    })
}

/// The ends of a socket, as it knows them itself. Addresses are two words, IPv4 in the second.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Its own address; zeros if it is bound to none.
    pub local: [u64; 2],
    /// Its own port.
    pub local_port: u16,
    /// Its peer's address, if it is connected.
    pub remote: [u64; 2],
    /// Its peer's port; 0 if it is not connected.
    pub remote_port: u16,
}

impl Ends {
    /// How a socket with these ends sees what it has sent and what has the key `wire` on the wire; `None`
    /// if that is the same. Of a socket that is bound to no address it is not known, and it may be.
    #[inline(always)]
    #[must_use]
    pub fn see(&self, wire: &Key) -> Option<Key> {
        let ports = u32::from(self.local_port) << 16;
        let seen = if self.remote_port == 0 {
            let ports = ports | u32::from(wire.remote_port());
            wire.with_ends(self.local, wire.remote(), ports)
        } else {
            let ports = ports | u32::from(self.remote_port);
            wire.with_ends(self.local, self.remote, ports)
        };
        (seen != *wire).then_some(seen)
    }
}

/// Whether a socket that has sent a packet with this outcome keeps how the host has translated it: it has
/// opened something, or the packet left from an address of the host that is not protected.
#[inline(always)]
#[must_use]
pub fn opens(outcome: Outcome) -> bool {
    let opens = matches!(outcome.reason(), Reason::Outbound | Reason::Unprotected);
    opens && matches!(outcome.verdict(), Verdict::Pass)
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
    let on_wire = || match flows.on_wire() {
        Some(wire) => A::from_words(wire.local()),
        None => local,
    };
    if !concerns(tables, policy, on_wire)? {
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
    if !unnamed && !concerns(tables, policy, || local)? {
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
fn concerns<A: Ip, T: Lookup>(
    tables: &T,
    policy: Header<'_>,
    local: impl FnOnce() -> A,
) -> Result<bool, Reason> {
    Ok(policy.flags().modes().has(Modes::EVERY_ADDRESS)
        || destination(tables, local())? == Destination::Protected)
}

/// What stands for the Ethernet header, which a packet at a socket does not have any more.
const BARE: Frame = Frame {
    ether_type: EtherType(0),
    payload: 0,
    tags: VlanTags::NONE,
};
