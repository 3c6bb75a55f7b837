//! The policy for packets that go out.

use core::marker::PhantomData;

use super::{
    Ip,
    conversation::Conversation,
    pass,
    path::Path,
    permission::{here, offered},
    unasked, ungoverned,
};
use crate::{
    frame::{
        packet::Packet,
        transport::{IpProtocol, Segment},
    },
    image::{
        endpoint::Peer,
        header::{Header, Modes},
        lookup::Lookup,
        protected::PROTECTED_GUEST,
        service::{GOVERNING, Rule, Service},
    },
    reason::{Outcome, Reason, Verdict},
    state::flow::{
        Flows,
        follow::{Opening, Sent},
    },
};

/// What packets from a protected address are decided by.
pub struct Outbound<'a, P, T, F, S> {
    /// The packet.
    pub packet: &'a P,
    /// The image in force.
    pub tables: &'a T,
    /// What is remembered.
    pub flows: &'a F,
    /// The header of the image.
    pub policy: Header<'a>,
    /// Which path it takes.
    pub path: PhantomData<S>,
}

impl<P: Packet, T: Lookup, F: Flows, S: Path> Outbound<'_, P, T, F, S> {
    /// Decides about a packet: it answers for a service of the host's, or belongs to a connection
    /// that the host opens or has opened.
    #[inline(always)]
    pub fn decide<A: Ip>(&self, about: &Conversation<A>) -> Result<Outcome, S::Stop> {
        let (tables, policy) = (self.tables, self.policy);
        let to_group = about.is_to_group();
        let mut peer = Peer::NONE;
        if !to_group {
            peer = S::endpoint(tables, about.remote)?;
        }
        let id = peer.id();
        let segment = S::segment(self.packet, about)?;
        let opens = about.protocol == IpProtocol::TCP.0 && segment.opens();
        let asked = Service::at(tables, about.local_key)?;
        let answers = asked.is_inbound() && !opens;
        if answers && (id != 0 || asked.is_from_anyone()) {
            let rule = offered(tables, policy, asked, peer.role(), about.local)?;
            if rule.id() != 0 {
                if id != 0 {
                    S::remember(self.flows, about, segment)?;
                }
                return Ok(rule.permit(Reason::Reply, id));
            }
        }
        let wanted = Service::at_kept(tables, about.remote_key)?;
        let mut rule = Rule::NONE;
        // Whoever of the right role listens may answer what is sent to a group.
        if wanted.is_outbound() && (wanted.concerns(id) || to_group) {
            rule = wanted.outbound(tables, policy, peer.role())?;
            if rule.is_placed() {
                rule = here(
                    self.packet,
                    tables,
                    wanted.outbound_index(peer.role()),
                    about.local,
                )?;
            }
        }
        let outcome = if rule.id() != 0 && !rule.is_elsewhere() {
            rule.permit(Reason::Outbound, id)
        } else if policy.flags().modes().has(Modes::ANY_OUTBOUND) {
            pass(Reason::Outbound, id)
        } else {
            S::go_on()?;
            let governing = if rule.is_elsewhere() {
                rule
            } else if wanted.is_outbound() {
                wanted.outbound(tables, policy, GOVERNING)?.anywhere()
            } else if answers {
                asked.governing()
            } else {
                Rule::NONE
            };
            self.refused(governing, id)
        };
        if matches!(outcome.verdict(), Verdict::Drop) {
            return Ok(outcome);
        }
        // Nobody could answer it.
        if answers && rule.id() == 0 && !policy.flags().modes().has(Modes::UNRULED_FLOWS) {
            return Ok(answering(outcome));
        }
        self.track(about, segment, outcome.opaque())
    }

    /// A drop under the rule that governs a packet, or under none.
    #[inline(always)]
    fn refused(&self, governing: Rule, id: u32) -> Outcome {
        if governing.id() == 0 {
            return self.ungoverned(Reason::NoService, id);
        }
        governing.violated(
            if governing.is_elsewhere() {
                Reason::WrongPlace
            } else if id == 0 {
                Reason::UnknownDestination
            } else {
                Reason::WrongRole
            },
            id,
        )
    }

    /// Follows the flow of a packet that may go out, and opens it. What answers a peer that has not been
    /// asked opens none.
    #[inline(always)]
    fn track<A: Ip>(
        &self,
        about: &Conversation<A>,
        segment: Segment,
        outcome: Outcome,
    ) -> Result<Outcome, S::Stop> {
        let key = about.key_out();
        let bytes = self.packet.frame_len();
        let ruled = outcome.is_ruled();
        let (flows, tables) = (self.flows, self.tables);
        // The agent shows the host's own connections; those of guests are adopted here.
        let may_adopt = || {
            let of_guest = || Ok(about.local.protected(tables)? == PROTECTED_GUEST);
            Ok(flows.adopts_socket() || ruled && flows.adopting() && of_guest()?)
        };
        let opening = Opening {
            ruled,
            may_adopt,
            answers: || !ruled && unasked::is_answered(flows, about),
        };
        let sent = S::send(flows, tables, &key, segment, bytes, opening)?;
        Ok(match sent {
            // What passes without a rule passes without a flow, too.
            Sent::NO_ROOM if ruled => outcome.because(Reason::FlowTableFull),
            Sent::ANSWER if !ruled => answering(outcome),
            _ => outcome,
        })
    }

    /// A drop that no rule governs.
    #[inline(always)]
    pub fn ungoverned(&self, reason: Reason, id: u32) -> Outcome {
        ungoverned(self.tables, Modes::AUDIT_OUTBOUND, reason, id)
    }
}

/// What passes because of an audit, as the answer to what another let in.
#[inline(always)]
const fn answering(outcome: Outcome) -> Outcome {
    outcome.unaudited().because(Reason::Answer)
}
