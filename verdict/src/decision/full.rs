//! The full path: every packet, to the end.
//!
//! Cheapest check first: most packets are not of a protected address and leave after one look
//! at an array. Every failure is a [`Reason`] of its own; what governs a packet (a rule, or
//! nothing) decides whether a drop is enforced or audited.

use core::marker::PhantomData;

use super::{
    Ip, Judge,
    conversation::{Conversation, Ends, TO_GROUP, UNICAST},
    dhcp, discovery,
    inbound::Inbound,
    is_foreign, is_left_to_sockets, judge,
    outbound::Outbound,
    pass,
    path::FullPath,
    unasked, ungoverned,
};
use crate::{
    frame::{
        ethernet::{self, Frame},
        icmp::{self, Class},
        network::Datagram,
        packet::Packet,
        transport::IpProtocol,
    },
    image::{
        header::{Header, Modes},
        lookup::{Destination, Lookup, destination},
    },
    reason::{Outcome, Reason, Verdict},
    state::flow::Flows,
};

/// Decides about `packet`, which came in, by the policy in `tables` and the `flows` that are open.
#[inline(always)]
pub fn inbound<P: Packet, T: Lookup, F: Flows>(packet: &P, tables: &T, flows: &F) -> Outcome {
    if let Ok(true) = is_foreign(packet, tables, ethernet::segment(packet)) {
        return pass(Reason::Unprotected, 0);
    }
    match dhcp::answer(packet, tables, flows) {
        dhcp::UNCONCERNED => inbound_but_dhcp(packet, tables, flows),
        outcome => outcome,
    }
}

/// The same of a packet that [`dhcp::answer`] is not concerned with.
#[inline(always)]
pub fn inbound_but_dhcp<P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
) -> Outcome {
    decide::<Ingress, P, T, F>(packet, tables, flows, Modes::AUDIT)
}

/// Decides about `packet`, which goes out, by the policy in `tables`, and opens and follows `flows`.
#[inline(always)]
pub fn outbound<P: Packet, T: Lookup, F: Flows>(packet: &P, tables: &T, flows: &F) -> Outcome {
    decide::<Egress, P, T, F>(packet, tables, flows, Modes::AUDIT_OUTBOUND)
}

#[inline(always)]
fn decide<J: Judge<Stop = Reason>, P: Packet, T: Lookup, F: Flows>(
    packet: &P,
    tables: &T,
    flows: &F,
    audit: Modes,
) -> Outcome {
    // Tenants may stack as many tags as they like.
    if let Ok(true) = is_foreign(packet, tables, ethernet::segment(packet)) {
        return pass(Reason::Unprotected, 0);
    }
    let decided = ethernet::parse(packet)
        .and_then(|frame| judge::<J, P, T, F>(packet, tables, flows, &frame));
    match decided {
        Ok(outcome) => outcome,
        Err(reason) => ungoverned(tables, audit, reason, 0),
    }
}

struct Ingress;

impl Judge for Ingress {
    type Stop = Reason;

    #[inline(always)]
    fn network<A: Ip, P: Packet, T: Lookup, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Result<Outcome, Reason> {
        let Some(header) = A::header(packet, frame.payload) else {
            return Err(A::TRUNCATED);
        };
        let policy = Header::of(tables)?;
        let local = A::destination(header);
        let destination = destination(tables, local)?;
        match destination {
            Destination::Unprotected => return Ok(pass(Reason::Unprotected, 0)),
            Destination::Loopback => return Err(Reason::LoopbackAddress),
            Destination::Protected | Destination::Group => {}
        }
        let frame = &frame.opaque();
        let inbound = Inbound::<_, _, _, FullPath> {
            packet,
            tables,
            flows,
            policy,
            frame,
            path: PhantomData,
        };
        let decided = match inbound.judge::<A, false>(header, local, destination) {
            Ok(outcome) => outcome.opaque(),
            Err(reason) => inbound.ungoverned(reason, 0).opaque(),
        };
        if destination == Destination::Group && is_left_to_sockets(policy, flows) {
            return Ok(left_to_sockets(decided));
        }
        Ok(decided)
    }
}

