//! Decides about claims, and follows the sessions of those that were granted.

use std::{
    future::ready,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::{error, info, warn};
use verdict::frame::origin::Origin;

use super::{
    Registry,
    state::{Held, Inherited, Peer, State, beside, covers, is_beside},
};
use crate::{
    datapath::leases::Holder,
    enrolment::{Claim, End, Grant, Later, Reason, Refusal, Registrar, SessionId},
    policy::Sessions,
    prover::{agent::Leases, message::Chain},
};

impl Registrar for Registry {
    fn admit<'a>(&'a self, claim: &'a Claim) -> Later<'a, Result<Grant, Refusal>> {
        Box::pin(ready(self.decide(claim)))
    }

    fn renew(&self, session: SessionId, until: Timestamp) {
        let mut state = self.state();
        if !state.is_latest(session) {
            return;
        }
        let State { held, links, .. } = &mut *state;
        let Some(held) = held.get_mut(&session) else {
            return;
        };
        // Who looks at proofs may be mistaken about the time.
        if until <= Timestamp::now() {
            self.withdraw(&mut state, session, End::Expired);
            return;
        }
        // A bond gets and loses ports while a session lives.
        held.holder.beside = beside(links, held.holder.origin);
        let endpoint = held.peer.endpoint.clone();
        match state.write(session, self.ends(until)) {
            Ok(true) => {}
            Ok(false) => error!(endpoint, "no room to renew a lease"),
            Err(error) => error!(%error, endpoint, "a lease cannot be renewed"),
        }
    }

    fn end<'a>(&'a self, session: SessionId, why: &'a End) -> Later<'a, ()> {
        let mut state = self.state();
        if *why == End::Shutdown {
            // The next agent finds the endpoint again; until then its connections go on.
            state.held.remove(&session);
        } else {
            state.drop_lease(session);
        }
        info!(%session, why = why.name(), "a lease ended");
        Box::pin(ready(()))
    }

    fn refused(&self, _: SocketAddr, refusal: &Refusal) {
        *self.state().refused.entry(refusal.reason).or_default() += 1;
    }
}

impl Leases for Registry {
    fn chains(&self) -> Vec<Chain> {
        let state = self.state();
        let inherited = state.inherited.iter().map(|lease| Chain {
            number: lease.number,
            address: lease.address,
            chain: lease.chain.to_string(),
        });
        inherited.collect()
    }

    fn verified(&self, number: u32, address: IpAddr, refused: Option<Refusal>) {
        let mut state = self.state();
        let place = (number, address);
        if let Some(refusal) = refused {
            warn!(
                number,
                %address,
                reason = refusal.reason.name(),
                "a lease of an earlier agent is ended"
            );
            state.drop_inherited(|_, lease| lease.place() == place);
            return;
        }
        for lease in &mut state.inherited {
            lease.verified |= lease.place() == place;
        }
    }

    fn orphan(&self) {
        let mut state = self.state();
        let held: Vec<Held> = state.held.drain().map(|(_, held)| held).collect();
        state.owners.clear();
        for held in held {
            let orphan = Inherited::orphan(held);
            state
                .inherited
                .retain(|lease| lease.place() != orphan.place());
            state.inherited.push(orphan);
        }
    }

    fn set_problems(&self, problems: Vec<String>) {
        self.state().problems = problems;
    }
}

impl Registry {
    fn decide(&self, claim: &Claim) -> Result<Grant, Refusal> {
        let address = claim.remote.ip().to_canonical();
        let mut state = self.state();
        let peer = peer(&state, claim, address)?;
        if claim.until <= Timestamp::now() {
            return Err(Refusal::new(
                Reason::Expired,
                "the certificate, or one above it, is no longer valid",
            ));
        }
        let origin = self.origin(&mut state, claim, peer.silence)?;
        peer.accepts(claim, origin)?;
        self.make_room(&mut state, &peer, address)?;
        let holder = Holder {
            id: peer.number,
            address,
            origin,
            beside: beside(&state.links, origin),
        };
        let ends = self.ends(claim.until);
        let held = Held {
            peer,
            holder,
            claim: claim.clone(),
            since: Timestamp::now(),
            ends,
        };
        let grant = Grant {
            endpoint: held.peer.endpoint.clone(),
            role: held.peer.role.clone(),
            expires_in: ends.saturating_duration_since(Instant::now()),
        };
        // First the record: the next agent ends a lease that has none.
        state.record(&held);
        let left = ends.saturating_duration_since(Instant::now());
        match state.table.give(&held.holder, left) {
            Ok(true) => {}
            Ok(false) => return Err(Refusal::new(Reason::TooManySessions, "no room for a lease")),
            Err(error) => return Err(Refusal::new(Reason::Other, error.to_string())),
        }
        state.hold(claim.session, held);
        Ok(grant)
    }

    /// When a lease that is given or renewed now ends: no later than the chain that it rests on.
    fn ends(&self, until: Timestamp) -> Instant {
        let left = Duration::try_from(until.duration_since(Timestamp::now()));
        Instant::now() + self.term.min(left.unwrap_or_default())
    }

    /// Where all datagrams of the claim's session came from.
    fn origin(&self, state: &mut State, claim: &Claim, silence: u32) -> Result<Origin, Refusal> {
        let local = SocketAddr::new(claim.local, self.port);
        match state.table.origin(local, claim.remote, silence) {
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
    if claim.identities.iter().any(|it| state.is_barred(it)) {
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
