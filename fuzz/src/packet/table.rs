//! What changes while a policy is in force: flows, leases and limits, in memory and small.

use std::net::IpAddr;

use manoward::image::Image;
use verdict::{
    address::{Family, Ipv4, Ipv6},
    enrolment::{self, Limit},
    flow::{
        Entry, Flow, Flows, Key,
        entry::ticks,
        table::{self, WAYS},
    },
    lease::{self, Lease, Leases, Origin},
};

/// Sets of flows: few, so that places become scarce.
const SETS: u32 = 4;
/// Seconds that a lease lasts.
const LASTS: u32 = 15;
/// When the first frame is judged, seconds.
const BEGINNING: u32 = 1000;
const SEED: u64 = 0x0123_4567_89ab_cdef;

/// Places for all of it.
pub struct Table<'a> {
    /// The tick of now.
    pub now: u32,
    image: &'a Image,
    places: Vec<Entry>,
    /// Places for leases that are taken.
    leases: Vec<(u32, Lease)>,
    /// A place for a lease that is not.
    free: Lease,
    limits: Vec<Limit>,
    adopting: bool,
}

impl<'a> Table<'a> {
    /// Empty places by `image`.
    pub fn new(image: &'a Image, adopting: bool) -> Self {
        Self {
            now: ticks(BEGINNING),
            image,
            places: (0..SETS * WAYS).map(|_| Entry::default()).collect(),
            leases: Vec::new(),
            free: Lease::default(),
            limits: (0..enrolment::LIMITS).map(|_| Limit::default()).collect(),
            adopting,
        }
    }

    /// Every flow, fragments included.
    pub fn flows(&self) -> Vec<Option<Flow>> {
        self.places.iter().map(Entry::read).collect()
    }

    /// Gives the endpoint `id` a lease at `address` from `origin`.
    pub fn grant(&mut self, address: IpAddr, id: u32, origin: Origin) {
        match address {
            IpAddr::V4(v4) => self.give(Ipv4(v4.to_bits()), id, origin),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                let address = Ipv6 {
                    high: (bits >> 64) as u64,
                    low: bits as u64,
                };
                self.give(address, id, origin);
            }
        }
    }

    fn give<A: Family>(&mut self, address: A, id: u32, origin: Origin) {
        let until = u64::from(self.now) + u64::from(ticks(LASTS));
        let hash = lease::hash(address, SEED);
        let shared = (0..2 * WAYS).map(|step| lease::shared_place(hash, step));
        let mut places = [lease::own_place::<A>(id)].into_iter().chain(shared);
        let free = places.find(|place| self.leases.iter().all(|(taken, _)| taken != place));
        if let Some(place) = free {
            let lease = Lease::from_words(Lease::words(address, id, origin, &[], until));
            self.leases.push((place, lease));
        }
    }
}

impl Leases for Table<'_> {
    fn lease(&self, index: u32) -> Option<&Lease> {
        let taken = self.leases.iter().find(|(place, _)| *place == index);
        Some(taken.map_or(&self.free, |(_, lease)| lease))
    }

    fn clock(&self) -> u64 {
        self.now.into()
    }

    fn search_lease_ipv4(&self, address: Ipv4) -> u32 {
        lease::search(self, address)
    }

    fn search_lease_ipv6(&self, address: Ipv6) -> u32 {
        lease::search(self, address)
    }
}

impl Flows for Table<'_> {
    fn limit(&self, index: u32) -> Option<&Limit> {
        self.limits.get(index as usize)
    }

    fn entry(&self, index: u32) -> Option<&Entry> {
        self.places.get(index as usize)
    }

    fn mask(&self) -> u32 {
        SETS - 1
    }

    fn seed(&self) -> u64 {
        SEED
    }

    fn now(&self) -> u32 {
        self.now
    }

    fn adopting(&self) -> bool {
        self.adopting
    }

    fn shown(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn search(&self, key: &Key) -> u32 {
        table::search(self, key)
    }

    fn choose(&self, hash: u64, kind: u8) -> u32 {
        table::choose(self, self.image, hash, kind)
    }
}
