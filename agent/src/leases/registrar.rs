//! Decides about claims, and follows the sessions of those that were granted.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use jiff::Timestamp;
use tracing::{error, info};
use verdict::frame::origin::Origin;

use super::{
    Registry,
    state::{Held, Peer, State, beside, covers, is_beside},
};
use crate::{
    datapath::leases::Holder,
    enrolment::{Claim, End, Grant, Reason, Refusal, Registrar, SessionId},
    policy::Sessions,
};

impl Registrar for Registry {
    fn admit(&self, claim: &Claim) -> Result<Grant, Refusal> {
        let address = claim.remote.ip().to_canonical();
        let mut state = self.state();
        let peer = peer(&state, claim, address)?;
        let origin = self.origin(&mut state, claim)?;
        self.make_room(&mut state, &peer, address)?;
        let holder = Holder {
            id: peer.number,
            address,
            origin,
            beside: beside(&state.links, origin),
        };
        match state.table.give(&holder, self.term) {
            Ok(true) => {}
            Ok(false) => return Err(Refusal::new(Reason::TooManySessions, "no room for a lease")),
            Err(error) => return Err(Refusal::new(Reason::Other, error.to_string())),
        }
        state
            .inherited
            .retain(|lease| (lease.number, lease.address) != (peer.number, address));
        let grant = Grant {
            endpoint: peer.endpoint.clone(),
            role: peer.role.clone(),
            expires_in: self.term,
        };
        let held = Held {
            peer,
            holder,
            claim: claim.clone(),
            since: Timestamp::now(),
            renewed: Instant::now(),
        };
        state.held.insert(claim.session, held);
        Ok(grant)
    }

    fn renew(&self, session: SessionId) {
        let mut state = self.state();
        let State {
            table, held, links, ..
        } = &mut *state;
        let Some(held) = held.get_mut(&session) else {
            return;
        };
        // A bond gets and loses ports while a session lives.
        held.holder.beside = beside(links, held.holder.origin);
        match table.give(&held.holder, self.term) {
            Ok(true) => held.renewed = Instant::now(),
            Ok(false) => {
                error!(endpoint = held.peer.endpoint, "no room to renew a lease");
            }
            Err(error) => {
                error!(%error, endpoint = held.peer.endpoint, "a lease cannot be renewed");
            }
        }
    }

    fn end(&self, session: SessionId, why: &End) {
        let mut state = self.state();
        if *why == End::Shutdown {
            // The next agent finds the endpoint again; until then its connections go on.
            state.held.remove(&session);
        } else {
            state.drop_lease(session);
        }
        info!(%session, why = why.name(), "a lease ended");
    }

    fn refused(&self, _: SocketAddr, refusal: &Refusal) {
        *self.state().refused.entry(refusal.reason).or_default() += 1;
    }
}

impl Registry {
    /// Where all datagrams of the claim's session came from.
    fn origin(&self, state: &mut State, claim: &Claim) -> Result<Origin, Refusal> {
        let local = SocketAddr::new(claim.local, self.port);
        match state.table.origin(local, claim.remote) {
            Ok(Some(origin)) => Ok(origin),
            Ok(None) => Err(Refusal::new(
                Reason::WrongPlace,
                "no enforced interface has seen the datagrams of this session",
            )),
            Err(error) => Err(Refusal::new(Reason::Other, error.to_string())),
        }
    }

    /// Does what the policy says about the peer's leases at other addresses.
    fn make_room(&self, state: &mut State, peer: &Peer, address: IpAddr) -> Result<(), Refusal> {
        let others = state.addresses_beside(peer.number, address);
        let Some(&other) = others.first() else {
            return Ok(());
        };
        let endpoint = &peer.endpoint;
        let sentence = match peer.sessions {
            Sessions::Replace => {
                self.replace(state, peer, address);
                return Ok(());
            }
            Sessions::Allow(most) if others.len() < usize::from(most) => return Ok(()),
            Sessions::Allow(most) => format!(
                "endpoint {endpoint} holds leases at {} addresses, and the policy allows {most}",
                others.len()
            ),
            Sessions::Refuse => format!(
                "endpoint {endpoint} holds a lease at {other}, and the policy refuses a second"
            ),
        };
        Err(Refusal::new(Reason::TooManySessions, sentence))
    }

    /// Ends the peer's leases at other addresses of this one's family.
    fn replace(&self, state: &mut State, peer: &Peer, address: IpAddr) {
        let elsewhere = |number, other| number == peer.number && is_beside(other, address);
        for session in state.sessions(|_, held| elsewhere(held.holder.id, held.holder.address)) {
            self.withdraw(state, session, End::Replaced(address));
        }
        state.drop_inherited(|_, lease| elsewhere(lease.number, lease.address));
    }
}

/// The endpoint that the claim is about, if it may claim anything from `address`.
fn peer(state: &State, claim: &Claim, address: IpAddr) -> Result<Peer, Refusal> {
    let mut identities = claim.identities.iter();
    let Some(peer) = identities.find_map(|identity| state.known_as(identity).next()) else {
        return Err(Refusal::new(
            Reason::NoMatchingIdentity,
            "the policy has no endpoint with an identity of this certificate",
        ));
    };
    let barred = state.barred.get(&peer.endpoint);
    if barred.is_some_and(|until| until.is_none_or(|until| until > Instant::now())) {
        return Err(Refusal::new(
            Reason::Revoked,
            "the operator revoked the lease of this endpoint",
        ));
    }
    if !covers(&peer.addresses, address) {
        return Err(Refusal::new(
            Reason::WrongAddress,
            format!("endpoint {} has no address {address}", peer.endpoint),
        ));
    }
    Ok(peer.clone())
}
