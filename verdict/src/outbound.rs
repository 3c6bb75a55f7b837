//! The decision about a packet that goes out.

use crate::{
    ethernet::Frame,
    flow::{
        Flows, Half, Segment, follow,
        key::{CONNECTION, FRAGMENTS_OUT},
        table::{find, open},
    },
    icmp::{self, Class},
    image::{Header, Modes, Tables},
    judge::{
        self, Conversation, Datagram, Destination, Ends, LATER_FRAGMENT, Network, PLAIN, QUOTED,
        Quotation, TO_GROUP, Way, as_first_fragment, destination, first_fragment, pass, quotation,
        ungoverned,
    },
    packet::Packet,
    reason::{Outcome, Reason, Verdict},
    service::{GOVERNING, Rule, Service},
    transport::{IpProtocol, segment},
};

/// Decides about `packet`, which goes out, by the policy in `tables`, and opens and follows `flows`.
#[inline(always)]
pub fn judge<P: Packet, T: Tables, F: Flows>(packet: &P, tables: &T, flows: &F) -> Outcome {
    judge::judge::<Outward, P, T, F>(packet, tables, flows)
}

struct Outward;

impl Way for Outward {
    const AUDIT: Modes = Modes::AUDIT_OUTBOUND;

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
        let source = A::source(header);
        // A host that has no address yet asks for one. What it sends passes, and is remembered.
        let unnamed = source.is_unspecified();
        if !unnamed && destination(tables, source)? != Destination::Protected {
            return Ok(pass(Reason::Unprotected, 0));
        }
        let datagram = A::datagram(packet, frame.forget().payload, header)?;
        let outbound = Outbound {
            packet,
            tables,
            flows,
            policy,
            datagram: &datagram,
            address: A::destination(header),
        };
        let outcome = outbound.judge();
        if unnamed {
            return Ok(pass(Reason::Unprotected, 0));
        }
        outcome
    }
}

/// A packet from a protected address, with what has been read of it.
struct Outbound<'a, A, P, T, F> {
    packet: &'a P,
    tables: &'a T,
    flows: &'a F,
    policy: Header<'a>,
    datagram: &'a Datagram<A>,
    /// Destination.
    address: A,
}

