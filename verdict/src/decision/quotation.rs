//! ICMP errors, which are judged by the packet that they quote.
//!
//! They come from anywhere on the path: what counts is that the quoted packet belongs to a
//! conversation that the policy permits.

use super::{
    Ip,
    conversation::{Conversation, Ends, UNICAST},
    inbound::Inbound,
    outbound::Outbound,
    path::{FullPath, Path},
    permission::{offered, used},
};
use crate::{
    frame::{
        icmp,
        network::Datagram,
        packet::{Packet, bounded},
        transport::{IpProtocol, PORTS_LEN},
    },
    image::{
        header::Modes,
        lookup::Lookup,
        service::{Rule, Service},
    },
    reason::{Outcome, Reason},
    state::flow::{
        Flows, State,
        key::CONNECTION,
        table::{find, timeout},
    },
};

/// A packet that an ICMP error quotes.
#[derive(Clone, Copy, Debug)]
struct Quotation<A> {
    source: A,
    destination: A,
    protocol: u8,
    /// What it asked for.
    ends: Ends,
}

/// Reads the packet that the ICMP error `about` quotes; it is told to `sender`, who sent that.
///
/// # Errors
///
/// [`Reason::IcmpUnrelated`] if it cannot be told what the quoted packet was, or somebody else sent
/// it.
#[inline(always)]
fn quotation<A: Ip, P: Packet>(
    packet: &P,
    about: &Datagram<A>,
    sender: A,
) -> Result<Quotation<A>, Reason> {
    // What lies behind the datagram is no part of it, and the stack does not see it. Looked at
    // here, it costs the verifier least.
    if about.transport_len < icmp::BODY + A::HEADER_LEN + PORTS_LEN {
        return Err(Reason::IcmpUnrelated);
    }
    let at = bounded(about.transport) + icmp::BODY;
    let Some(header) = A::header(packet, at) else {
        return Err(Reason::IcmpUnrelated);
    };
    let Ok(quoted) = A::datagram(packet, at, header) else {
        return Err(Reason::IcmpUnrelated);
    };
    if quoted.position.offset() != 0 {
        return Err(Reason::IcmpUnrelated);
    }
    let protocol = IpProtocol(quoted.protocol);
    let ends = if protocol == A::ICMP {
        match icmp::Message::read(packet, quoted.transport) {
            Ok(message) => Ends::of_icmp::<A>(message),
            Err(_) => return Err(Reason::IcmpUnrelated),
        }
    } else {
        match Ends::read(packet, protocol, quoted.transport) {
            Ok(ends) => ends,
            Err(_) => return Err(Reason::IcmpUnrelated),
        }
    };
    if quoted.source != sender {
        return Err(Reason::IcmpUnrelated);
    }
    Ok(Quotation {
        source: quoted.source,
        destination: A::destination(header),
        protocol: quoted.protocol,
        ends,
    })
}

