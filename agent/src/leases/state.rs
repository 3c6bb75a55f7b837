//! What is known of leases at one moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use jiff::Timestamp;
use tracing::error;
use verdict::frame::origin::Origin;

use super::{Lease, Session};
use crate::{
    datapath::leases::{Holder, LeaseTable},
    enrolment::{Claim, Identity, Reason, SessionId},
    policy::Sessions,
};

pub(super) struct State {
    pub(super) table: LeaseTable,
    /// Who may prove which identity.
    pub(super) peers: BTreeMap<Identity, Peer>,
    /// Who may by the policy to go back to, while another is on trial.
    pub(super) confirmed: BTreeMap<Identity, Peer>,
    /// Leases by session.
    pub(super) held: HashMap<SessionId, Held>,
    /// Leases that an earlier agent gave, whose endpoints are yet to come back.
    pub(super) inherited: Vec<Inherited>,
    /// Endpoints whose leases were revoked, and until when they get no other: `None` is for good.
    pub(super) barred: BTreeMap<String, Option<Instant>>,
    /// For each interface of a link of several, the others.
    pub(super) links: BTreeMap<u32, Vec<u32>>,
    pub(super) refused: BTreeMap<Reason, u64>,
    pub(super) problems: Vec<String>,
}

/// An endpoint of the policy that has to show a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Peer {
    pub(super) endpoint: String,
    pub(super) number: u32,
    pub(super) role: String,
    pub(super) identity: Identity,
    pub(super) addresses: Vec<IpNet>,
    pub(super) sessions: Sessions,
}

/// A lease of a session.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) peer: Peer,
    pub(super) holder: Holder,
    pub(super) claim: Claim,
    pub(super) since: Timestamp,
    pub(super) renewed: Instant,
}

/// A lease of an earlier agent's session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherited {
    pub(super) number: u32,
    pub(super) address: IpAddr,
    pub(super) origin: Origin,
    pub(super) ends: Instant,
}

