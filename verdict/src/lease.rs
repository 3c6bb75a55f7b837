//! Leases: proof in force that an endpoint is who it says, from where it proved it.
//!
//! The agent gives and ends leases. Each has an end of its own that the programs keep, so that those
//! of an agent that died run out.

use core::cell::Cell;

use crate::{
    address::{Family, Ipv4, Ipv6, MIX, finish},
    ethernet::{self, Frame},
    flow::{
        Flows,
        table::{WAYS, place},
    },
    packet::Packet,
    reason::Reason,
};

/// Places for leases, in sets of [`WAYS`]: 1 MiB.
pub const PLACES: u32 = 1 << 14;

/// Sets of places, less one.
pub const MASK: u32 = PLACES / WAYS - 1;

/// Where a packet comes from besides its address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Source MAC address, first byte of the wire highest.
    pub mac: u64,
    /// [`VlanTags`](ethernet::VlanTags) in the lower half, index of the interface in the upper.
    pub link: u64,
}

impl Origin {
    /// Composes an origin.
    #[must_use]
    pub const fn new(mac: u64, tags: u32, ifindex: u32) -> Self {
        Self {
            mac,
            link: (ifindex as u64) << 32 | tags as u64,
        }
    }

    /// The origin of `packet`, whose Ethernet header is `frame`.
    #[inline(always)]
    pub fn of<P: Packet>(packet: &P, frame: &Frame) -> Self {
        Self {
            mac: ethernet::source_mac(packet).unwrap_or(0),
            link: u64::from(packet.ifindex()) << 32 | u64::from(frame.tags.0),
        }
    }

    /// VLAN tags.
    #[must_use]
    pub const fn tags(self) -> ethernet::VlanTags {
        ethernet::VlanTags(self.link as u32)
    }

    /// Index of the interface.
    #[must_use]
    pub const fn ifindex(self) -> u32 {
        (self.link >> 32) as u32
    }

    /// Checks that `other` is the same.
    ///
    /// # Errors
    ///
    /// [`Reason::WrongMac`], [`Reason::WrongVlan`], [`Reason::WrongInterface`].
    #[inline(always)]
    pub const fn check(self, other: Self) -> Result<(), Reason> {
        if self.mac != other.mac {
            return Err(Reason::WrongMac);
        }
        if self.link as u32 != other.link as u32 {
            return Err(Reason::WrongVlan);
        }
        if self.link != other.link {
            return Err(Reason::WrongInterface);
        }
        Ok(())
    }
}

/// A place for a lease: one cache line.
///
/// Words 0 and 1: source address (two words of IPv6, or IPv4 in the second). Word 2: number of the
/// endpoint (lower half), tick at which the lease ends (upper half). Word 3: MAC address in bits 0 to
/// 47, IPv6 in bit 48, given in bit 49. Word 4: the other half of the [`Origin`]. All zeros is an
/// empty place.
///
/// The agent alone writes. It empties a place before it gives it to another address, and then word
/// 3 comes last of those that decide; a renewal changes word 2 alone.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Lease([Cell<u64>; 8]);

const _: () = assert!(size_of::<Lease>() == 64);

const MAC: u64 = (1 << 48) - 1;
const IPV6: u64 = 1 << 48;
const GIVEN: u64 = 1 << 49;

impl Lease {
    /// The lease of endpoint `id` at `address`, from `origin`, until the tick `until`, as words.
    #[must_use]
    pub fn words<A: Family>(address: A, id: u32, origin: Origin, until: u32) -> [u64; 8] {
        let [high, low] = address.to_words();
        let family = if A::BITS == 128 { IPV6 } else { 0 };
        let term = u64::from(until) << 32 | u64::from(id);
        let place = origin.mac & MAC | family | GIVEN;
        [high, low, term, place, origin.link, 0, 0, 0]
    }

    /// The place with these words.
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

    /// Whether this is a lease at `address`.
    #[inline(always)]
    fn is<A: Family>(&self, address: A) -> bool {
        let [high, low] = address.to_words();
        let family = if A::BITS == 128 { IPV6 | GIVEN } else { GIVEN };
        (self.get(0) ^ high) | (self.get(1) ^ low) | ((self.get(3) & !MAC) ^ family) == 0
    }

    /// Number of the endpoint.
    #[inline(always)]
    #[must_use]
    pub fn endpoint(&self) -> u32 {
        self.get(2) as u32
    }

    /// The tick at which it ends.
    #[inline(always)]
    #[must_use]
    pub fn until(&self) -> u32 {
        (self.get(2) >> 32) as u32
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
}

/// The table of leases, in a kernel map or in memory.
pub trait Leases {
    /// The place `index`; `None` past the end of the table.
    fn lease(&self, index: u32) -> Option<&Lease>;

    /// [`search`] for an IPv4 address; the kernel verifies it once instead of at every use.
    fn search_lease_ipv4(&self, address: Ipv4) -> u32;

    /// The same for an IPv6 address.
    fn search_lease_ipv6(&self, address: Ipv6) -> u32;
}

/// No place.
pub const NOWHERE: u32 = u32::MAX;

/// The hash of `address` under `seed`, by which its lease is found.
#[inline(always)]
#[must_use]
pub fn hash<A: Family>(address: A, seed: u64) -> u64 {
    let [high, low] = address.to_words();
    let mixed = (high ^ seed).wrapping_mul(MIX[0]) ^ low.wrapping_add(seed).wrapping_mul(MIX[1]);
    finish(mixed)
}

/// The places for a lease whose address has this `hash`, in the order in which they are tried.
#[inline(always)]
#[must_use]
pub fn lease_place(hash: u64, step: u32) -> u32 {
    place(hash, MASK, step)
}

/// The place of the lease at `address`; [`NOWHERE`] if there is none.
#[inline(always)]
pub fn search<A: Family, F: Flows>(flows: &F, address: A) -> u32 {
    let hash = hash(address, flows.seed());
    let mut step = 0;
    while step < 2 * WAYS {
        let index = lease_place(hash, step);
        if flows.lease(index).is_some_and(|lease| lease.is(address)) {
            return index;
        }
        step += 1;
    }
    NOWHERE
}

/// Checks that the endpoint `id` holds a lease at `source`, and that `packet` comes from where it
/// was given.
///
/// # Errors
///
/// [`Reason::NoLease`], [`Reason::LeaseExpired`], and those of [`Origin::check`].
#[inline(always)]
pub fn check<A: Family, P: Packet, F: Flows>(
    flows: &F,
    id: u32,
    source: A,
    packet: &P,
    frame: &Frame,
) -> Result<(), Reason> {
    let home = lease_place(hash(source, flows.seed()), 0);
    let lease = match flows.lease(home) {
        Some(lease) if lease.is(source) => lease,
        _ => match flows.lease(source.search_lease(flows)) {
            Some(lease) => lease,
            None => return Err(Reason::NoLease),
        },
    };
    if lease.endpoint() != id {
        return Err(Reason::NoLease);
    }
    if (lease.until().wrapping_sub(flows.now()) as i32) <= 0 {
        return Err(Reason::LeaseExpired);
    }
    lease.origin().check(Origin::of(packet, frame))
}

#[cfg(test)]
mod tests;
