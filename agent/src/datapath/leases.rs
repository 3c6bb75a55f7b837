//! The lease table, which the agent writes and the programs read.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use aya::maps::{Array, MapData};
use verdict::{
    frame::{
        address::{Family, Ipv4},
        origin::Origin,
        transport::IpProtocol,
    },
    state::{
        flow::key::CONNECTION,
        lease::{self, Lease},
        sessions,
        sets::WAYS,
    },
};

use super::{
    LoadError, Pins,
    clock::LeaseClock,
    error::map_failed,
    flow_control,
    flows::{self, FlowError, OnDemand, Snapshot},
    maps::{LineValue, name},
    pinned::array,
};
use crate::image::{Image, ipv6};

/// The pinned lease table, open for writing. There must be only one writer.
pub struct LeaseTable {
    map: Array<MapData, LineValue>,
    seed: u64,
    clock: LeaseClock,
    proofs: Snapshot<OnDemand>,
    /// Beside other words, those about sessions of enrolment.
    sessions: Array<MapData, u64>,
    /// Where a candidate has its own words about them.
    shadow: Pins,
}

/// Who a lease is given to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// Number of the endpoint.
    pub id: u32,
    /// Its address.
    pub address: IpAddr,
    /// The MAC address, VLAN and interface that the proof came from.
    pub origin: Origin,
    /// The other interfaces of the same bond.
    pub beside: Vec<u32>,
}

/// A lease that is in the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// Number of the endpoint.
    pub id: u32,
    /// Its address.
    pub address: IpAddr,
    /// The MAC address, VLAN and interface that the proof came from.
    pub origin: Origin,
    /// Time until it expires; zero if it has expired.
    pub left: Duration,
}

impl LeaseTable {
    /// Opens the table pinned under `pins`.
    pub fn open(pins: &Pins) -> Result<Self, FlowError> {
        let control = flow_control::read(pins)?;
        Ok(Self {
            map: array(pins, name::LEASES)?,
            seed: control.seed,
            clock: LeaseClock::of(&control),
            proofs: Snapshot::open(pins)?,
            sessions: array(pins, name::LIMITS)?,
            shadow: pins.of_shadow(),
        })
    }

    /// Gives the programs a new key of the marks in the tokens of enrolment, which is returned.
    ///
    /// # Errors
    ///
    /// No random numbers, or a map that cannot be written.
    pub fn renew_mark(&mut self) -> Result<[u64; 2], LoadError> {
        let mut key = [0; 2];
        for (index, word) in (sessions::KEY..).zip(&mut key) {
            *word = getrandom::u64().map_err(LoadError::Seed)?;
            let set = self.sessions.set(index, *word, 0);
            set.map_err(map_failed(name::LIMITS))?;
        }
        Ok(key)
    }

    /// How many datagrams at the port of enrolment the programs have refused as too many, or as none that begins
    /// a handshake, about.
    ///
    /// # Errors
    ///
    /// A map that cannot be read.
    pub fn flooded(&self) -> Result<u64, LoadError> {
        let refused = self.sessions.get(&sessions::REFUSED, 0);
        refused.map_err(map_failed(name::LIMITS))
    }

    /// Gives `holder` a lease for `term` from now, or renews it. Returns `false` if the table has
    /// no free entry for it.
    pub fn give(&mut self, holder: &Holder, term: Duration) -> Result<bool, FlowError> {
        let now = self.clock.at(flows::monotonic()?);
        let until = now + self.clock.steps(term);
        let words = words(holder, until);
        let mut free = None;
        for index in self.indexes(holder.id, holder.address) {
            let there = self.get(index)?;
            let lease = Lease::from_words(there.0);
            if is(&lease, holder.id, holder.address) {
                // Emptied first if more than the expiry changes, so that no program reads half of
                // each.
                if there.0[3..] != words[3..] {
                    self.set(index, LineValue::default())?;
                }
                self.set(index, LineValue(words))?;
                return Ok(true);
            }
            if free.is_none() && (lease.is_empty() || lease.is_over(now)) {
                free = Some(index);
            }
        }
        let Some(index) = free else {
            return Ok(false);
        };
        self.set(index, LineValue::default())?;
        self.set(index, LineValue(words))?;
        Ok(true)
    }

    /// Ends the lease of the endpoint `id` at `address`, if there is one.
    pub fn end(&mut self, id: u32, address: IpAddr) -> Result<(), LoadError> {
        for index in self.indexes(id, address) {
            let lease = Lease::from_words(self.get(index)?.0);
            if is(&lease, id, address) {
                self.set(index, LineValue::default())?;
            }
        }
        Ok(())
    }

