//! The shortcut: what a host is full of, decided in one straight line.
//!
//! [`inbound`](crate::inbound) and [`outbound`](crate::outbound) decide about every packet, in
//! several functions of the kernel's. A call costs a CPU as much as half of a decision where
//! returns are guarded (Retbleed, SRSO), and keeps it from reading several tables at once. So the
//! packets that take no more than looking up are decided here, by the same tables and to the same
//! end: whole ones without options or extension headers, other than ICMP. For all others there is
//! no outcome yet, and nothing has been written.

use crate::{
    address::{Ipv4, Ipv6},
    endpoint::{self, Record},
    ethernet::{self, EtherType, Frame},
    flow::{
        Entry, Flows,
        entry::ticks,
        follow,
        key::{CONNECTION, Key},
        table::{at_home, expired},
    },
    image::{Header, Modes, Tables},
    judge::{Destination, Ends, Network, destination, pass, ungoverned},
    lease,
    packet::Packet,
    reason::{Outcome, Reason},
    service::{GOVERNING, Rule, Service},
    transport::{IpProtocol, segment},
};

/// Ticks that every state of a flow lasts: policies give each a second at least.
const BRISK: u32 = ticks(1) - 1;

/// Decides about `packet`, which came in, as [`inbound::judge`](crate::inbound::judge) does; `None`
/// if that is to be asked.
#[inline(always)]
pub fn inbound<P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Option<Outcome> {
    let frame = ethernet::parse(packet).ok()?;
    match frame.ether_type {
        EtherType::IPV4 => received::<Ipv4, P, T, F>(packet, tables, flows, &frame),
        EtherType::IPV6 => received::<Ipv6, P, T, F>(packet, tables, flows, &frame),
        _ => Some(pass(Reason::NotIp, 0)),
    }
}

/// Decides about `packet`, which goes out, as [`outbound::judge`](crate::outbound::judge) does;
/// `None` if that is to be asked.
#[inline(always)]
pub fn outbound<P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Option<Outcome> {
    let frame = ethernet::parse(packet).ok()?;
    match frame.ether_type {
        EtherType::IPV4 => sent::<Ipv4, P, T, F>(packet, tables, flows, &frame),
        EtherType::IPV6 => sent::<Ipv6, P, T, F>(packet, tables, flows, &frame),
        _ => Some(pass(Reason::NotIp, 0)),
    }
}

/// Where the transport header of a plain packet lies, and what it asks for.
struct Plain {
    protocol: IpProtocol,
    transport: usize,
    ends: Ends,
}

impl Plain {
    #[inline(always)]
    fn read<A: Network, P: Packet>(packet: &P, frame: &Frame, header: &A::Header) -> Option<Self> {
        let protocol = A::plain(header)?;
        let transport = frame.forgotten_payload() + A::HEADER_LEN;
        Some(Self {
            protocol,
            transport,
            ends: Ends::read(packet, protocol, transport).ok()?,
        })
    }
}

