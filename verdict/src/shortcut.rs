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
    endpoint::{self, Peer, Record},
    ethernet::{self, EtherType, Frame},
    flow::{
        Entry, Flows,
        entry::ticks,
        follow,
        key::{CONNECTION, Key},
        table::{at_home, expired},
    },
    image::{Header, Missing, Modes, Tables},
    judge::{Destination, Ends, Network, PORTS_LEN, destination, pass, ungoverned},
    lease,
    packet::Packet,
    reason::{Outcome, Reason},
    service::{GOVERNING, Place, Rule, Service},
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
    decide::<Inward, P, T, F>(packet, tables, flows)
}

/// Decides about `packet`, which goes out, as [`outbound::judge`](crate::outbound::judge) does;
/// `None` if that is to be asked.
#[inline(always)]
pub fn outbound<P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Option<Outcome> {
    decide::<Outward, P, T, F>(packet, tables, flows)
}

/// The way that a packet goes: how IP packets are decided about.
trait Way {
    fn network<A: Network, P: Packet, T: Tables, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Option<Outcome>;
}

#[inline(always)]
fn decide<W: Way, P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Option<Outcome> {
    let frame = ethernet::parse(packet).ok()?;
    match frame.in_usual_place() {
        Some(frame) => decide_ip::<W, P, T, F>(packet, tables, flows, &frame),
        None => decide_ip::<W, P, T, F>(packet, tables, flows, &frame),
    }
}

#[inline(always)]
fn decide_ip<W: Way, P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    frame: &Frame,
) -> Option<Outcome> {
    match frame.ether_type {
        EtherType::IPV4 => W::network::<Ipv4, P, T, F>(packet, tables, flows, frame),
        EtherType::IPV6 => W::network::<Ipv6, P, T, F>(packet, tables, flows, frame),
        _ => Some(pass(Reason::NotIp, 0)),
    }
}

/// The protocol of a plain packet, other than ICMP, that has room for its transport header, and where
/// the service would be listed that it asks for.
#[inline(always)]
fn asked<A: Network>(header: &A::Header, ports: &[u8; PORTS_LEN]) -> Option<(IpProtocol, Place)> {
    let protocol = A::plain(header)?;
    let (table, header_len) = protocol.transport();
    let place = match table {
        Some(table) => Place::port(table, u32::from_be_bytes(*ports) as u16),
        None if protocol == A::ICMP => return None,
        None => Place::protocol(protocol),
    };
    A::holds(header, header_len).then_some((protocol, place))
}

/// The endpoint whose longest prefix covers `address`, if one does.
#[inline(always)]
fn find<A: Network, T: Tables>(tables: &T, address: A) -> Option<Peer> {
    match endpoint::find_longest(tables, address).ok()? {
        Peer(0) => endpoint::find_shorter(tables, address).ok(),
        peer => Some(peer),
    }
}

/// Whether `packet` comes from where `peer`, which has sent it from `remote`, is bound to; `None` if
/// its lease has to be looked into.
#[inline(always)]
fn check<A: Network, P: Packet, T: Tables, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    frame: &Frame,
    (peer, remote): (Peer, A),
) -> Option<Result<(), Reason>> {
    let record = Record::read(tables, Header::of(tables).ok()?, peer.id()).ok()?;
    if record.needs_lease() && !lease::holds(flows, peer.id(), remote, packet, frame) {
        return None;
    }
    Some(record.check(packet, tables, frame))
}

struct Inward;

