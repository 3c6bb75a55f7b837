//! State beside a policy: flows, leases and limits, in small tables in memory.

use std::net::IpAddr;

use manoward::image::Image;
use verdict::{
    decision::WORDS,
    frame::{
        address::{Family, Ipv4, Ipv6},
        origin::Origin,
    },
    host::{Remembered, Storage},
    state::{
        clock::ticks,
        flow::{Flow, Set, Slot},
        lease::{self, Lease},
        limit::Limit,
        served,
        sets::WAYS,
    },
};

/// Sets of flows: few, so that room becomes scarce.
const SETS: u32 = 4;
/// Lifetime of a lease, seconds.
const LEASE_SECONDS: u32 = 15;
/// When the first frame is judged, seconds.
const BEGINNING: u32 = 1000;
const SEED: u64 = 0x0123_4567_89ab_cdef;

/// The state, with the image of a policy.
pub type Table<'a> = Remembered<Memory, &'a Image>;

/// Flows, leases and limits in memory.
pub struct Memory {
    flows: Vec<Set>,
    /// Entries for leases that are taken, by index.
    leases: Vec<(u32, Lease)>,
    /// An entry for a lease that is not taken.
    free: Lease,
    limits: Vec<Limit>,
    served: Vec<served::Set>,
}

impl Storage for Memory {
    fn set(&self, index: u32) -> Option<&Set> {
        self.flows.get(index as usize)
    }

    fn sets(&self) -> u32 {
        self.flows.len() as u32
    }

    fn lease(&self, index: u32) -> Option<&Lease> {
        let taken = self.leases.iter().find(|(taken, _)| *taken == index);
        Some(taken.map_or(&self.free, |(_, lease)| lease))
    }

    fn limit(&self, index: u32) -> Option<&Limit> {
        self.limits.get(index as usize)
    }

    fn served(&self, index: u32) -> Option<&served::Set> {
        self.served.get(index as usize)
    }
}

impl Memory {
    /// Every flow, fragments included.
    pub fn flows(&self) -> Vec<Option<Flow>> {
        let places = self
            .flows
            .iter()
            .flat_map(|set| (0..WAYS).map(|way| set.slot(way)));
        places.map(Slot::read).collect()
    }
}

/// A table without flows, leases and spent limits.
pub fn empty(image: &Image, adopting: bool) -> Table<'_> {
    let now = ticks(BEGINNING);
    Table {
        storage: Memory {
            flows: (0..SETS).map(|_| Set::default()).collect(),
            leases: Vec::new(),
            free: Lease::default(),
            limits: (0..WORDS).map(|_| Limit::default()).collect(),
            served: (0..SETS / 2).map(|_| served::Set::default()).collect(),
        },
        tables: image,
        seed: SEED,
        now,
        clock: now.into(),
        adopting,
        shown: false,
        groups_at_sockets: false,
        writable: true,
    }
}

/// Moves the clocks of `table` on by so many ticks.
pub fn wait(table: &mut Table<'_>, ticks: u32) {
    table.now = table.now.wrapping_add(ticks);
    table.clock = table.now.into();
}

/// Gives the endpoint `id` a lease at `address` from `origin`.
pub fn grant(table: &mut Table<'_>, address: IpAddr, id: u32, origin: Origin) {
    match address {
        IpAddr::V4(v4) => give(table, Ipv4(v4.to_bits()), id, origin),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let address = Ipv6 {
                high: (bits >> 64) as u64,
                low: bits as u64,
            };
            give(table, address, id, origin);
        }
    }
}

fn give<A: Family>(table: &mut Table<'_>, address: A, id: u32, origin: Origin) {
    let until = u64::from(table.now) + u64::from(ticks(LEASE_SECONDS));
    let hash = lease::hash(address, SEED);
    let shared = (0..2 * WAYS).map(|step| lease::shared_index(hash, step));
    let mut indexes = [lease::own_index::<A>(id)].into_iter().chain(shared);
    let leases = &mut table.storage.leases;
    let free = indexes.find(|index| leases.iter().all(|(taken, _)| taken != index));
    if let Some(index) = free {
        let lease = Lease::from_words(Lease::words(address, id, origin, &[], until));
        leases.push((index, lease));
    }
}