/// What becomes at an interface of a packet to a group that was `decided` about, where the sockets judge it
/// again: it passes, but for what the kernel itself would take in before.
#[inline(always)]
fn left_to_sockets(decided: Outcome) -> Outcome {
    let stays = matches!(
        decided.reason(),
        Reason::NoPolicy
            | Reason::FragmentUnpermitted
            | Reason::ExtensionDepth
            | Reason::IcmpRedirect
            | Reason::DiscoveryFragmented
    );
    let passes = matches!(decided.verdict(), Verdict::Pass) && !decided.audited();
    if stays || passes {
        return decided;
    }
    pass(Reason::Unprotected, 0)
}

impl<P: Packet, T: Lookup, F: Flows> Inbound<'_, P, T, F, FullPath> {
    /// Decides about a packet with this network header, which is not for an unprotected address. One that
    /// is said to be `WHOLE` is no fragment.
    #[inline(always)]
    pub(super) fn judge<A: Ip, const WHOLE: bool>(
        &self,
        header: &A::Header,
        local: A,
        destination: Destination,
    ) -> Result<Outcome, Reason> {
        let packet = self.packet;
        let datagram = A::datagram(packet, self.frame.payload, header)?;
        A::check_options(packet, self.frame.payload, datagram.transport)?;
        let protocol = IpProtocol(datagram.protocol);
        let is_later = datagram.position.offset() != 0;
        if is_later {
            if WHOLE {
                return Err(Reason::FragmentUnpermitted);
            }
            // Without its first fragment, which is judged, no datagram to a group is delivered.
            if destination == Destination::Group {
                return self.fragment_to_group(local, datagram.source);
            }
            if usize::from(datagram.position.offset()) * 8 < protocol.header_len() {
                return Err(Reason::FragmentOverlap);
            }
            return self.later_fragment(local, &datagram);
        }
        let outcome = match self.whole_or_first(local, destination, &datagram) {
            Ok(outcome) => outcome.opaque(),
            Err(reason) => self.ungoverned(reason, 0).opaque(),
        };
        if WHOLE || !datagram.position.is_first() {
            return Ok(outcome);
        }
        if destination != Destination::Group {
            self.note_first_fragment(local, &datagram, outcome);
        } else if outcome.reason() == Reason::Unprotected
            || is_left_to_sockets(self.policy, self.flows)
        {
            return self.fragment_to_group(local, datagram.source);
        }
        Ok(outcome)
    }

    /// Decides about a fragment to a group that asks for no service. Every host has joined the groups of its
    /// link, and keeps fragments of all senders in one memory, which strangers could fill.
    #[inline(always)]
    fn fragment_to_group<A: Ip>(&self, group: A, source: A) -> Result<Outcome, Reason> {
        if !group.is_routed_group() && self.peer(source)?.id() == 0 {
            return Err(Reason::FragmentUnpermitted);
        }
        Ok(pass(Reason::Unprotected, 0))
    }

    /// Decides about a packet that has a transport header.
    #[inline(always)]
    fn whole_or_first<A: Ip>(
        &self,
        local: A,
        destination: Destination,
        datagram: &Datagram<A>,
    ) -> Result<Outcome, Reason> {
        let packet = self.packet;
        let protocol = IpProtocol(datagram.protocol);
        datagram.check_length()?;
        let ends = if protocol == A::ICMP {
            let message = icmp::Message::read(packet, datagram.transport)?;
            match A::icmp_class(message.kind) {
                Class::REDIRECT => return Err(Reason::IcmpRedirect),
                Class::DISCOVERY => return discovery::neighbour(packet, datagram, message),
                Class::MEMBERSHIP => {
                    return discovery::listener(datagram, destination, message.kind);
                }
                Class::ERROR => return self.error(local, datagram),
                _ => Ends::of_icmp::<A>(message),
            }
        } else {
            Ends::read(packet, protocol, datagram.transport)?
        };
        let kind = if destination == Destination::Group {
            TO_GROUP
        } else {
            UNICAST
        };
        let mut about =
            Conversation::received(kind, local, datagram.source, datagram.protocol, ends);
        if let Some(wire) = self.flows.on_wire() {
            about = Conversation::keyed(&wire);
        }
        let len = datagram.transport_len as u32;
        let about = about.at(datagram.transport, len).opaque();
        let outcome = self.decide(&about)?.opaque();
        if outcome.audited() {
            unasked::note(self.flows, &about);
        }
        Ok(outcome)
    }
}

