//! The policy for packets that come in.

use core::marker::PhantomData;

use super::{
    Ip,
    conversation::Conversation,
    enrolment, pass,
    path::Path,
    permission::{here, used},
    unasked, ungoverned,
};
use crate::{
    frame::{ethernet::Frame, origin::Origin, packet::Packet, transport::IpProtocol},
    image::{
        endpoint::{Peer, Record},
        header::{Header, Modes},
        line::Missing,
        lookup::Lookup,
        protected::PROTECTED_GUEST,
        service::{GOVERNING, Rule, Service},
    },
    reason::{Outcome, Reason},
    state::{
        flow::{Flows, Half, New, Slot, follow, key::CONNECTION, table::open},
        lease,
    },
};

/// What packets to a protected address are decided by.
pub struct Inbound<'a, P, T, F, S> {
    /// The packet.
    pub packet: &'a P,
    /// The image in force.
    pub tables: &'a T,
    /// What is remembered.
    pub flows: &'a F,
    /// The header of the image.
    pub policy: Header<'a>,
    /// Its Ethernet header.
    pub frame: &'a Frame,
    /// Which path it takes.
    pub path: PhantomData<S>,
}

impl<P: Packet, T: Lookup, F: Flows, S: Path> Inbound<'_, P, T, F, S> {
    /// Decides about a packet: it asks for a service of the host's, or answers the host.
    #[inline(always)]
    pub fn decide<A: Ip>(&self, about: &Conversation<A>) -> Result<Outcome, S::Stop> {
        let asked = Service::at(self.tables, about.local_key)?;
        let peer;
        if asked.is_offered() {
            if about.is_to_group() {
                S::go_on()?;
            }
            peer = S::endpoint(self.tables, about.remote)?;
            if let Some(outcome) = self.asks(about, asked, peer)? {
                return Ok(outcome);
            }
            S::go_on()?;
        } else if asked.is_enrolment() {
            S::go_on()?;
            peer = self.peer(about.remote)?;
            if let Some(outcome) = self.enrols(about, asked, peer)? {
                return Ok(outcome);
            }
        } else {
            if about.is_to_group() {
                if self.any_flow() {
                    unasked::note(self.flows, about);
                }
                return Ok(pass(Reason::Unprotected, 0));
            }
            if !self.may_answer(about)? {
                return Ok(self.ungoverned(Reason::NoService, 0));
            }
            peer = self.peer(about.remote)?;
        }
        self.answers(about, asked, peer)
    }

    /// Whether the host may have opened a connection that the packet belongs to, as far as its ports
    /// tell.
    #[inline(always)]
    fn may_answer<A: Ip>(&self, about: &Conversation<A>) -> Result<bool, S::Stop> {
        Ok(self.any_flow() || Service::at_kept(self.tables, about.remote_key)?.is_outbound())
    }

    /// Decides about a packet that asks for a service which is offered to some roles; `None` if it
    /// may not have it, and may still answer the host.
    #[inline(always)]
    fn asks<A: Ip>(
        &self,
        about: &Conversation<A>,
        asked: Service,
        peer: Peer,
    ) -> Result<Option<Outcome>, S::Stop> {
        let id = peer.id();
        if peer.role() == GOVERNING {
            // No endpoint has this role: there is none, or the image is broken.
            if id != 0 {
                return Err(Reason::NoPolicy.into());
            }
            if asked.is_from_anyone() {
                return self.asks_as_anyone(about, asked);
            }
            let refused = asked.governing().violated(Reason::UnknownSource, 0);
            return Ok((!self.any_flow()).then_some(refused));
        }
        let mut rule = asked.inbound(self.tables, self.policy, peer.role())?;
        if rule.id() == 0 {
            let refused = asked.governing().violated(Reason::WrongRole, id);
            return Ok((!self.may_answer(about)?).then_some(refused));
        }
        if peer.is_bound()
            && let Err(reason) = self.check_origin(peer, about.remote)?
        {
            // Who has not shown who it is may do what anyone may.
            if asked.is_from_anyone() {
                S::go_on()?;
                return self.asks_as_anyone(about, asked);
            }
            return Ok(Some(rule.violated(reason, id)));
        }
        if rule.is_placed() {
            rule = self.choose(about, asked, peer.role())?;
            if rule.is_elsewhere() {
                S::go_on()?;
                let refused = rule.violated(Reason::WrongPlace, id);
                return Ok((!self.may_answer(about)?).then_some(refused));
            }
        }
        let segment = about.segment(self.packet)?;
        if about.protocol == IpProtocol::TCP.0 && !segment.is_sensible() {
            S::go_on()?;
            return Ok(Some(rule.violated(Reason::TcpFlags, id)));
        }
        S::remember(self.flows, about, segment)?;
        Ok(Some(rule.permit(Reason::Permitted, id)))
    }

    /// Decides about a packet that asks for a service which anyone may use, by the rule for that.
    #[inline(always)]
    fn asks_as_anyone<A: Ip>(
        &self,
        about: &Conversation<A>,
        asked: Service,
    ) -> Result<Option<Outcome>, S::Stop> {
        let rule = self.choose(about, asked, GOVERNING)?;
        if rule.is_elsewhere() {
            S::go_on()?;
            let refused = rule.violated(Reason::WrongPlace, 0);
            return Ok((!self.may_answer(about)?).then_some(refused));
        }
        if about.protocol == IpProtocol::TCP.0 && !about.segment(self.packet)?.is_sensible() {
            S::go_on()?;
            return Ok(Some(rule.violated(Reason::TcpFlags, 0)));
        }
        Ok(Some(rule.permit(Reason::Permitted, 0)))
    }

    /// The rule under which `role` may use a service at the place where the packet is.
    #[inline(always)]
    fn choose<A: Ip>(
        &self,
        about: &Conversation<A>,
        asked: Service,
        role: u8,
    ) -> Result<Rule, Missing> {
        here(
            self.packet,
            self.tables,
            asked.inbound_index(role),
            about.local,
        )
    }

    /// Decides about a packet of a connection that the host may have opened.
    #[inline(always)]
    fn answers<A: Ip>(
        &self,
        about: &Conversation<A>,
        asked: Service,
        peer: Peer,
    ) -> Result<Outcome, S::Stop> {
        let id = peer.id();
        let answered = Service::at_kept(self.tables, about.remote_key)?;
        let mut rule = Rule::NONE;
        if answered.is_outbound() && answered.concerns(id) {
            rule = used(self.tables, self.policy, answered, peer.role(), about.local)?;
        }
        // What is sent to a group is a request, never an answer.
        if about.is_to_group() || (rule.id() == 0 && !self.any_flow()) {
            return self.refuse(asked, answered, id);
        }
        if peer.is_bound()
            && let Err(reason) = self.check_origin(peer, about.remote)?
        {
            S::go_on()?;
            return Ok(self.refused(rule, reason, id));
        }
        let now = self.flows.now();
        let found = self.flow(about, now)?;
        let segment = about.segment(self.packet)?;
        if let Some(slot) = found {
            let bytes = self.packet.frame_len();
            return match follow::receive(self.flows, slot, about.protocol, segment, bytes, now) {
                Ok(()) => Ok(rule.permit(Reason::Established, id)),
                Err(reason) => {
                    S::go_on()?;
                    Ok(self.refused(rule, reason, id))
                }
            };
        }
        S::go_on()?;
        if rule.id() == 0 {
            return self.refuse(asked, answered, id);
        }
        // The agent adopts the host's own connections; those of guests are adopted here.
        if self.flows.adopting()
            && about.protocol == IpProtocol::TCP.0
            && segment.continues()
            && about.local.protected(self.tables)? == PROTECTED_GUEST
        {
            let key = about.key(CONNECTION);
            let new = New {
                received: Half(Half::SEEN).after(self.packet.frame_len(), 0, 0),
                ruled: true,
                ..New::default()
            };
            if open(self.flows, &key, now, &new) {
                return Ok(rule.permit(Reason::Established, id));
            }
        }
        Ok(rule.violated(Reason::NoFlow, id))
    }

    /// Decides about a datagram with which an endpoint may prove who it is; `None` if it need not,
    /// and may still answer the host.
    #[inline(always)]
    fn enrols<A: Ip>(
        &self,
        about: &Conversation<A>,
        asked: Service,
        peer: Peer,
    ) -> Result<Option<Outcome>, S::Stop> {
        if !peer.is_bound() {
            return Ok(None);
        }
        let id = peer.id();
        let record = Record::read(self.tables, self.policy, id)?;
        let bound = record.check(self.packet, self.tables, self.frame);
        if bound.is_ok() && !record.needs_lease() {
            return Ok(None);
        }
        let rule = asked.inbound(self.tables, self.policy, peer.role())?;
        if rule.id() == 0 {
            let refused = asked.governing().violated(Reason::WrongRole, id);
            return Ok(bound.is_ok().then_some(refused));
        }
        Ok(Some(match bound.and_then(|()| self.admit(about, id)) {
            Ok(()) => rule.permit(Reason::Permitted, id),
            Err(reason) => rule.violated(reason, id),
        }))
    }

    /// Admits a datagram of an endpoint that proves who it is, within limits.
    #[inline(always)]
    fn admit<A: Ip>(&self, about: &Conversation<A>, id: u32) -> Result<(), Reason> {
        let (packet, frame) = (self.packet, self.frame);
        let proven = lease::check(self.flows, id, about.remote, packet, frame).is_ok();
        let session = enrolment::Session {
            source: about.remote,
            port: about.ports & 0xffff,
            hash: about.key(CONNECTION).hash(self.flows.seed()),
            origin: Origin::of(packet, frame),
            proven,
        };
        let (at, len) = (about.transport, about.transport_len);
        enrolment::admit(self.flows, &session, packet, at, len)
    }

    /// The endpoint at `address`, if there is one.
    #[inline(always)]
    pub fn peer<A: Ip>(&self, address: A) -> Result<Peer, S::Stop> {
        let peer = S::endpoint(self.tables, address)?;
        if peer.id() != 0 && peer.role() == GOVERNING {
            return Err(Reason::NoPolicy.into());
        }
        Ok(peer)
    }

    /// Checks that the packet comes from where `peer`, which has sent it from `source`, is bound to,
    /// and that it holds a lease if it has to.
    #[inline(always)]
    pub fn check_origin<A: Ip>(
        &self,
        peer: Peer,
        source: A,
    ) -> Result<Result<(), Reason>, S::Stop> {
        let record = Record::read(self.tables, self.policy, peer.id())?;
        let bound = record.check(self.packet, self.tables, self.frame);
        if bound.is_ok() && record.needs_lease() {
            return S::lease(self.flows, peer.id(), source, self.packet, self.frame);
        }
        Ok(bound)
    }

    /// The flow that a packet belongs to.
    ///
    /// A UDP query to a group, or sent before the host has an address (DHCP), opens a flow without a
    /// remote address: any peer that a rule permits may answer it.
    #[inline(always)]
    pub fn flow<A: Ip>(
        &self,
        about: &Conversation<A>,
        now: u32,
    ) -> Result<Option<Slot<'_>>, S::Stop> {
        let mut key = about.key(CONNECTION);
        let mut attempt = 0;
        while attempt < 3 {
            if let Some(slot) = S::flow(self.flows, self.tables, &key, now)? {
                return Ok(Some(slot));
            }
            if about.protocol != IpProtocol::UDP.0 {
                return Ok(None);
            }
            key = if attempt == 0 {
                key.without_remote()
            } else {
                key.without_addresses()
            };
            attempt += 1;
        }
        Ok(None)
    }

    /// Whether flows may exist that no rule permits.
    #[inline(always)]
    #[must_use]
    pub fn any_flow(&self) -> bool {
        self.policy.flags().modes().has(Modes::UNRULED_FLOWS)
    }

    /// The drop of a packet that no rule lets in, under the rule that governs it, if one does.
    #[inline(always)]
    pub fn refuse(&self, asked: Service, answered: Service, id: u32) -> Result<Outcome, S::Stop> {
        let governing = if asked.is_inbound() {
            asked.governing()
        } else if answered.is_outbound() {
            answered.outbound(self.tables, self.policy, GOVERNING)?
        } else {
            return Ok(self.ungoverned(Reason::NoService, 0));
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
            self.ungoverned(reason, id)
        } else {
            rule.violated(reason, id)
        }
    }

    /// A drop that no rule governs.
    #[inline(always)]
    pub fn ungoverned(&self, reason: Reason, id: u32) -> Outcome {
        ungoverned(self.tables, Modes::AUDIT, reason, id)
    }
}
