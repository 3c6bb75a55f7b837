//! Leases: proof in force that an endpoint is who it says, from where it proved it.
//!
//! The agent gives and ends leases. Each has an end of its own that the programs keep, so that those
//! of an agent that died run out.

use core::cell::Cell;

use crate::{
    counters::ENDPOINTS,
    frame::{
        address::{Family, Ipv4, Ipv6, family},
        ethernet::Frame,
        origin::Origin,
        packet::Packet,
    },
    hash::{MIX, finish},
    reason::Reason,
    state::sets::{self, NOWHERE, WAYS},
};

/// Entries that belong to endpoints: one for each number and family of addresses.
const OWN: u32 = 2 * ENDPOINTS;

/// Entries for what finds its endpoint's own one taken, in sets of [`WAYS`].
pub const SHARED: u32 = 1 << 12;

/// Sets of shared entries, less one.
const MASK: u32 = SHARED / WAYS - 1;

/// Entries of the table, the shared ones last: 8.25 MiB.
pub const ENTRIES: u32 = OWN + SHARED;

/// Interfaces that a lease holds on: those of one link, as the ports of a bond are.
pub const PORTS: usize = 7;

/// A lease as the table holds it: one cache line.
///
/// Words 0 and 1: source address (two words of IPv6, or IPv4 in the second). Word 2: number of the
/// endpoint in bits 0 to 15, time at which the lease ends by [`Leases::clock`] in bits 16 to 63.
/// Word 3: MAC address in bits 0 to 47, IPv6 in bit 48, given in bit 49. Word 4: VLAN tags (lower half) and the interface that the
/// proof came in on. Words 5 to 7: the other interfaces of that link, two in each, and zeros. All
/// zeros is an empty entry.
///
/// The agent alone writes. It empties an entry before it gives it to another address, and then word
/// 3 comes last of those that decide; a renewal changes word 2 alone.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Lease([Cell<u64>; 8]);

const _: () = assert!(size_of::<Lease>() == 64);

/// Bits of word 2 below the end of the lease.
const ID_BITS: u32 = 16;

const _: () = assert!(ENDPOINTS <= 1 << ID_BITS);

const MAC: u64 = (1 << 48) - 1;
const IPV6: u64 = 1 << 48;
const GIVEN: u64 = 1 << 49;

/// The bits of word 3 beside the MAC address.
#[inline(always)]
const fn marks<A: Family>() -> u64 {
    if A::BITS == 128 { IPV6 | GIVEN } else { GIVEN }
}

impl Lease {
    /// The lease of endpoint `id` at `address`, from `origin`, until the time `until`, as words. It
    /// holds on the interfaces `beside` that of the origin, too, [`PORTS`] in all.
    #[must_use]
    pub fn words<A: Family>(
        address: A,
        id: u32,
        origin: Origin,
        beside: &[u32],
        until: u64,
    ) -> [u64; 8] {
        let [high, low] = address.to_words();
        let term = until << ID_BITS | u64::from(id);
        let mac = origin.mac & MAC | marks::<A>();
        let mut words = [high, low, term, mac, origin.link, 0, 0, 0];
        for (at, &port) in beside.iter().take(PORTS - 1).enumerate() {
            words[5 + at / 2] |= u64::from(port) << (32 * (at % 2));
        }
        words
    }

    /// The entry with these words.
    #[must_use]
    pub fn from_words(words: [u64; 8]) -> Self {
        Self(words.map(Cell::new))
    }

    #[inline(always)]
    fn get(&self, word: usize) -> u64 {
        self.0[word].get()
    }

    /// Whether nothing is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.get(3) == 0
    }

    /// Whether this is a lease of the endpoint `id` at `address`.
    #[inline(always)]
    #[must_use]
    pub fn is<A: Family>(&self, id: u32, address: A) -> bool {
        self.endpoint() == id && self.is_at(address)
    }

    /// Whether this is a lease at `address`.
    #[inline(always)]
    #[must_use]
    pub fn is_at<A: Family>(&self, address: A) -> bool {
        let [high, low] = address.to_words();
        let other = (self.get(0) ^ high) | (self.get(1) ^ low);
        other | ((self.get(3) & !MAC) ^ marks::<A>()) == 0
    }

    /// The two words of the address, and whether it is one of IPv6.
    #[must_use]
    pub fn address(&self) -> ([u64; 2], bool) {
        ([self.get(0), self.get(1)], self.get(3) & IPV6 != 0)
    }

    /// Number of the endpoint.
    #[inline(always)]
    #[must_use]
    pub fn endpoint(&self) -> u32 {
        self.get(2) as u32 & ((1 << ID_BITS) - 1)
    }

    /// The time at which it ends.
    #[inline(always)]
    #[must_use]
    pub fn until(&self) -> u64 {
        self.get(2) >> ID_BITS
    }

    /// Whether it has ended by the time `now`.
    #[inline(always)]
    #[must_use]
    pub fn is_over(&self, now: u64) -> bool {
        self.until() <= now
    }

    /// Where the endpoint proved itself from.
    #[inline(always)]
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            mac: self.get(3) & MAC,
            link: self.get(4),
        }
    }

    /// Whether the lease holds for all that comes from `origin`.
    ///
    /// # Errors
    ///
    /// Those of [`Origin::check`].
    #[inline(always)]
    fn check(&self, origin: Origin) -> Result<(), Reason> {
        match self.origin().check(origin) {
            Err(Reason::WrongInterface) if self.holds_on(origin.ifindex()) => Ok(()),
            checked => checked,
        }
    }

    /// Whether `ifindex` is one of the other interfaces of the link.
    #[inline(always)]
    fn holds_on(&self, ifindex: u32) -> bool {
        let mut word = 5;
        while word < 8 {
            let pair = self.get(word);
            if pair as u32 == ifindex || (pair >> 32) as u32 == ifindex {
                // No interface has the index 0, which fills what is empty.
                return true;
            }
            word += 1;
        }
        false
    }
}

