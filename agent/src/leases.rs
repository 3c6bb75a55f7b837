//! Leases: which endpoints have proven who they are, by which session, and until when.
//!
//! A session renews its lease as long as its endpoint answers. The programs in the kernel end a
//! lease by themselves when its time is over, whatever becomes of the agent.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info};
use verdict::{flow::entry::ticks, lease::Origin};

use crate::{
    control::api::{LeaseEntry, LeaseList, RefusedCount},
    datapath::{
        flows::{self, FlowError},
        leases::LeaseTable,
    },
    enrolment::{Claim, End, Grant, Identity, Reason, Refusal, Registrar, SessionId},
    image::Numbers,
    policy::{Authenticate, Policy},
};

/// A session that is to be closed, and why.
pub type Closing = (SessionId, End);

/// Gives leases to those who prove an identity of the policy.
pub struct Registry {
    state: Mutex<State>,
    /// Lifetime of a lease that is not renewed.
    term: Duration,
    /// Port of this host that datagrams go to.
    port: u16,
    closings: UnboundedSender<Closing>,
}

struct State {
    table: LeaseTable,
    /// Who may prove which identity.
    peers: BTreeMap<Identity, Peer>,
    /// Leases by session.
    held: HashMap<SessionId, Held>,
    /// Endpoints whose leases were revoked, and until when they get no other.
    barred: BTreeMap<String, Instant>,
    refused: BTreeMap<Reason, u64>,
}

/// An endpoint of the policy that has to show a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Peer {
    endpoint: String,
    number: u32,
    role: String,
    addresses: Vec<IpNet>,
}

#[derive(Debug)]
struct Held {
    peer: Peer,
    identity: Identity,
    address: IpAddr,
    origin: Origin,
    claim: Claim,
    since: Timestamp,
    renewed: Instant,
}

impl Registry {
    /// A registry that writes to `table`, gives leases of `term`, and asks for sessions to be closed
    /// through `closings`.
    #[must_use]
    pub fn new(
        table: LeaseTable,
        term: Duration,
        port: u16,
        closings: UnboundedSender<Closing>,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                table,
                peers: BTreeMap::new(),
                held: HashMap::new(),
                barred: BTreeMap::new(),
                refused: BTreeMap::new(),
            }),
            term,
            port,
            closings,
        }
    }

    /// A panic elsewhere leaves nothing half done that matters here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the policy in force: ends the leases of whoever it no longer knows like this.
    pub fn follow(&self, policy: &Policy, numbers: &Numbers) {
        let mut peers = BTreeMap::new();
        for (name, endpoint) in &policy.endpoints {
            let Authenticate::Certificate(identity) = &endpoint.authenticate else {
                continue;
            };
            let Some(&number) = numbers.endpoints.get(name) else {
                continue;
            };
            let peer = Peer {
                endpoint: name.clone(),
                number,
                role: endpoint.role.clone(),
                addresses: endpoint.addresses.clone(),
            };
            peers.insert(identity.clone(), peer);
        }
        let mut state = self.state();
        let stays = |held: &Held| {
            peers.get(&held.identity).is_some_and(|peer| {
                peer.number == held.peer.number && covers(&peer.addresses, held.address)
            })
        };
        for session in state.sessions(|held| !stays(held)) {
            let why = "the policy no longer has this endpoint, identity or address";
            self.withdraw(&mut state, session, why);
        }
        let known = |number: u32, address: IpAddr| {
            peers
                .values()
                .any(|peer| peer.number == number && covers(&peer.addresses, address))
        };
        if let Err(error) = state.table.retain(known) {
            error!(%error, "leases of an older policy cannot be ended; they run out");
        }
        state.peers = peers;
    }

    /// Ends the leases of `endpoint`, which gets no other for so long. The number of leases.
    pub fn revoke(&self, endpoint: &str, barred: Duration) -> usize {
        let mut state = self.state();
        if !barred.is_zero() {
            let until = Instant::now() + barred;
            state.barred.insert(endpoint.to_owned(), until);
        }
        let sessions = state.sessions(|held| held.peer.endpoint == endpoint);
        for &session in &sessions {
            self.withdraw(&mut state, session, "the operator revoked the lease");
        }
        sessions.len()
    }

    /// Whether the policy has an endpoint of this name that shows a certificate.
    #[must_use]
    pub fn knows(&self, endpoint: &str) -> bool {
        self.state()
            .peers
            .values()
            .any(|peer| peer.endpoint == endpoint)
    }

    /// The leases in force, and what was refused.
    #[must_use]
    pub fn list(&self) -> LeaseList {
        let state = self.state();
        let mut leases: Vec<LeaseEntry> =
            state.held.values().map(|held| self.entry(held)).collect();
        leases.sort_by(|a, b| (&a.endpoint, &a.address).cmp(&(&b.endpoint, &b.address)));
        let refused = state.refused.iter().map(|(reason, &count)| RefusedCount {
            reason: reason.name().to_owned(),
            count,
        });
        LeaseList {
            leases,
            refused: refused.collect(),
        }
    }

    fn entry(&self, held: &Held) -> LeaseEntry {
        let left = self.term.saturating_sub(held.renewed.elapsed());
        let mac = &held.origin.mac.to_be_bytes()[2..];
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        LeaseEntry {
            endpoint: held.peer.endpoint.clone(),
            role: held.peer.role.clone(),
            identity: held.identity.to_string(),
            address: held.address,
            mac: mac.join(":"),
            ifindex: held.origin.ifindex(),
            interface: None,
            since: held.since.to_string(),
            expires_in_seconds: left.as_secs(),
            serial: held.claim.certificate.serial.clone(),
            not_after: held.claim.certificate.not_after.to_string(),
        }
    }

    /// The tick at which a lease ends that is given or renewed now.
    fn until(&self) -> Result<u32, FlowError> {
        Ok(flows::now()?.wrapping_add(ticks(self.term.as_secs() as u32)))
    }

    /// Ends the lease of `session` and asks for the session to be closed.
    fn withdraw(&self, state: &mut State, session: SessionId, why: &str) {
        state.drop_lease(session);
        // Nobody closes sessions any more only when the agent ends.
        let _ = self
            .closings
            .send((session, End::Withdrawn(why.to_owned())));
    }
}