impl State {
    pub(super) fn new(table: LeaseTable) -> Self {
        Self {
            table,
            peers: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            held: HashMap::new(),
            inherited: Vec::new(),
            barred: BTreeMap::new(),
            links: BTreeMap::new(),
            refused: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// The sessions of the leases that are `wanted`.
    pub(super) fn sessions(&self, wanted: impl Fn(&Self, &Held) -> bool) -> Vec<SessionId> {
        let found = self.held.iter().filter(|(_, held)| wanted(self, held));
        found.map(|(&session, _)| session).collect()
    }

    pub(super) fn peer_numbered(&self, number: u32) -> Option<&Peer> {
        self.every_peer().find(|peer| peer.number == number)
    }

    /// The endpoints of both policies, those of the one in force first.
    pub(super) fn every_peer(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().chain(self.confirmed.values())
    }

    /// The endpoints that may prove `identity`, that of the policy in force first.
    pub(super) fn known_as(&self, identity: &Identity) -> impl Iterator<Item = &Peer> {
        let generations = [&self.peers, &self.confirmed];
        generations
            .into_iter()
            .filter_map(|peers| peers.get(identity))
    }

    /// Has the leases tell the roles that their endpoints have now.
    pub(super) fn follow_roles(&mut self) {
        for held in self.held.values_mut() {
            let identity = &held.peer.identity;
            let mut peers = [&self.peers, &self.confirmed]
                .into_iter()
                .filter_map(|peers| peers.get(identity));
            if let Some(peer) = peers.find(|peer| peer.number == held.holder.id) {
                held.peer = peer.clone();
            }
        }
    }

    /// The other addresses of the family of `address` at which the endpoint `number` holds a lease.
    pub(super) fn addresses_beside(&self, number: u32, address: IpAddr) -> BTreeSet<IpAddr> {
        let now = Instant::now();
        let held = self.held.values().map(|held| &held.holder);
        let held = held.filter(|holder| holder.id == number);
        let inherited = self.inherited.iter();
        let inherited = inherited.filter(|lease| lease.number == number && lease.ends > now);
        held.map(|holder| holder.address)
            .chain(inherited.map(|lease| lease.address))
            .filter(|&other| is_beside(other, address))
            .collect()
    }

    /// Forgets the lease of `session`, and ends it unless another session of the endpoint has taken
    /// it over.
    pub(super) fn drop_lease(&mut self, session: SessionId) {
        let Some(Held { holder, peer, .. }) = self.held.remove(&session) else {
            return;
        };
        let another = self
            .held
            .values()
            .any(|other| other.holder.id == holder.id && other.holder.address == holder.address);
        if !another {
            self.end(&peer.endpoint, holder.id, holder.address);
        }
    }

    /// Ends the inherited leases that are `wanted`, and forgets those that are over.
    pub(super) fn drop_inherited(&mut self, wanted: impl Fn(&Self, &Inherited) -> bool) {
        let now = Instant::now();
        let (gone, kept): (Vec<Inherited>, Vec<Inherited>) = std::mem::take(&mut self.inherited)
            .into_iter()
            .partition(|lease| lease.ends <= now || wanted(self, lease));
        self.inherited = kept;
        for lease in gone {
            self.end("of an earlier agent", lease.number, lease.address);
        }
    }

    fn end(&mut self, endpoint: &str, number: u32, address: IpAddr) {
        if let Err(error) = self.table.end(number, address) {
            error!(%error, endpoint, %address, "a lease cannot be ended; it runs out");
        }
    }

    /// The leases in force, by endpoint and address. Where several sessions hold one, as while a
    /// certificate is changed, the last to begin tells of it.
    pub(super) fn leases(&self, term: Duration) -> Vec<Lease> {
        let mut latest: BTreeMap<(u32, IpAddr), &Held> = BTreeMap::new();
        for held in self.held.values() {
            let place = (held.holder.id, held.holder.address);
            let known = latest.entry(place).or_insert(held);
            if known.since < held.since {
                *known = held;
            }
        }
        let held = latest.into_values().map(|held| held.lease(term));
        let now = Instant::now();
        let inherited = self.inherited.iter().filter(|lease| lease.ends > now);
        let inherited = inherited.filter_map(|lease| {
            let peer = self.peer_numbered(lease.number)?;
            Some(lease.lease(peer, now))
        });
        let mut leases: Vec<Lease> = held.chain(inherited).collect();
        leases.sort_by(|a, b| (&a.endpoint, &a.address).cmp(&(&b.endpoint, &b.address)));
        leases
    }
}

impl Held {
    fn lease(&self, term: Duration) -> Lease {
        let left = term.saturating_sub(self.renewed.elapsed());
        let certificate = &self.claim.certificate;
        Lease {
            session: Some(Session {
                since: self.since,
                serial: certificate.serial.clone(),
                not_after: certificate.not_after,
            }),
            ..lease(&self.peer, self.holder.address, self.holder.origin, left)
        }
    }
}

impl Inherited {
    fn lease(&self, peer: &Peer, now: Instant) -> Lease {
        let left = self.ends.saturating_duration_since(now);
        lease(peer, self.address, self.origin, left)
    }
}

/// A lease without what only its session tells.
fn lease(peer: &Peer, address: IpAddr, origin: Origin, left: Duration) -> Lease {
    Lease {
        endpoint: peer.endpoint.clone(),
        role: peer.role.clone(),
        identity: peer.identity.clone(),
        address,
        origin,
        left,
        session: None,
    }
}

pub(super) fn covers(addresses: &[IpNet], address: IpAddr) -> bool {
    addresses.iter().any(|net| net.contains(&address))
}

/// Whether both are addresses of one family, and not the same.
pub(super) fn is_beside(other: IpAddr, address: IpAddr) -> bool {
    other != address && other.is_ipv4() == address.is_ipv4()
}

/// The interfaces beside that of `origin` on which its packets may come in, by the `links`.
pub(super) fn beside(links: &BTreeMap<u32, Vec<u32>>, origin: Origin) -> Vec<u32> {
    links.get(&origin.ifindex()).cloned().unwrap_or_default()
}
