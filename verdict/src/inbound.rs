//! The decision about a packet that comes in.

use crate::{
    address::PROTECTED_GUEST,
    endpoint::{Peer, Record},
    enrolment,
    ethernet::Frame,
    flow::{
        Entry, Flows, Half, follow,
        key::{CONNECTION, ENROLMENT, FRAGMENTS_IN},
        table::{find, open},
    },
    icmp::{self, Class},
    image::{Header, Missing, Modes, Tables},
    judge::{
        self, Conversation, Datagram, Destination, Ends, LATER_FRAGMENT, Network, PLAIN, QUOTED,
        Quotation, TO_GROUP, Way, as_first_fragment, destination, first_fragment, pass, quotation,
        ungoverned,
    },
    lease::{self, Origin},
    packet::Packet,
    reason::{Outcome, Reason},
    service::{GOVERNING, Rule, Service},
    transport::{IpProtocol, segment},
};

/// Decides about `packet`, which came in, by the policy in `tables` and the `flows` that are open.
#[inline(always)]
pub fn judge<P: Packet, T: Tables, F: Flows>(packet: &P, tables: &T, flows: &F) -> Outcome {
    judge::judge::<Inward, P, T, F>(packet, tables, flows)
}

struct Inward;

impl Way for Inward {
    const AUDIT: Modes = Modes::AUDIT;

    #[inline(always)]
    fn network<A: Network, P: Packet, T: Tables, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Result<Outcome, Reason> {
        let Some(header) = A::header(packet, frame.payload) else {
            return Err(A::TRUNCATED);
        };
        let policy = Header::of(tables)?;
        let address = A::destination(header);
        let destination = destination(tables, address)?;
        if destination == Destination::Unprotected {
            return Ok(pass(Reason::Unprotected, 0));
        }
        let frame = &frame.forget();
        let datagram = A::datagram(packet, frame.payload, header)?;
        let inbound = Inbound {
            packet,
            tables,
            flows,
            policy,
            frame,
            datagram: &datagram,
            address,
        };
        inbound.judge(destination)
    }
}

/// A packet to a protected address or a group, with what has been read of it.
struct Inbound<'a, A, P, T, F> {
    packet: &'a P,
    tables: &'a T,
    flows: &'a F,
    policy: Header<'a>,
    frame: &'a Frame,
    datagram: &'a Datagram<A>,
    /// Destination.
    address: A,
}