impl State {
    /// The sessions of the leases that are `wanted`.
    fn sessions(&self, wanted: impl Fn(&Held) -> bool) -> Vec<SessionId> {
        let found = self.held.iter().filter(|(_, held)| wanted(held));
        found.map(|(&session, _)| session).collect()
    }

    /// Forgets the lease of `session`, and ends it unless another session of the endpoint has taken
    /// it over.
    fn drop_lease(&mut self, session: SessionId) {
        let Some(held) = self.held.remove(&session) else {
            return;
        };
        let another = self
            .held
            .values()
            .any(|other| other.address == held.address);
        if another {
            return;
        }
        if let Err(error) = self.table.end(held.address) {
            error!(%error, endpoint = held.peer.endpoint, "a lease cannot be ended; it runs out");
        }
    }
}

impl Registrar for Registry {
    fn admit(&self, claim: &Claim) -> Result<Grant, Refusal> {
        let address = claim.remote.ip().to_canonical();
        let mut state = self.state();
        let known = claim
            .identities
            .iter()
            .find_map(|identity| Some((identity, state.peers.get(identity)?)));
        let Some((identity, peer)) = known else {
            return Err(Refusal::new(
                Reason::NoMatchingIdentity,
                "the policy has no endpoint with an identity of this certificate",
            ));
        };
        let (identity, peer) = (identity.clone(), peer.clone());
        if state
            .barred
            .get(&peer.endpoint)
            .is_some_and(|&until| until > Instant::now())
        {
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
        let local = SocketAddr::new(claim.local, self.port);
        let origin = match state.table.origin(local, claim.remote) {
            Ok(Some(origin)) => origin,
            Ok(None) => {
                return Err(Refusal::new(
                    Reason::WrongPlace,
                    "no enforced interface has seen the datagrams of this session",
                ));
            }
            Err(error) => return Err(Refusal::new(Reason::Other, error.to_string())),
        };
        // One place at a time: whoever proves the identity last has it.
        let elsewhere = state.sessions(|held| held.identity == identity && held.address != address);
        for session in elsewhere {
            let why = "the endpoint has proven itself from another address";
            self.withdraw(&mut state, session, why);
        }
        let given = self
            .until()
            .map_err(|error| error.to_string())
            .and_then(|until| {
                let given = state.table.give(address, peer.number, origin, until);
                given.map_err(|error| error.to_string())
            });
        match given {
            Ok(true) => {}
            Ok(false) => return Err(Refusal::new(Reason::TooManySessions, "no room for a lease")),
            Err(error) => return Err(Refusal::new(Reason::Other, error)),
        }
        let grant = Grant {
            endpoint: peer.endpoint.clone(),
            role: peer.role.clone(),
            expires_in: self.term,
        };
        state.held.insert(
            claim.session,
            Held {
                peer,
                identity,
                address,
                origin,
                claim: claim.clone(),
                since: Timestamp::now(),
                renewed: Instant::now(),
            },
        );
        Ok(grant)
    }

    fn renew(&self, session: SessionId) {
        let mut state = self.state();
        let State { table, held, .. } = &mut *state;
        let Some(held) = held.get_mut(&session) else {
            return;
        };
        let Ok(until) = self.until() else { return };
        match table.give(held.address, held.peer.number, held.origin, until) {
            Ok(_) => held.renewed = Instant::now(),
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

fn covers(addresses: &[IpNet], address: IpAddr) -> bool {
    addresses.iter().any(|net| net.contains(&address))
}
