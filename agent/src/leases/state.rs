//! What is known of leases at one moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use ipnet::IpNet;
use jiff::Timestamp;
use pem::Pem;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tracing::error;
use verdict::frame::origin::Origin;

use super::{Lease, flood::Flood};
use crate::{
    datapath::{
        flows::FlowError,
        leases::{Found, Holder, LeaseTable},
    },
    enrolment::{Certificate, Claim, Facts, Identity, Reason, Refusal, SessionId},
    policy::{Sessions, protocol::Mac},
    store::{
        StoreError,
        leases::{Bar, LeaseRecord, LeaseStore},
    },
};

pub(super) struct State {
    pub(super) table: LeaseTable,
    /// Who may prove which identity.
    pub(super) peers: BTreeMap<Identity, Peer>,
    /// Who may by the policy to go back to, while another is on trial.
    pub(super) confirmed: BTreeMap<Identity, Peer>,
    /// Leases by session.
    pub(super) held: HashMap<SessionId, Held>,
    /// The latest session of each endpoint at each address: its place alone is written.
    owners: HashMap<(u32, IpAddr), SessionId>,
    /// Leases that an earlier agent gave, whose endpoints are yet to come back.
    pub(super) inherited: Vec<Inherited>,
    /// Whose leases were revoked, and until when they get no other: `None` is for good.
    pub(super) barred: BTreeMap<Identity, Option<Timestamp>>,
    /// What the next agent has to know.
    pub(super) store: LeaseStore,
    /// Why leases are not recorded, if they are not.
    pub(super) unrecorded: Option<String>,
    /// For each interface of a link of several, the others.
    pub(super) links: BTreeMap<u32, Vec<u32>>,
    pub(super) refused: BTreeMap<Reason, u64>,
    pub(super) problems: Vec<String>,
    pub(super) flood: Flood,
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
    /// Whether a router lies between.
    pub(super) routed: bool,
    /// Seconds of silence that the programs remember a session for.
    pub(super) silence: u32,
}

/// A lease of a session.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) peer: Peer,
    pub(super) holder: Holder,
    pub(super) claim: Claim,
    pub(super) since: Timestamp,
    /// When the lease ends unless it is renewed.
    pub(super) ends: Instant,
}

/// A lease of an earlier agent's session.
#[derive(Clone, Debug)]
pub(super) struct Inherited {
    pub(super) number: u32,
    pub(super) address: IpAddr,
    pub(super) origin: Origin,
    pub(super) ends: Instant,
    /// What was proven.
    pub(super) identity: Identity,
    pub(super) since: Timestamp,
    pub(super) certificate: Facts,
    pub(super) chain: Arc<[CertificateDer<'static>]>,
    /// Whether this agent has verified the chain.
    pub(super) verified: bool,
}

impl Peer {
    /// Whether what `claim` states of the endpoint's place agrees with the `origin` of its datagrams.
    ///
    /// # Errors
    ///
    /// [`Reason::Translated`] and [`Reason::Relayed`].
    pub(super) fn accepts(&self, claim: &Claim, origin: Origin) -> Result<(), Refusal> {
        let (from, stated) = (claim.remote.ip().to_canonical(), claim.stated);
        if stated.address.to_canonical() != from {
            let sentence = format!(
                "the endpoint sends from {}, and its datagrams come from {from}: something between \
                 translates addresses. Let it reach the host without",
                stated.address
            );
            return Err(Refusal::new(Reason::Translated, sentence));
        }
        let seen = Mac::from_word(origin.mac);
        match stated.mac.map(Mac) {
            _ if self.routed => Ok(()),
            Some(mac) if mac.0 == seen.0 => Ok(()),
            stated => {
                let stated =
                    stated.map_or_else(|| "no MAC address".to_owned(), |it| it.to_string());
                let sentence = format!(
                    "the endpoint sends from {stated}, and its frames come from {seen}: somebody \
                     relays them. If that is a router, write `routed: true` at endpoint {}",
                    self.endpoint
                );
                Err(Refusal::new(Reason::Relayed, sentence))
            }
        }
    }
}

impl State {
    pub(super) fn new(table: LeaseTable, store: LeaseStore) -> Self {
        Self {
            table,
            store,
            unrecorded: None,
            owners: HashMap::new(),
            peers: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            held: HashMap::new(),
            inherited: Vec::new(),
            barred: BTreeMap::new(),
            links: BTreeMap::new(),
            refused: BTreeMap::new(),
            problems: Vec::new(),
            flood: Flood::default(),
        }
    }

