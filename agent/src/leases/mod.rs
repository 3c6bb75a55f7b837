//! Leases: which endpoints have proven who they are, by which session, and until when.
//!
//! A session renews its lease as long as its endpoint answers. The programs in the kernel end a
//! lease by themselves when its time is over, whatever becomes of the agent.

mod flood;
mod registrar;
mod state;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tracing::error;
use verdict::{frame::origin::Origin, state::flow::State as FlowState};

use crate::{
    datapath::{interface::Interfaces, leases::LeaseTable},
    enrolment::{End, Facts, Identity, Reason, SessionId},
    image::Numbers,
    policy::{Authenticate, Policy},
    store::{StoreError, leases::LeaseStore},
};

use state::{Inherited, Peer, State, covers};

/// A lease in force.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Its role.
    pub role: String,
    /// What it has proven to be.
    pub identity: Identity,
    /// The address it has proven it from.
    pub address: IpAddr,
    /// MAC address, interface and VLAN that it has proven it from.
    pub origin: Origin,
    /// Whether that MAC address is a router's, by the policy.
    pub routed: bool,
    /// How long the lease lasts if it is not renewed.
    pub left: Duration,
    /// When it was granted.
    pub since: Timestamp,
    /// The certificate that it rests on.
    pub certificate: Facts,
    /// Whether a session holds it; if not, an earlier agent's session was granted it, and the endpoint is
    /// yet to come back.
    pub lives: bool,
}

/// One who gets no lease for some time.
#[derive(Clone, Debug)]
pub struct Barred {
    /// Whose leases were revoked.
    pub identity: Identity,
    /// Name of the endpoint that has it, if the policy has one.
    pub endpoint: Option<String>,
    /// Until when; `None` is for good.
    pub until: Option<Timestamp>,
}

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