struct Egress;

impl Judge for Egress {
    type Stop = Reason;

    #[inline(always)]
    fn network<A: Ip, P: Packet, T: Lookup, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Result<Outcome, Reason> {
        let Some(header) = A::header(packet, frame.payload) else {
            return Err(A::TRUNCATED);
        };
        let policy = Header::of(tables)?;
        let local = A::source(header);
        // A host that has no address yet asks for one. What it sends passes, and is remembered.
        let unnamed = local.is_unspecified();
        if !unnamed && !destination(tables, local)?.is_own() {
            return Ok(pass(Reason::Unprotected, 0));
        }
        let outbound = Outbound::<_, _, _, FullPath> {
            packet,
            tables,
            flows,
            policy,
            path: PhantomData,
        };
        // What cannot be parsed does not pass, whoever has sent it.
        let datagram = A::datagram(packet, frame.opaque().payload, header)?;
        let outcome = outbound.judge::<A, false>(A::destination(header), &datagram);
        if unnamed {
            return Ok(pass(Reason::Unprotected, 0));
        }
        Ok(outcome)
    }
}

impl<P: Packet, T: Lookup, F: Flows> Outbound<'_, P, T, F, FullPath> {
    /// Decides about a packet to `remote` with this network header, which comes from a protected address.
    /// One that is said to be `WHOLE` is no fragment.
    #[inline(always)]
    pub(super) fn judge<A: Ip, const WHOLE: bool>(
        &self,
        remote: A,
        datagram: &Datagram<A>,
    ) -> Outcome {
        if datagram.position.offset() != 0 {
            if WHOLE {
                return self.ungoverned(Reason::FragmentUnpermitted, 0);
            }
            return match self.later_fragment(remote, datagram) {
                Ok(outcome) => outcome.opaque(),
                Err(reason) => self.ungoverned(reason, 0).opaque(),
            };
        }
        let outcome = match self.whole_or_first(remote, datagram) {
            Ok(outcome) => outcome.opaque(),
            Err(reason) => self.ungoverned(reason, 0).opaque(),
        };
        if !WHOLE && datagram.position.is_first() {
            self.note_first_fragment(remote, datagram, outcome);
        }
        outcome
    }

    /// Decides about a packet that has a transport header.
    #[inline(always)]
    fn whole_or_first<A: Ip>(&self, remote: A, datagram: &Datagram<A>) -> Result<Outcome, Reason> {
        let (packet, tables) = (self.packet, self.tables);
        let protocol = IpProtocol(datagram.protocol);
        datagram.check_length()?;
        let to_group = destination(tables, remote)? == Destination::Group;
        let ends = if protocol == A::ICMP {
            let message = icmp::Message::read(packet, datagram.transport)?;
            match A::icmp_class(message.kind) {
                Class::REDIRECT => return Err(Reason::IcmpRedirect),
                Class::DISCOVERY => return Ok(pass(Reason::NeighbourDiscovery, 0)),
                Class::MEMBERSHIP => return Ok(pass(Reason::GroupMembership, 0)),
                Class::ERROR => return self.error(remote, datagram),
                _ => Ends::of_icmp::<A>(message),
            }
        } else if protocol == IpProtocol::IGMP && to_group {
            return Ok(pass(Reason::GroupMembership, 0));
        } else {
            Ends::read(packet, protocol, datagram.transport)?
        };
        let kind = if to_group { TO_GROUP } else { UNICAST };
        let about = Conversation::sent(kind, datagram.source, remote, datagram.protocol, ends);
        let len = datagram.transport_len as u32;
        self.decide(&about.at(datagram.transport, len).opaque())
    }
}

#[cfg(test)]
mod tests;