    /// The sessions of the leases that are `wanted`.
    pub(super) fn sessions(&self, wanted: impl Fn(&Self, &Held) -> bool) -> Vec<SessionId> {
        let found = self.held.iter().filter(|(_, held)| wanted(self, held));
        found.map(|(&session, _)| session).collect()
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

    /// Notes that `session` holds the lease of `held` from now on.
    pub(super) fn hold(&mut self, session: SessionId, held: Held) {
        let place = held.place();
        self.inherited.retain(|lease| lease.place() != place);
        self.owners.insert(place, session);
        self.held.insert(session, held);
    }

    /// Whether no later session of its endpoint holds a lease at the address of `session`. Where the
    /// endpoint has moved to another MAC address, one that is yet to end must not write the old one.
    pub(super) fn is_latest(&self, session: SessionId) -> bool {
        let held = self.held.get(&session);
        held.is_some_and(|held| self.owners.get(&held.place()) == Some(&session))
    }

    /// Writes the lease of `session` to the table, to end at `ends`. Whether there was room for it.
    pub(super) fn write(&mut self, session: SessionId, ends: Instant) -> Result<bool, FlowError> {
        let Some(held) = self.held.get_mut(&session) else {
            return Ok(true);
        };
        let left = ends.saturating_duration_since(Instant::now());
        let given = self.table.give(&held.holder, left)?;
        if given {
            held.ends = ends;
        }
        Ok(given)
    }

    /// Forgets the lease of `session`, and ends it unless an earlier session of the endpoint goes on:
    /// then it is that one's.
    pub(super) fn drop_lease(&mut self, session: SessionId) {
        let was_latest = self.is_latest(session);
        let Some(held) = self.held.remove(&session) else {
            return;
        };
        if !was_latest {
            return;
        }
        let place = held.place();
        self.owners.remove(&place);
        let earlier = self.held.iter().filter(|(_, other)| other.place() == place);
        let Some((&latest, ends)) = earlier
            .map(|(session, other)| (session, other.ends))
            .max_by_key(|(session, _)| **session)
        else {
            self.end(&held.peer.endpoint, held.holder.id, held.holder.address);
            return;
        };
        self.owners.insert(place, latest);
        if let Err(error) = self.write(latest, ends) {
            error!(%error, endpoint = held.peer.endpoint, "a lease cannot be written");
        }
    }

    /// Records `held` for the next agent. A lease without a record ends with this one.
    pub(super) fn record(&mut self, held: &Held) {
        let live = || {
            let held = self.held.values().map(Held::record);
            held.chain(self.inherited.iter().map(Inherited::record))
                .collect()
        };
        let count = self.held.len() + self.inherited.len();
        let recorded = self.store.add(&held.record(), count, live);
        if let (Err(error), None) = (&recorded, &self.unrecorded) {
            error!(%error, "leases cannot be recorded; they end when the agent is restarted");
        }
        self.unrecorded = recorded.err().map(|error| error.to_string());
    }

    /// Keeps who is barred.
    pub(super) fn keep_bars(&mut self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        self.barred
            .retain(|_, until| until.is_none_or(|until| until > now));
        let bars: Vec<Bar> = self
            .barred
            .iter()
            .map(|(identity, &until)| Bar {
                identity: identity.to_string(),
                until,
            })
            .collect();
        self.store.set_bars(&bars)
    }

    /// Whether one with this identity gets no lease now.
    pub(super) fn is_barred(&self, identity: &Identity) -> bool {
        let bar = self.barred.get(identity);
        bar.is_some_and(|until| until.is_none_or(|until| until > Timestamp::now()))
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

    pub(super) fn end(&mut self, endpoint: &str, number: u32, address: IpAddr) {
        if let Err(error) = self.table.end(number, address) {
            error!(%error, endpoint, %address, "a lease cannot be ended; it runs out");
        }
    }

    /// The leases in force, by endpoint and address. Where several sessions hold one, as while a
    /// certificate is changed, the last to begin tells of it. Those of an earlier agent are told of once
    /// they are verified.
    pub(super) fn leases(&self) -> Vec<Lease> {
        let now = Instant::now();
        let held = self.owners.values();
        let held = held.filter_map(|session| Some(self.held.get(session)?.lease(now)));
        let inherited = self.inherited.iter();
        let inherited = inherited.filter(|lease| lease.ends > now && lease.verified);
        let inherited = inherited.filter_map(|lease| {
            let peer = self.known_as(&lease.identity).find(|peer| {
                peer.number == lease.number && covers(&peer.addresses, lease.address)
            })?;
            Some(lease.lease(peer, now))
        });
        let mut leases: Vec<Lease> = held.chain(inherited).collect();
        leases.sort_by(|a, b| (&a.endpoint, &a.address).cmp(&(&b.endpoint, &b.address)));
        leases
    }
}

impl Held {
    /// Whose lease it is, and at which address.
    fn place(&self) -> (u32, IpAddr) {
        (self.holder.id, self.holder.address)
    }

    fn record(&self) -> LeaseRecord {
        LeaseRecord {
            number: self.holder.id,
            address: self.holder.address,
            mac: self.holder.origin.mac,
            link: self.holder.origin.link,
            identity: self.peer.identity.to_string(),
            since: self.since,
            chain: to_pem(&self.claim.chain),
        }
    }

    fn lease(&self, now: Instant) -> Lease {
        Lease {
            endpoint: self.peer.endpoint.clone(),
            role: self.peer.role.clone(),
            identity: self.peer.identity.clone(),
            address: self.holder.address,
            origin: self.holder.origin,
            routed: self.peer.routed,
            left: self.ends.saturating_duration_since(now),
            since: self.since,
            certificate: self.claim.certificate.clone(),
            lives: true,
        }
    }
}

impl Inherited {
    /// The lease that was `found` in the kernel, if `record` is about it.
    pub(super) fn new(found: &Found, record: &LeaseRecord) -> Option<Self> {
        let origin = Origin {
            mac: record.mac,
            link: record.link,
        };
        if origin != found.origin {
            return None;
        }
        let chain = CertificateDer::pem_slice_iter(record.chain.as_bytes());
        let chain: Vec<_> = chain.collect::<Result<_, _>>().ok()?;
        let leaf = Certificate::read(chain.first()?).ok()?;
        let identity = Identity::parse(&record.identity)?;
        leaf.identities.contains(&identity).then(|| Self {
            number: found.id,
            address: found.address,
            origin,
            ends: Instant::now() + found.left,
            identity,
            since: record.since,
            certificate: leaf.facts,
            chain: chain.into(),
            verified: false,
        })
    }

    /// Whose lease it is, and at which address.
    pub(super) fn place(&self) -> (u32, IpAddr) {
        (self.number, self.address)
    }

    fn record(&self) -> LeaseRecord {
        LeaseRecord {
            number: self.number,
            address: self.address,
            mac: self.origin.mac,
            link: self.origin.link,
            identity: self.identity.to_string(),
            since: self.since,
            chain: to_pem(&self.chain),
        }
    }

    fn lease(&self, peer: &Peer, now: Instant) -> Lease {
        Lease {
            endpoint: peer.endpoint.clone(),
            role: peer.role.clone(),
            identity: self.identity.clone(),
            address: self.address,
            origin: self.origin,
            routed: peer.routed,
            left: self.ends.saturating_duration_since(now),
            since: self.since,
            certificate: self.certificate.clone(),
            lives: false,
        }
    }
}

/// A chain of certificates in PEM form.
fn to_pem(chain: &[CertificateDer<'_>]) -> String {
    let blocks = chain
        .iter()
        .map(|der| Pem::new("CERTIFICATE", der.to_vec()));
    pem::encode_many(&blocks.collect::<Vec<_>>())
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