/// The table of leases, in a kernel map or in memory.
pub trait Leases {
    /// The entry `index`; `None` past the end of the table.
    fn lease(&self, index: u32) -> Option<&Lease>;

    /// The time by the clock that leases end by, which starts at boot and has no more than 48 bits:
    /// jiffies, or [ticks](crate::state::clock::tick) where those are not known. Nothing is cheaper
    /// to read than jiffies as they are, and nothing that wraps around sooner may end a lease, which
    /// would begin anew.
    fn clock(&self) -> u64;

    /// Seed of the hashes, which nobody outside knows.
    fn seed(&self) -> u64;

    /// [`search`] for an IPv4 address; the kernel verifies it once, as a function of its own.
    fn search_lease_ipv4(&self, address: Ipv4) -> u32
    where
        Self: Sized,
    {
        search(self, address)
    }

    /// [`search`] for an IPv6 address; the kernel verifies it once, as a function of its own.
    fn search_lease_ipv6(&self, address: Ipv6) -> u32
    where
        Self: Sized,
    {
        search(self, address)
    }
}

/// A family whose addresses can hold leases.
pub trait Leased: Family {
    /// The index of the shared entry of the lease at this address; [`NOWHERE`] if there is none.
    fn search_lease<L: Leases>(self, leases: &L) -> u32;
}

impl Leased for Ipv4 {
    #[inline(always)]
    fn search_lease<L: Leases>(self, leases: &L) -> u32 {
        leases.search_lease_ipv4(self)
    }
}

impl Leased for Ipv6 {
    #[inline(always)]
    fn search_lease<L: Leases>(self, leases: &L) -> u32 {
        leases.search_lease_ipv6(self)
    }
}

/// The hash of `address` under `seed`, by which its lease is found among the shared entries.
#[inline(always)]
#[must_use]
pub fn hash<A: Family>(address: A, seed: u64) -> u64 {
    let [high, low] = address.to_words();
    let mixed = (high ^ seed).wrapping_mul(MIX[0]) ^ low.wrapping_add(seed).wrapping_mul(MIX[1]);
    finish(mixed)
}

/// The index of the entry of the endpoint `id` for a lease at an address of the family `A`.
#[inline(always)]
#[must_use]
pub const fn own_index<A: Family>(id: u32) -> u32 {
    id + family::<A>() as u32 * ENDPOINTS
}

/// The indexes of the shared entries for a lease whose address has this `hash`, in the order in which they are
/// tried; there are twice [`WAYS`].
#[inline(always)]
#[must_use]
pub fn shared_index(hash: u64, step: u32) -> u32 {
    OWN + sets::index(hash, MASK, step)
}

/// The index of the shared entry of the lease at `address`; [`NOWHERE`] if there is none.
#[inline(always)]
pub fn search<A: Family, L: Leases>(leases: &L, address: A) -> u32 {
    let hash = hash(address, leases.seed());
    let mut step = 0;
    while step < 2 * WAYS {
        let index = shared_index(hash, step);
        if leases
            .lease(index)
            .is_some_and(|lease| lease.is_at(address))
        {
            return index;
        }
        step += 1;
    }
    NOWHERE
}

/// Whether the endpoint `id` holds a lease at `source` in its own entry, on the interface that its
/// proof came in on, and `packet` comes from there. If not, [`check`] is to be asked.
#[inline(always)]
pub fn holds<A: Leased, P: Packet, L: Leases>(
    leases: &L,
    id: u32,
    source: A,
    packet: &P,
    frame: &Frame,
) -> bool {
    let Some(lease) = leases.lease(own_index::<A>(id)) else {
        return false;
    };
    let [high, low] = source.to_words();
    let origin = Origin::of(packet, frame);
    let other = (lease.get(1) ^ low)
        | (lease.get(3) ^ (origin.mac | marks::<A>()))
        | (lease.get(4) ^ origin.link);
    // No word of an IPv4 address is set in the first.
    let other = if A::BITS == 128 {
        other | (lease.get(0) ^ high)
    } else {
        other
    };
    // One branch for all of it. Nobody else's lease is ever in an endpoint's own entry.
    let left = lease.until().wrapping_sub(leases.clock()).wrapping_sub(1);
    other | left >> 63 == 0
}

/// Checks that the endpoint `id` holds a lease at `source`, and that `packet` comes from where it
/// was given.
///
/// # Errors
///
/// [`Reason::NoLease`], [`Reason::LeaseExpired`], those of [`Origin::check`], and at a socket
/// [`Reason::BindingUnseen`].
#[inline(always)]
pub fn check<A: Leased, P: Packet, L: Leases>(
    leases: &L,
    id: u32,
    source: A,
    packet: &P,
    frame: &Frame,
) -> Result<(), Reason> {
    let lease = match leases.lease(own_index::<A>(id)) {
        Some(lease) if lease.is(id, source) => lease,
        _ => match leases.lease(source.search_lease(leases)) {
            Some(lease) if lease.endpoint() == id => lease,
            _ => return Err(Reason::NoLease),
        },
    };
    if lease.is_over(leases.clock()) {
        return Err(Reason::LeaseExpired);
    }
    if !P::SEES_LINK {
        return Err(Reason::BindingUnseen);
    }
    lease.check(Origin::of(packet, frame))
}

#[cfg(test)]
mod tests;