impl<P: Packet, T: Lookup, F: Flows> Inbound<'_, P, T, F, FullPath> {
    /// Decides about an ICMP error to `local`, which is to have sent the packet that it quotes.
    #[inline(always)]
    pub fn error<A: Ip>(&self, local: A, datagram: &Datagram<A>) -> Result<Outcome, Reason> {
        let quoted = quotation(self.packet, datagram, local)?;
        let (remote, protocol) = (quoted.destination, quoted.protocol);
        let about = Conversation::sent(UNICAST, quoted.source, remote, protocol, quoted.ends);
        self.quoted(&about.opaque())
    }

    /// Decides about an error that quotes a packet which the local side has sent.
    #[inline(always)]
    fn quoted<A: Ip>(&self, about: &Conversation<A>) -> Result<Outcome, Reason> {
        let asked = Service::at(self.tables, about.local_key)?;
        let answered = Service::at(self.tables, about.remote_key)?;
        if !asked.is_inbound() && !answered.is_outbound() && !self.any_flow() {
            return Err(Reason::IcmpUnrelated);
        }
        let peer = self.peer(about.remote)?;
        let id = peer.id();
        let mut serving = Rule::NONE;
        if asked.is_offered() {
            serving = offered(self.tables, self.policy, asked, peer.role(), about.local)?;
            if serving.id() != 0 && (asked.is_from_anyone() || self.is_served(about)?) {
                return Ok(serving.permit(Reason::IcmpError, id));
            }
        }
        let mut rule = Rule::NONE;
        if answered.is_outbound() && answered.concerns(id) {
            rule = used(self.tables, self.policy, answered, peer.role(), about.local)?;
        }
        let may_be_open = rule.id() != 0 || self.any_flow();
        if may_be_open && self.flow(about, self.flows.now())?.is_some() {
            return Ok(rule.permit(Reason::IcmpError, id));
        }
        if serving.id() != 0 {
            return Ok(serving.violated(Reason::IcmpUnrelated, id));
        }
        if may_be_open {
            return Err(Reason::IcmpUnrelated);
        }
        Ok(self.ungoverned(Reason::IcmpUnrelated, id))
    }

    /// Whether the host may have sent a packet in answer to a peer that may use its service.
    ///
    /// Of TCP and SCTP the stack itself checks the sequence number, or tag, that is quoted. Of others only
    /// what was remembered counts: else anybody could lower the path MTU of every permitted peer. Who uses
    /// what anyone may is not remembered, so that strangers cannot fill the memory.
    #[inline(always)]
    fn is_served<A: Ip>(&self, about: &Conversation<A>) -> Result<bool, Reason> {
        let state = match IpProtocol(about.protocol) {
            IpProtocol::TCP | IpProtocol::SCTP => return Ok(true),
            IpProtocol::UDP => State::UdpEstablished,
            IpProtocol::ICMP | IpProtocol::ICMPV6 => State::Echo,
            _ => State::OtherEstablished,
        };
        let lasts = timeout(self.tables, state.code())?;
        let key = about.key(CONNECTION);
        Ok(self.flows.served_idle(&key) <= lasts
            || self.flows.served_idle(&key.without_local()) <= lasts)
    }
}

impl<P: Packet, T: Lookup, F: Flows> Outbound<'_, P, T, F, FullPath> {
    /// Decides about an ICMP error to `remote`, which is to have sent the packet that it quotes.
    #[inline(always)]
    pub fn error<A: Ip>(&self, remote: A, datagram: &Datagram<A>) -> Result<Outcome, Reason> {
        let quoted = quotation(self.packet, datagram, remote)?;
        let (local, protocol) = (quoted.destination, quoted.protocol);
        let about = Conversation::received(UNICAST, local, quoted.source, protocol, quoted.ends);
        self.quoted(&about.opaque())
    }

    /// Decides about an error that quotes a packet which the remote side has sent.
    #[inline(always)]
    fn quoted<A: Ip>(&self, about: &Conversation<A>) -> Result<Outcome, Reason> {
        let peer = FullPath::endpoint(self.tables, about.remote)?;
        let id = peer.id();
        let asked = Service::at(self.tables, about.local_key)?;
        if asked.is_inbound() && (id != 0 || asked.is_from_anyone()) {
            let rule = offered(self.tables, self.policy, asked, peer.role(), about.local)?;
            if rule.id() != 0 {
                return Ok(rule.permit(Reason::IcmpError, id));
            }
        }
        let answered = Service::at(self.tables, about.remote_key)?;
        let mut rule = Rule::NONE;
        if answered.is_outbound() && answered.concerns(id) {
            rule = used(self.tables, self.policy, answered, peer.role(), about.local)?;
        }
        let any = self.policy.flags().modes().has(Modes::ANY_OUTBOUND);
        if rule.id() != 0 || any {
            let key = about.key(CONNECTION);
            if find(self.flows, self.tables, &key, self.flows.now())?.is_some() {
                return Ok(rule.permit(Reason::IcmpError, id));
            }
        }
        Ok(self.ungoverned(Reason::IcmpUnrelated, id))
    }
}