#[inline(always)]
fn received<A: Network, P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    frame: &Frame,
) -> Option<Outcome> {
    let header = A::header(packet, frame.payload)?;
    let local = A::destination(header);
    let destination = destination(tables, local).ok()?;
    if destination == Destination::Unprotected {
        return Some(pass(Reason::Unprotected, 0));
    }
    let plain = Plain::read::<A, P>(packet, frame, header)?;
    let remote = A::source(header);
    let policy = Header::of(tables).ok()?;
    let asked = Service::at(tables, plain.ends.destination).ok()?;
    if destination == Destination::Group {
        return if asked.is_inbound() {
            None
        } else {
            Some(pass(Reason::Unprotected, 0))
        };
    }
    if asked.is_enrolment() {
        return None;
    }
    let unruled = policy.flags().modes().has(Modes::UNRULED_FLOWS);
    let mut answered = Service::NONE;
    if !asked.is_inbound() {
        answered = Service::at(tables, plain.ends.source).ok()?;
        if !answered.is_outbound() && !unruled {
            return Some(ungoverned(tables, Modes::AUDIT, Reason::NoService, 0));
        }
    }
    let id = endpoint::find_longest_first(tables, remote).ok()?;
    if id == 0 {
        if unruled {
            return None;
        }
        let governing = if asked.is_inbound() {
            asked.inbound(tables, policy, GOVERNING).ok()?
        } else {
            answered.outbound(tables, policy, GOVERNING).ok()?
        };
        return Some(governing.violated(Reason::UnknownSource, 0));
    }
    let record = Record::read(tables, policy, id).ok()?;
    let role = record.role();
    if role == GOVERNING {
        return None;
    }
    if record.needs_lease() && !lease::holds(flows, id, remote, packet, frame) {
        return None;
    }
    let bound = record.check(packet, tables, frame);
    if asked.is_inbound() {
        let rule = asked.inbound(tables, policy, role).ok()?;
        if rule.id() == 0 {
            // It may still belong to a connection that the host opened.
            if unruled || Service::at(tables, plain.ends.source).ok()?.is_outbound() {
                return None;
            }
            let governing = asked.inbound(tables, policy, GOVERNING).ok()?;
            return Some(governing.violated(Reason::WrongRole, id));
        }
        return Some(match bound {
            Ok(()) => rule.permit(Reason::Permitted, id),
            Err(reason) => rule.violated(reason, id),
        });
    }
    let mut rule = Rule::NONE;
    if answered.is_outbound() {
        rule = answered.outbound(tables, policy, role).ok()?;
    }
    if bound.is_err() || (rule.id() == 0 && !unruled) {
        return None;
    }
    let protocol = plain.protocol;
    let key = key(local, remote, protocol, plain.ends.ports.rotate_left(16));
    let now = flows.now();
    let entry = alive(flows, tables, &key, now)?;
    let segment = segment(packet, protocol, plain.transport).ok()?;
    follow::receive(flows, entry, protocol.0, segment, packet.frame_len(), now).ok()?;
    Some(rule.permit(Reason::Established, id))
}

#[inline(always)]
fn sent<A: Network, P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    frame: &Frame,
) -> Option<Outcome> {
    let header = A::header(packet, frame.payload)?;
    let local = A::source(header);
    if local.is_unspecified() {
        return None;
    }
    if destination(tables, local).ok()? != Destination::Protected {
        return Some(pass(Reason::Unprotected, 0));
    }
    let plain = Plain::read::<A, P>(packet, frame, header)?;
    let remote = A::destination(header);
    if destination(tables, remote).ok()? == Destination::Group {
        return None;
    }
    let policy = Header::of(tables).ok()?;
    let segment = segment(packet, plain.protocol, plain.transport).ok()?;
    let id = endpoint::find_longest_first(tables, remote).ok()?;
    let mut role = GOVERNING;
    if id != 0 {
        role = Record::read(tables, policy, id).ok()?.role();
    }
    let asked = Service::at(tables, plain.ends.source).ok()?;
    if id != 0 && asked.is_inbound() && !segment.opens() {
        let rule = asked.inbound(tables, policy, role).ok()?;
        if rule.id() != 0 {
            return Some(rule.permit(Reason::Reply, id));
        }
    }
    let offered = Service::at(tables, plain.ends.destination).ok()?;
    let mut rule = Rule::NONE;
    if id != 0 && offered.is_outbound() {
        rule = offered.outbound(tables, policy, role).ok()?;
    }
    if rule.id() == 0 && !policy.flags().modes().has(Modes::ANY_OUTBOUND) {
        return None;
    }
    let protocol = plain.protocol;
    let key = key(local, remote, protocol, plain.ends.ports);
    let now = flows.now();
    let entry = alive(flows, tables, &key, now)?;
    follow::send(flows, entry, protocol.0, segment, packet.frame_len(), now)
        .then_some(rule.permit(Reason::Outbound, id))
}

#[inline(always)]
fn key<A: Network>(local: A, remote: A, protocol: IpProtocol, ports: u32) -> Key {
    Key::new(CONNECTION, local, remote, protocol.0, ports)
}

/// The flow with `key`, if it is there and has not outlived its state.
#[inline(always)]
fn alive<'a, T: Tables, F: Flows>(
    flows: &'a F,
    tables: &T,
    key: &Key,
    now: u32,
) -> Option<&'a Entry> {
    let entry = at_home(flows, key)?;
    // How long the state lasts is looked up for flows that are seldom used.
    if entry.idle(now) > BRISK && expired(entry, tables, now).ok()? {
        return None;
    }
    Some(entry)
}