impl Way for Inward {
    #[inline(always)]
    fn network<A: Network, P: Packet, T: Tables, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Option<Outcome> {
        let (header, ports) = A::header_and_ports(packet, frame.payload)?;
        let local = A::destination(header);
        match destination(tables, local) {
            Ok(Destination::Protected) => {}
            Ok(Destination::Unprotected) => return Some(pass(Reason::Unprotected, 0)),
            Ok(Destination::Group) => {
                let (_, place) = asked::<A>(header, ports)?;
                let asked = Service::at(tables, place).ok()?;
                return (!asked.is_inbound()).then_some(pass(Reason::Unprotected, 0));
            }
            Err(Missing) => return None,
        }
        let (protocol, place) = asked::<A>(header, ports)?;
        let asked = Service::at(tables, place).ok()?;
        let remote = A::source(header);
        let policy = Header::of(tables).ok()?;
        let unruled = || policy.flags().modes().has(Modes::UNRULED_FLOWS);
        let answered = || Service::at(tables, Ends::of(protocol, *ports).source).ok();
        if asked.is_offered() {
            let peer = find(tables, remote)?;
            if peer == Peer(0) {
                let outcome = asked.governing().violated(Reason::UnknownSource, 0);
                return (!unruled()).then_some(outcome);
            }
            let id = peer.id();
            let rule = asked.inbound(tables, policy, peer.role()).ok()?;
            if rule.id() == 0 {
                // It may still belong to a connection that the host opened.
                if peer.role() == GOVERNING || unruled() || answered()?.is_outbound() {
                    return None;
                }
                return Some(asked.governing().violated(Reason::WrongRole, id));
            }
            if peer.is_bound()
                && let Err(reason) = check(packet, tables, flows, frame, (peer, remote))?
            {
                return Some(rule.violated(reason, id));
            }
            return Some(rule.permit(Reason::Permitted, id));
        }
        if asked.is_enrolment() {
            return None;
        }
        let answered = answered()?;
        if !answered.is_outbound() && !unruled() {
            return Some(ungoverned(tables, Modes::AUDIT, Reason::NoService, 0));
        }
        let peer = find(tables, remote)?;
        if peer == Peer(0) {
            if unruled() {
                return None;
            }
            let governing = answered.outbound(tables, policy, GOVERNING).ok()?;
            return Some(governing.violated(Reason::UnknownSource, 0));
        }
        let placed =
            !peer.is_bound() || check(packet, tables, flows, frame, (peer, remote))?.is_ok();
        if peer.role() == GOVERNING || !placed {
            return None;
        }
        let mut rule = Rule::NONE;
        if answered.is_outbound() {
            rule = answered.outbound(tables, policy, peer.role()).ok()?;
        }
        if rule.id() == 0 && !unruled() {
            return None;
        }
        let ports = Ends::of(protocol, *ports).ports.rotate_left(16);
        let key = key(local, remote, protocol, ports);
        let now = flows.now();
        let entry = alive(flows, tables, &key, now)?;
        let segment = segment(packet, protocol, frame.payload + A::HEADER_LEN).ok()?;
        follow::receive(flows, entry, protocol.0, segment, packet.frame_len(), now).ok()?;
        Some(rule.permit(Reason::Established, peer.id()))
    }
}

struct Outward;

impl Way for Outward {
    #[inline(always)]
    fn network<A: Network, P: Packet, T: Tables, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Option<Outcome> {
        let (header, ports) = A::header_and_ports(packet, frame.payload)?;
        let local = A::source(header);
        if local.is_unspecified() {
            return None;
        }
        if destination(tables, local).ok()? != Destination::Protected {
            return Some(pass(Reason::Unprotected, 0));
        }
        let (protocol, offered) = asked::<A>(header, ports)?;
        let ends = Ends::of(protocol, *ports);
        let remote = A::destination(header);
        if destination(tables, remote).ok()? == Destination::Group {
            return None;
        }
        let policy = Header::of(tables).ok()?;
        let segment = segment(packet, protocol, frame.payload + A::HEADER_LEN).ok()?;
        let peer = find(tables, remote)?;
        let (id, role) = (peer.id(), peer.role());
        let asked = Service::at(tables, ends.source).ok()?;
        if id != 0 && asked.is_inbound() && !segment.opens() {
            let rule = asked.inbound(tables, policy, role).ok()?;
            if rule.id() != 0 {
                return Some(rule.permit(Reason::Reply, id));
            }
        }
        let offered = Service::at(tables, offered).ok()?;
        let mut rule = Rule::NONE;
        if id != 0 && offered.is_outbound() {
            rule = offered.outbound(tables, policy, role).ok()?;
        }
        if rule.id() == 0 && !policy.flags().modes().has(Modes::ANY_OUTBOUND) {
            return None;
        }
        let key = key(local, remote, protocol, ends.ports);
        let now = flows.now();
        let entry = alive(flows, tables, &key, now)?;
        follow::send(flows, entry, protocol.0, segment, packet.frame_len(), now)
            .then_some(rule.permit(Reason::Outbound, id))
    }
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