impl Registry {
    /// A registry that writes to `table` and `store`, gives leases of `term`, and asks for sessions to be closed
    /// through `closings`.
    #[must_use]
    pub fn new(
        table: LeaseTable,
        store: LeaseStore,
        term: Duration,
        port: u16,
        closings: UnboundedSender<Closing>,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(table, store)),
            term,
            port,
            closings,
        }
    }

    /// A panic elsewhere leaves nothing half done that matters here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up the leases that are in force from before this agent started, and who is barred. Leases
    /// that the policy does not know end when it is [followed](Self::follow), and those whose certificates
    /// are refused when these are [verified](crate::enrolment::Registrar::verify).
    pub fn inherit(&self) {
        let mut state = self.state();
        match state.store.bars() {
            Ok(bars) => {
                let bars = bars.into_iter();
                let read =
                    bars.filter_map(|bar| Some((Identity::parse(&bar.identity)?, bar.until)));
                state.barred = read.collect();
            }
            Err(error) => error!(%error, "who was barred from leases is not known any more"),
        }
        let found = match state.table.list() {
            Ok(found) => found,
            Err(error) => {
                error!(%error, "leases of an earlier agent cannot be read; they expire");
                return;
            }
        };
        let records = state.store.records().unwrap_or_else(|error| {
            error!(%error, "what leases of an earlier agent rest on cannot be read; they end");
            BTreeMap::new()
        });
        for found in found {
            let record = records.get(&(found.id, found.address));
            match record.and_then(|record| Inherited::new(&found, record)) {
                Some(inherited) => state.inherited.push(inherited),
                None => state.end("of an earlier agent", found.id, found.address),
            }
        }
    }

    /// Follows the policy in force, with the one to go back to while it is on trial, and the host's
    /// `interfaces`: ends the leases of whoever none of them knows like this.
    pub fn follow(
        &self,
        in_force: (&Policy, &Numbers),
        confirmed: Option<(&Policy, &Numbers)>,
        interfaces: &Interfaces,
    ) {
        let mut state = self.state();
        state.peers = peers(in_force.0, in_force.1);
        state.confirmed =
            confirmed.map_or_else(BTreeMap::new, |(policy, numbers)| peers(policy, numbers));
        state.links = interfaces.links();
        let gone = state.sessions(|state, held| {
            let mut peers = state.known_as(&held.peer.identity);
            !peers.any(|peer| {
                peer.number == held.holder.id
                    && covers(&peer.addresses, held.holder.address)
                    && peer.accepts(&held.claim, held.holder.origin).is_ok()
            })
        });
        for session in gone {
            let why = "the policy no longer has this endpoint, identity, address or router";
            self.withdraw(&mut state, session, End::Withdrawn(why.to_owned()));
        }
        state.follow_roles();
        state.drop_inherited(|state, inherited| {
            let mut peers = state.known_as(&inherited.identity);
            !peers.any(|peer| {
                peer.number == inherited.number && covers(&peer.addresses, inherited.address)
            })
        });
    }

    /// Ends the leases of `endpoint`, whose identity gets no other for so long, also under another name
    /// and after a restart; zero takes back what was said before. The number of leases.
    ///
    /// # Errors
    ///
    /// If that cannot be kept. The leases have ended all the same, and it holds until the agent restarts.
    pub fn revoke(&self, endpoint: &str, barred: Duration) -> Result<usize, StoreError> {
        let mut state = self.state();
        let peers = state.every_peer().filter(|peer| peer.endpoint == endpoint);
        let identities: Vec<Identity> = peers.map(|peer| peer.identity.clone()).collect();
        for identity in &identities {
            if barred.is_zero() {
                state.barred.remove(identity);
            } else {
                let until = Timestamp::now().checked_add(barred).ok();
                state.barred.insert(identity.clone(), until);
            }
        }
        let sessions = state.sessions(|_, held| held.peer.endpoint == endpoint);
        for &session in &sessions {
            let why = "the operator revoked the lease".to_owned();
            self.withdraw(&mut state, session, End::Withdrawn(why));
        }
        let before = state.inherited.len();
        state.drop_inherited(|_, inherited| identities.contains(&inherited.identity));
        let ended = sessions.len() + before - state.inherited.len();
        state.keep_bars()?;
        Ok(ended)
    }

    /// Who gets no lease now, by identity.
    #[must_use]
    pub fn barred(&self) -> Vec<Barred> {
        let state = self.state();
        let barred = state.barred.iter();
        let barred = barred.filter(|(identity, _)| state.is_barred(identity));
        barred
            .map(|(identity, &until)| Barred {
                identity: identity.clone(),
                endpoint: state
                    .known_as(identity)
                    .next()
                    .map(|peer| peer.endpoint.clone()),
                until,
            })
            .collect()
    }

    /// Whether the policy has an endpoint of this name that shows a certificate.
    #[must_use]
    pub fn knows(&self, endpoint: &str) -> bool {
        self.state()
            .peers
            .values()
            .any(|peer| peer.endpoint == endpoint)
    }

    /// Whether a session has proven `identity` from `address`.
    #[must_use]
    pub fn holds(&self, identity: &Identity, address: IpAddr) -> bool {
        self.state()
            .held
            .values()
            .any(|held| held.peer.identity == *identity && held.holder.address == address)
    }

    /// Where the holder of the lease at `address` has proven itself from.
    #[must_use]
    pub fn origin_of(&self, address: IpAddr) -> Option<Origin> {
        let state = self.state();
        let mut held = state.held.values().map(|held| &held.holder);
        let held = held.find(|holder| holder.address == address);
        let inherited = || {
            state
                .inherited
                .iter()
                .find(|lease| lease.address == address)
        };
        held.map(|holder| holder.origin)
            .or_else(|| inherited().map(|lease| lease.origin))
    }

    /// The leases in force, by endpoint and address.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        self.state().leases()
    }

    /// Refused proofs since the agent started, by reason.
    #[must_use]
    pub fn refused(&self) -> Vec<(Reason, u64)> {
        let state = self.state();
        let refused = state.refused.iter();
        refused.map(|(&reason, &count)| (reason, count)).collect()
    }

    /// Port on which endpoints prove who they are.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Notes what is wrong with proofs of identity in general, until it is told otherwise.
    pub fn set_problems(&self, problems: Vec<String>) {
        self.state().problems = problems;
    }

    /// What is wrong with proofs of identity in general, in sentences.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let state = self.state();
        let unrecorded = state.unrecorded.iter().map(|error| {
            format!("leases cannot be recorded, and end when the agent is restarted: {error}")
        });
        let flood = state.flood.problem(Instant::now(), self.port);
        let problems = state.problems.iter().cloned();
        problems.chain(unrecorded).chain(flood).collect()
    }

    /// Looks whether the port is flooded; to be called every few seconds.
    pub fn watch(&self) {
        let mut state = self.state();
        match state.table.flooded() {
            Ok(refused) => state.flood.look(Instant::now(), refused),
            Err(error) => error!(%error, "what was refused at the port cannot be read"),
        }
    }

    /// Ends the lease of `session` and asks for the session to be closed.
    fn withdraw(&self, state: &mut State, session: SessionId, why: End) {
        state.drop_lease(session);
        // Nobody closes sessions any more only when the agent ends.
        let _ = self.closings.send((session, why));
    }
}

/// Who may prove which identity.
fn peers(policy: &Policy, numbers: &Numbers) -> BTreeMap<Identity, Peer> {
    let proving = policy.endpoints.iter().filter_map(|(name, endpoint)| {
        let Authenticate::Certificate {
            identity,
            sessions,
            routed,
        } = &endpoint.authenticate
        else {
            return None;
        };
        let peer = Peer {
            endpoint: name.clone(),
            number: *numbers.endpoints.get(name)?,
            role: endpoint.roles.to_string(),
            identity: identity.clone(),
            addresses: endpoint.addresses.clone(),
            sessions: *sessions,
            routed: *routed,
            silence: policy.flow_timeouts.seconds(FlowState::Enrolment),
        };
        Some((identity.clone(), peer))
    });
    proving.collect()
}