    /// All leases. Reads the whole table, so call it seldom.
    pub fn list(&self) -> Result<Vec<Found>, FlowError> {
        let now = self.clock.at(flows::monotonic()?);
        let mut found = Vec::new();
        for value in self.map.iter() {
            let lease = Lease::from_words(value.map_err(map_failed(name::LEASES))?.0);
            if lease.is_empty() {
                continue;
            }
            let left = self.clock.duration(lease.until().saturating_sub(now));
            found.push(Found {
                id: lease.endpoint(),
                address: address(&lease),
                origin: lease.origin(),
                left,
            });
        }
        Ok(found)
    }

    /// The MAC address, VLAN and interface that the enrolment datagrams between these two ports
    /// came from, as the programs recorded them; `None` if they saw none. They note that the session has
    /// proven who it is, so that it makes no room for others, and outlives so many seconds of `silence`.
    pub fn origin(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        silence: u32,
    ) -> Result<Option<Origin>, FlowError> {
        let Some(key) = flows::key(CONNECTION, IpProtocol::UDP.0, local, remote) else {
            return Ok(None);
        };
        self.proofs.refresh()?;
        let hash = key.hash(self.seed);
        let proven = note_proven(&self.proofs, &mut self.sessions, hash, silence)?;
        // A candidate may begin and end at any time, and is told as far as it is there.
        if self.shadow.exist()
            && let Ok(proofs) = Snapshot::open(&self.shadow)
            && let Ok(mut words) = array(&self.shadow, name::LIMITS)
        {
            let _ = note_proven(&proofs, &mut words, hash, silence);
        }
        Ok(proven)
    }

    /// The indexes at which the lease may be stored, in the order in which they are tried.
    fn indexes(&self, id: u32, address: IpAddr) -> impl Iterator<Item = u32> + use<> {
        let (own, hash) = match address.to_canonical() {
            IpAddr::V4(v4) => own_index_and_hash(Ipv4(v4.to_bits()), id, self.seed),
            IpAddr::V6(v6) => own_index_and_hash(ipv6(v6.to_bits()), id, self.seed),
        };
        let shared = (0..2 * WAYS).map(move |step| lease::shared_index(hash, step));
        std::iter::once(own).chain(shared)
    }

    fn get(&self, index: u32) -> Result<LineValue, LoadError> {
        self.map.get(&index, 0).map_err(map_failed(name::LEASES))
    }

    fn set(&mut self, index: u32, value: LineValue) -> Result<(), LoadError> {
        self.map
            .set(index, value, 0)
            .map_err(map_failed(name::LEASES))
    }
}

/// Notes among `words`, which are those of `proofs`, that the session with this `hash` has proven who it is.
/// Where its first datagram came from; `None` if there is no such session.
fn note_proven(
    proofs: &Snapshot<OnDemand>,
    words: &mut Array<MapData, u64>,
    hash: u64,
    silence: u32,
) -> Result<Option<Origin>, LoadError> {
    let nothing = Image::empty();
    let Some((origin, index, word)) = sessions::proven(&proofs.by(&nothing), hash, silence) else {
        return Ok(None);
    };
    words
        .set(index, word, 0)
        .map_err(map_failed(name::LIMITS))?;
    Ok(Some(origin))
}

/// The index reserved for the endpoint, and the hash that the shared indexes are derived from.
fn own_index_and_hash<A: Family>(address: A, id: u32, seed: u64) -> (u32, u64) {
    (lease::own_index::<A>(id), lease::hash(address, seed))
}

/// [`Lease::words`] for an address of either family.
fn words(holder: &Holder, until: u64) -> [u64; 8] {
    let Holder {
        id, origin, beside, ..
    } = holder;
    match holder.address.to_canonical() {
        IpAddr::V4(v4) => Lease::words(Ipv4(v4.to_bits()), *id, *origin, beside, until),
        IpAddr::V6(v6) => Lease::words(ipv6(v6.to_bits()), *id, *origin, beside, until),
    }
}

/// [`Lease::is`] for an address of either family.
fn is(lease: &Lease, id: u32, address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => lease.is(id, Ipv4(v4.to_bits())),
        IpAddr::V6(v6) => lease.is(id, ipv6(v6.to_bits())),
    }
}

fn address(lease: &Lease) -> IpAddr {
    let ([high, low], is_ipv6) = lease.address();
    if is_ipv6 {
        Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
    } else {
        Ipv4Addr::from_bits(low as u32).into()
    }
}
