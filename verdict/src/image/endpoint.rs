//! Endpoints: finding a source address, and what its packets are bound to.

use super::{
    bucket::Bucketed,
    fixed::{LENGTHS, MAX_LENGTHS},
    header::Header,
    line::{Missing, Tables},
    region,
};
use crate::{
    frame::{address::family, ethernet::Frame, packet::Packet},
    reason::Reason,
};

/// Records in a line.
pub const PER_LINE: u32 = 4;

const MAC_BITS: u32 = 48;
const BOUND_SHIFT: u32 = 56;

/// What an address tells of the endpoint that has it.
///
/// Bits 0 to 15: number of the endpoint, 0 if there is none. 16 to 21: role. 22: whether the endpoint
/// is bound to anything, so that its [`Record`] has to be asked. All are there where most packets
/// are found, so that those of endpoints that are bound to nothing read no record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer(pub u32);

impl Peer {
    /// No endpoint.
    pub const NONE: Self = Self(0);

    const ROLE_SHIFT: u32 = 16;
    const BOUND: u32 = 1 << 22;

    /// The value of an address of the endpoint `id` with `role` (1 to 63).
    #[must_use]
    pub const fn new(id: u32, role: u8, bound: bool) -> Self {
        Self(id | (role as u32) << Self::ROLE_SHIFT | if bound { Self::BOUND } else { 0 })
    }

    /// Number of the endpoint; 0 if there is none.
    #[inline(always)]
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0 & 0xffff
    }

    /// The endpoint's role; 0, which no endpoint has, if there is none.
    #[inline(always)]
    #[must_use]
    pub const fn role(self) -> u8 {
        (self.0 >> Self::ROLE_SHIFT) as u8 & 0x3f
    }

    /// Whether the endpoint is bound to anything, or has to hold a lease.
    #[inline(always)]
    #[must_use]
    pub const fn is_bound(self) -> bool {
        self.0 & Self::BOUND != 0
    }
}

/// An endpoint is bound to a MAC address.
pub const BOUND_MAC: u8 = 1;
/// An endpoint is bound to VLAN tags.
pub const BOUND_VLAN: u8 = 2;
/// An endpoint is bound to interfaces.
pub const BOUND_INTERFACE: u8 = 4;
/// An endpoint has to hold a lease.
pub const BOUND_LEASE: u8 = 8;

/// What an endpoint is bound to, as the image holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// Bits 0 to 47: MAC address, first byte highest. 56 to 63: what the endpoint is bound to.
    identity: u64,
    /// Lower half: [`VlanTags`](ethernet::VlanTags). Upper half: line of the interfaces.
    link: u64,
}

impl Record {
    /// Composes a record; `bound` is a set of `BOUND_*`.
    #[must_use]
    pub const fn new(bound: u8, mac: u64, tags: u32, interfaces: u32) -> Self {
        Self {
            identity: mac | (bound as u64) << BOUND_SHIFT,
            link: (interfaces as u64) << 32 | tags as u64,
        }
    }

    /// The record as two words of a line.
    #[must_use]
    pub const fn to_words(self) -> [u64; 2] {
        [self.identity, self.link]
    }

    /// The record of the endpoint `id`.
    #[inline(always)]
    pub fn read<T: Tables>(tables: &T, header: Header<'_>, id: u32) -> Result<Self, Missing> {
        let line = tables.line(header.records() + u64::from(id / PER_LINE))?;
        let at = (id % PER_LINE * 2) as usize;
        Ok(Self {
            identity: line[at & 7],
            link: line[(at + 1) & 7],
        })
    }

    /// Whether the endpoint has to prove who it is.
    #[inline(always)]
    #[must_use]
    pub const fn needs_lease(self) -> bool {
        (self.identity >> BOUND_SHIFT) as u8 & BOUND_LEASE != 0
    }

    /// Checks that the packet comes from where the endpoint is bound to, whatever it has proven.
    ///
    /// # Errors
    ///
    /// [`Reason::WrongMac`], [`Reason::WrongVlan`], [`Reason::WrongInterface`], and at a socket
    /// [`Reason::BindingUnseen`].
    #[inline(always)]
    pub fn check<P: Packet, T: Tables>(
        self,
        packet: &P,
        tables: &T,
        frame: &Frame,
    ) -> Result<(), Reason> {
        let bound = (self.identity >> BOUND_SHIFT) as u8;
        if bound & !BOUND_LEASE == 0 {
            return Ok(());
        }
        if bound & BOUND_MAC != 0 {
            let mac = self.identity & ((1 << MAC_BITS) - 1);
            if packet.source_mac() != Some(mac) {
                return Err(Reason::WrongMac);
            }
        }
        if !P::SEES_LINK && bound & (BOUND_VLAN | BOUND_INTERFACE) != 0 {
            return Err(Reason::BindingUnseen);
        }
        if bound & BOUND_VLAN != 0 && self.link as u32 != frame.tags.0 {
            return Err(Reason::WrongVlan);
        }
        if bound & BOUND_INTERFACE != 0 && !contains(tables, self.link, packet.ifindex())? {
            return Err(Reason::WrongInterface);
        }
        Ok(())
    }
}

/// Interfaces in one set.
pub const INTERFACES_PER_SET: usize = 16;

/// Whether the set of interfaces that `link` points at holds `ifindex`.
#[inline(always)]
fn contains<T: Tables>(tables: &T, link: u64, ifindex: u32) -> Result<bool, Missing> {
    let set = tables.line(link >> 32)?;
    let mut at = 0;
    while at < INTERFACES_PER_SET {
        if (set[(at / 2) & 7] >> (32 * (at % 2))) as u32 == ifindex {
            return Ok(true);
        }
        at += 1;
    }
    Ok(false)
}

/// The endpoint whose longest prefix covers `source`, if one does.
#[inline(always)]
pub fn find<A: Bucketed, T: Tables>(tables: &T, source: A) -> Result<Peer, Missing> {
    let header = Header::of(tables)?;
    let count = header.flags().lengths::<A>();
    let lengths = tables.line(u64::from(LENGTHS) + family::<A>() as u64)?;
    let mut at = 0;
    while at < MAX_LENGTHS {
        if at >= count {
            break;
        }
        let length = (lengths[((at / 8) & 7) as usize] >> (8 * (at % 8))) as u8;
        // Read anew each time: the fewer of it has to be kept, the smaller the stack.
        let region = header.endpoints::<A>();
        let found = region::find(tables, region, source.masked(length), length)?;
        if found != 0 {
            return Ok(Peer(found));
        }
        at += 1;
    }
    Ok(Peer(0))
}

/// The endpoint with a prefix that covers `source` and is as long as the longest ones of the policy,
/// which nearly always are single addresses. If there is none, shorter ones are to be looked up.
#[inline(always)]
pub fn find_longest<A: Bucketed, T: Tables>(tables: &T, source: A) -> Result<Peer, Missing> {
    let header = Header::of(tables)?;
    let longest = header.flags().longest::<A>();
    let prefix = if longest == A::BITS {
        source
    } else {
        source.masked(longest)
    };
    region::find_summarized(tables, header.endpoints::<A>(), prefix, longest).map(Peer)
}

#[cfg(test)]
mod tests;