impl<A: Network, P: Packet, T: Tables, F: Flows> Inbound<'_, A, P, T, F> {
    /// Finds out what the packet is about, then decides about that.
    #[inline(always)]
    fn judge(&self, destination: Destination) -> Result<Outcome, Reason> {
        let datagram = self.datagram;
        let protocol = IpProtocol(datagram.protocol);
        let about = if datagram.position.offset() != 0 {
            // Without its first fragment, which is judged, no datagram to a group is delivered.
            if destination == Destination::Group {
                return Ok(pass(Reason::Unprotected, 0));
            }
            if usize::from(datagram.position.offset()) * 8 < protocol.header_len() {
                return Err(Reason::FragmentOverlap);
            }
            Conversation::of_fragment(self.address, datagram.source, datagram)
        } else {
            datagram.check_length()?;
            let plain = |ends| {
                let about = if destination == Destination::Group {
                    TO_GROUP
                } else {
                    PLAIN
                };
                let (remote, protocol) = (datagram.source, datagram.protocol);
                Conversation::received(about, self.address, remote, protocol, ends)
            };
            if protocol == A::ICMP {
                let message = icmp::Message::read(self.packet, datagram.transport)?;
                match A::icmp_class(message.kind) {
                    Class::REDIRECT => return Err(Reason::IcmpRedirect),
                    Class::DISCOVERY => return icmp::discovery(self.packet, datagram, message),
                    Class::MEMBERSHIP => {
                        return icmp::membership(datagram, destination, message.kind);
                    }
                    // It comes from anywhere on the path; what counts is the packet it quotes.
                    Class::ERROR => {
                        let Quotation {
                            source,
                            destination,
                            protocol,
                            ends,
                        } = quotation(self.packet, datagram, self.address)?;
                        Conversation::sent(QUOTED, source, destination, protocol, ends)
                    }
                    _ => plain(Ends::of_icmp::<A>(message)),
                }
            } else {
                plain(Ends::read(self.packet, protocol, datagram.transport)?)
            }
        };
        let outcome = self.decide(&about.at(datagram.transport).forget())?;
        if datagram.position.is_first() && outcome.endpoint() != 0 {
            self.note_first_fragment(outcome);
        }
        Ok(outcome)
    }

    /// Remembers what became of a first fragment, for those that follow.
    #[inline(always)]
    fn note_first_fragment(&self, outcome: Outcome) {
        let datagram = self.datagram;
        let key =
            Conversation::of_fragment(self.address, datagram.source, datagram).key(FRAGMENTS_IN);
        let received = first_fragment(outcome);
        let now = self.flows.now();
        // Where there is no room, the others are judged by their source alone.
        open(self.flows, &key, now, Half(0), received);
    }

    /// Decides by the peer's role, its binding, and the flows that are open.
    #[inline(always)]
    fn decide(&self, about: &Conversation<A>) -> Result<Outcome, Reason> {
        let (tables, policy) = (self.tables, self.policy);
        let unruled = policy.flags().modes().has(Modes::UNRULED_FLOWS);
        let asked = Service::at(tables, about.local_place)?;
        if !asked.is_inbound() {
            if about.about == TO_GROUP {
                return Ok(pass(Reason::Unprotected, 0));
            }
            let answers = Service::at(tables, about.remote_place)?.is_outbound();
            if !answers && !unruled && about.about != LATER_FRAGMENT {
                return Err(match about.about {
                    QUOTED => Reason::IcmpUnrelated,
                    _ => Reason::NoService,
                });
            }
        }
        let peer = about.remote.endpoint(tables)?;
        let (id, role) = (peer.id(), peer.role());
        if id != 0 && role == GOVERNING {
            return Err(Reason::NoPolicy);
        }
        // An error comes from a router, whose MAC address says nothing about the peer.
        if peer.is_bound() && about.about != QUOTED {
            let record = Record::read(tables, policy, id)?;
            let mut bound = record.check(self.packet, tables, self.frame);
            if record.needs_lease() && bound.is_ok() {
                bound = lease::check(self.flows, id, about.remote, self.packet, self.frame);
                if asked.is_enrolment() {
                    return self.enrol(about, asked, id, role, bound.is_ok());
                }
            }
            if let Err(reason) = bound {
                return self.misplaced(about, asked, peer, reason);
            }
        }
        if about.about == LATER_FRAGMENT {
            return self.follow_first_fragment(about, id, role);
        }
        // Whoever need not prove who it is has no business where that is done.
        if asked.is_offered() {
            let rule = asked.inbound(tables, policy, role)?;
            if rule.id() != 0 {
                return Ok(if about.about == QUOTED {
                    rule.permit(Reason::IcmpError, id)
                } else {
                    rule.permit(Reason::Permitted, id)
                });
            }
        }
        // Asked again where it was asked before: what the verifier would have to keep in mind until
        // here costs it more than the packet's second look at a line.
        let answered = Service::at(tables, about.remote_place)?;
        let mut rule = Rule::NONE;
        if answered.is_outbound() && id != 0 {
            rule = answered.outbound(tables, policy, role)?;
        }
        // A datagram to a group asks; it answers nobody.
        if about.about == TO_GROUP || (rule.id() == 0 && !unruled) {
            return self.refuse(about, asked, answered, id);
        }
        let now = self.flows.now();
        let found = self.flow(about, now)?;
        if about.about == QUOTED {
            return match found {
                Some(_) => Ok(rule.permit(Reason::IcmpError, id)),
                None => Err(Reason::IcmpUnrelated),
            };
        }
        let segment = segment(
            self.packet,
            IpProtocol(about.protocol),
            usize::from(about.transport),
        )?;
        if let Some(entry) = found {
            let bytes = self.packet.frame_len();
            return Ok(
                match follow::receive(self.flows, entry, about.protocol, segment, bytes, now) {
                    Ok(()) => rule.permit(Reason::Established, id),
                    Err(reason) => self.refused(rule, reason, id),
                },
            );
        }
        // Of the host's own connections the agent knows.
        if self.flows.adopting()
            && rule.id() != 0
            && about.protocol == IpProtocol::TCP.0
            && segment.continues()
            && about.local.protected(tables)? == PROTECTED_GUEST
        {
            let key = about.key(CONNECTION);
            let received = Half(Half::SEEN).after(self.packet.frame_len(), 0);
            if open(self.flows, &key, now, Half(0), received) {
                return Ok(rule.permit(Reason::Established, id));
            }
        }
        if rule.id() == 0 {
            return self.refuse(about, asked, answered, id);
        }
        Ok(rule.violated(Reason::NoFlow, id))
    }

    /// The drop of a packet that does not come from where its endpoint is bound to.
    ///
    /// It is decided apart from all others, which the verifier would follow anew for each reason.
    #[inline(always)]
    fn misplaced(
        &self,
        about: &Conversation<A>,
        asked: Service,
        peer: Peer,
        reason: Reason,
    ) -> Result<Outcome, Reason> {
        let (tables, policy) = (self.tables, self.policy);
        let (id, role) = (peer.id(), peer.role());
        if about.about == LATER_FRAGMENT {
            return Ok(ungoverned(tables, Modes::AUDIT, reason, id));
        }
        if asked.is_inbound() {
            let rule = asked.inbound(tables, policy, role)?;
            if rule.id() != 0 {
                return Ok(rule.violated(reason, id));
            }
        }
        let answered = Service::at(tables, about.remote_place)?;
        let mut rule = Rule::NONE;
        if answered.is_outbound() {
            rule = answered.outbound(tables, policy, role)?;
        }
        let unruled = policy.flags().modes().has(Modes::UNRULED_FLOWS);
        if about.about == TO_GROUP || (rule.id() == 0 && !unruled) {
            return self.refuse(about, asked, answered, id);
        }
        Ok(self.refused(rule, reason, id))
    }

    /// Decides about a datagram of an endpoint that proves who it is.
    #[inline(always)]
    fn enrol(
        &self,
        about: &Conversation<A>,
        asked: Service,
        id: u32,
        role: u8,
        proven: bool,
    ) -> Result<Outcome, Reason> {
        let rule = asked.inbound(self.tables, self.policy, role)?;
        if rule.id() == 0 {
            return self.refuse(about, asked, Service::NONE, id);
        }
        let key = about.key(ENROLMENT);
        let origin = Origin::of(self.packet, self.frame);
        let admitted =
            enrolment::admit(self.tables, self.flows, &key, about.remote, origin, proven);
        Ok(match admitted {
            Ok(()) => rule.permit(Reason::Permitted, id),
            Err(reason) => rule.violated(reason, id),
        })
    }

    /// The drop of a packet that no rule lets in, under the rule that governs it, if one does.
    #[inline(always)]
    fn refuse(
        &self,
        about: &Conversation<A>,
        asked: Service,
        answered: Service,
        id: u32,
    ) -> Result<Outcome, Reason> {
        let (tables, policy) = (self.tables, self.policy);
        if about.about == QUOTED {
            return Ok(ungoverned(tables, Modes::AUDIT, Reason::IcmpUnrelated, id));
        }
        let governing = if asked.is_inbound() {
            asked.governing()
        } else if answered.is_outbound() {
            answered.outbound(tables, policy, GOVERNING)?
        } else {
            return Err(Reason::NoService);
        };
        let reason = if id == 0 {
            Reason::UnknownSource
        } else {
            Reason::WrongRole
        };
        Ok(governing.violated(reason, id))
    }

    /// A drop under `rule`, or under none.
    #[inline(always)]
    fn refused(&self, rule: Rule, reason: Reason, id: u32) -> Outcome {
        if rule.id() == 0 {
            ungoverned(self.tables, Modes::AUDIT, reason, id)
        } else {
            rule.violated(reason, id)
        }
    }

    /// The flow that a packet belongs to.
    ///
    /// UDP is also asked of groups, and before the host has an address (DHCP): the answers come
    /// from whoever is permitted to give them.
    #[inline(always)]
    fn flow(&self, about: &Conversation<A>, now: u32) -> Result<Option<&Entry>, Missing> {
        let mut key = about.key(CONNECTION);
        let mut attempt = 0;
        while attempt < 3 {
            if let Some(entry) = find(self.flows, self.tables, &key, now)? {
                return Ok(Some(entry));
            }
            if about.protocol != IpProtocol::UDP.0 {
                return Ok(None);
            }
            key = if attempt == 0 {
                key.from_anywhere()
            } else {
                key.to_nobody()
            };
            attempt += 1;
        }
        Ok(None)
    }

    /// A later fragment carries no ports: it follows the first one, which was judged.
    ///
    /// One that arrives before the first passes if the peer holds some permission. The stack keeps
    /// it until the first arrives, which it never does if that one is dropped.
    #[inline(always)]
    fn follow_first_fragment(
        &self,
        about: &Conversation<A>,
        id: u32,
        role: u8,
    ) -> Result<Outcome, Reason> {
        let tables = self.tables;
        if id == 0 {
            return Err(Reason::FragmentUnpermitted);
        }
        let key = about.key(FRAGMENTS_IN);
        if let Some(entry) = find(self.flows, tables, &key, self.flows.now())? {
            return Ok(as_first_fragment(entry.received(), id));
        }
        if self.policy.knows(role) {
            return Ok(pass(Reason::Fragment, id));
        }
        Ok(ungoverned(
            tables,
            Modes::AUDIT,
            Reason::FragmentUnpermitted,
            id,
        ))
    }
}

#[cfg(test)]
mod tests;