impl<A: Network, P: Packet, T: Tables, F: Flows> Outbound<'_, A, P, T, F> {
    /// Finds out what the packet is about, then decides about that.
    #[inline(always)]
    fn judge(&self) -> Result<Outcome, Reason> {
        let datagram = self.datagram;
        let protocol = IpProtocol(datagram.protocol);
        let about = if datagram.position.offset() != 0 {
            Conversation::of_fragment(datagram.source, self.address, datagram)
        } else {
            datagram.check_length()?;
            let to_group = destination(self.tables, self.address)? == Destination::Group;
            let plain = |ends| {
                let about = if to_group { TO_GROUP } else { PLAIN };
                let (local, protocol) = (datagram.source, datagram.protocol);
                Conversation::sent(about, local, self.address, protocol, ends)
            };
            if protocol == A::ICMP {
                let message = icmp::Message::read(self.packet, datagram.transport)?;
                match A::icmp_class(message.kind) {
                    Class::REDIRECT => return Err(Reason::IcmpRedirect),
                    Class::DISCOVERY => return Ok(pass(Reason::NeighbourDiscovery, 0)),
                    Class::MEMBERSHIP => return Ok(pass(Reason::GroupMembership, 0)),
                    Class::ERROR => {
                        let Quotation {
                            source,
                            destination,
                            protocol,
                            ends,
                        } = quotation(self.packet, datagram, self.address)?;
                        Conversation::received(QUOTED, destination, source, protocol, ends)
                    }
                    _ => plain(Ends::of_icmp::<A>(message)),
                }
            } else if protocol == IpProtocol::IGMP && to_group {
                return Ok(pass(Reason::GroupMembership, 0));
            } else {
                plain(Ends::read(self.packet, protocol, datagram.transport)?)
            }
        };
        let outcome = self.decide(&about.at(datagram.transport).forget())?;
        if datagram.position.is_first() {
            self.note_first_fragment(outcome);
        }
        Ok(outcome)
    }

    /// Remembers what became of a first fragment, for those that follow.
    #[inline(always)]
    fn note_first_fragment(&self, outcome: Outcome) {
        let datagram = self.datagram;
        let key =
            Conversation::of_fragment(datagram.source, self.address, datagram).key(FRAGMENTS_OUT);
        let now = self.flows.now();
        open(self.flows, &key, now, first_fragment(outcome), Half(0));
    }

    /// Decides by the peer's role.
    #[inline(always)]
    fn decide(&self, about: &Conversation<A>) -> Result<Outcome, Reason> {
        let (tables, policy) = (self.tables, self.policy);
        let to_group = about.about == TO_GROUP;
        let mut id = 0;
        let mut role = GOVERNING;
        if !to_group {
            let peer = about.remote.endpoint(tables)?;
            (id, role) = (peer.id(), peer.role());
        }
        if about.about == LATER_FRAGMENT {
            return self.follow_first_fragment(about, id);
        }
        let segment = if about.about == QUOTED {
            Segment::default()
        } else {
            segment(
                self.packet,
                IpProtocol(about.protocol),
                usize::from(about.transport),
            )?
        };
        let asked = Service::at(tables, about.local_place)?;
        let answers = asked.is_inbound() && !segment.opens();
        if answers && id != 0 {
            let rule = asked.inbound(tables, policy, role)?;
            if rule.id() != 0 {
                return Ok(rule.permit(
                    if about.about == QUOTED {
                        Reason::IcmpError
                    } else {
                        Reason::Reply
                    },
                    id,
                ));
            }
        }
        let offered = Service::at(tables, about.remote_place)?;
        let mut rule = Rule::NONE;
        // Whoever of the right role listens may answer what is sent to a group.
        if offered.is_outbound() && (id != 0 || to_group) {
            rule = offered.outbound(tables, policy, role)?;
        }
        let outcome = if rule.id() != 0 {
            rule.permit(Reason::Outbound, id)
        } else if policy.flags().modes().has(Modes::ANY_OUTBOUND) {
            pass(Reason::Outbound, id)
        } else {
            let governing = if offered.is_outbound() {
                offered.outbound(tables, policy, GOVERNING)?
            } else if answers {
                asked.governing()
            } else {
                Rule::NONE
            };
            let refused = self.refused(governing, id);
            // An answer that only an audit lets pass opens nothing.
            if answers || about.about == QUOTED || matches!(refused.verdict(), Verdict::Drop) {
                return Ok(if about.about == QUOTED {
                    self.ungoverned(Reason::IcmpUnrelated, id)
                } else {
                    refused
                });
            }
            refused
        };
        self.track(about, segment, outcome.forget())
    }

    /// A drop under the rule that governs a packet, or under none.
    #[inline(always)]
    fn refused(&self, governing: Rule, id: u32) -> Outcome {
        if governing.id() == 0 {
            return self.ungoverned(Reason::NoService, id);
        }
        governing.violated(
            if id == 0 {
                Reason::UnknownDestination
            } else {
                Reason::WrongRole
            },
            id,
        )
    }

    /// Follows the flow of a packet that may go out, and opens it.
    #[inline(always)]
    fn track(
        &self,
        about: &Conversation<A>,
        segment: Segment,
        outcome: Outcome,
    ) -> Result<Outcome, Reason> {
        let key = about.key(CONNECTION);
        if about.about == QUOTED {
            let flow = find(self.flows, self.tables, &key, self.flows.now())?;
            return Ok(if flow.is_some() {
                outcome.because(Reason::IcmpError)
            } else {
                self.ungoverned(Reason::IcmpUnrelated, outcome.endpoint())
            });
        }
        let key = match (about.about == TO_GROUP, about.local.is_unspecified()) {
            (true, true) => key.to_nobody(),
            (true, false) => key.from_anywhere(),
            (false, _) => key,
        };
        if follow::send_or_open(
            self.flows,
            self.tables,
            &key,
            segment,
            self.packet.frame_len(),
        )? {
            Ok(outcome)
        } else {
            Ok(outcome.because(Reason::FlowTableFull))
        }
    }

    /// A later fragment follows the first one, which the stack sends before.
    #[inline(always)]
    fn follow_first_fragment(&self, about: &Conversation<A>, id: u32) -> Result<Outcome, Reason> {
        let key = about.key(FRAGMENTS_OUT);
        match find(self.flows, self.tables, &key, self.flows.now())? {
            Some(entry) => Ok(as_first_fragment(entry.sent(), id)),
            None => Ok(self.ungoverned(Reason::FragmentUnpermitted, id)),
        }
    }

    #[inline(always)]
    fn ungoverned(&self, reason: Reason, id: u32) -> Outcome {
        ungoverned(self.tables, Modes::AUDIT_OUTBOUND, reason, id)
    }
}
