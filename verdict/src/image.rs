//! An image: a policy compiled into lines of 64 bytes, one CPU cache line each.
//!
//! Fixed part, by line:
//!
//! | line | holds |
//! | --- | --- |
//! | 0 | header: the words below |
//! | 1, 2 | prefix lengths in use, longest first, one byte each: IPv4, IPv6 |
//! | 3.. | direct entries of protected addresses ([`Family::direct`]): IPv4, then IPv6 |
//! | then | how long each state of a flow lasts, 16 x 32 bits ([ticks](crate::flow::entry::ticks)) |
//! | then | service of each TCP, UDP, SCTP port, and of each IP protocol: 32 bits ([`service`](crate::service)) |
//!
//! Behind it lie, where the header says: rules of services (four lines each), endpoint records
//! (four in a line), sets of interfaces (one line each), and the regions of buckets, large ones with
//! their summaries ([`table`](crate::table)).
//!
//! All words are in host byte order; fields within a word count from bit 0.

use crate::{
    address::{Family, Ipv4, Ipv6},
    endpoint::Peer,
    reason::Reason,
    service::Place,
    table::Region,
};

/// 64 bytes.
pub type Line = [u64; 8];

/// An image lacks a line that its header promises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Missing;

impl From<Missing> for Reason {
    #[inline(always)]
    fn from(_: Missing) -> Self {
        Reason::NoPolicy
    }
}

/// The lines of an image, in a kernel map or in memory.
pub trait Tables {
    /// Line `index`.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such line.
    fn line(&self, index: u64) -> Result<&Line, Missing>;

    /// The 64-bit word `index` of the image, which belongs to the fixed part.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such word there.
    #[inline(always)]
    fn fixed64(&self, index: u32) -> Result<u64, Missing> {
        let line = self.line((index / PER_LINE_64).into())?;
        Ok(line[(index % PER_LINE_64) as usize])
    }

    /// The 32-bit word `index`, likewise.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such word there.
    #[inline(always)]
    fn fixed32(&self, index: u32) -> Result<u32, Missing> {
        Ok((self.fixed64(index / 2)? >> (32 * (index % 2))) as u32)
    }

    /// The 16-bit value `index` of the array that starts at line `base`.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image has no such line.
    #[inline(always)]
    fn value16(&self, base: u64, index: u32) -> Result<u16, Missing> {
        let line = self.line(base.wrapping_add((index / PER_LINE_16).into()))?;
        let word = line[(index / 4 % 8) as usize];
        Ok((word >> (16 * (index % 4))) as u16)
    }

    /// [`protected`](crate::judge::protected) for an IPv4 address; the kernel verifies it once
    /// instead of at every use.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    fn protected_ipv4(&self, address: Ipv4) -> Result<u32, Missing>;

    /// The same for an IPv6 address.
    ///
    /// # Errors
    ///
    /// [`Missing`], likewise.
    fn protected_ipv6(&self, address: Ipv6) -> Result<u32, Missing>;

    /// [`endpoint::find`](crate::endpoint::find) for an IPv4 address, likewise.
    ///
    /// # Errors
    ///
    /// [`Missing`], likewise.
    fn endpoint_ipv4(&self, address: Ipv4) -> Result<Peer, Missing>;

    /// The same for an IPv6 address.
    ///
    /// # Errors
    ///
    /// [`Missing`], likewise.
    fn endpoint_ipv6(&self, address: Ipv6) -> Result<Peer, Missing>;
}

/// Line of the header.
pub const HEADER: u32 = 0;
/// Line of the prefix lengths of IPv4; IPv6 has the next.
pub const LENGTHS: u32 = 1;
/// First line of the direct entries of protected IPv4 addresses: one word each.
pub const DIRECT_IPV4: u32 = LENGTHS + 2;
/// First line of the direct entries of protected IPv6 addresses: two words each.
pub const DIRECT_IPV6: u32 = DIRECT_IPV4 + DIRECT_ENTRIES / PER_LINE_64;
/// Line of the times that states of flows last.
pub const TIMEOUTS: u32 = DIRECT_IPV6 + 2 * DIRECT_ENTRIES / PER_LINE_64;
/// First line of the services: 32 bits for each [`Place`](crate::service::Place).
pub const SERVICES: u32 = TIMEOUTS + 1;
/// First line behind the fixed part.
pub const FIXED_LINES: u32 = SERVICES + Place::LINES;

/// Most prefix lengths of one family that a lookup probes.
pub const MAX_LENGTHS: u32 = 16;

/// 64-bit words in a line.
pub const PER_LINE_64: u32 = 8;
/// 32-bit words in a line.
pub const PER_LINE_32: u32 = 16;
/// 16-bit values in a line.
pub const PER_LINE_16: u32 = 32;

/// Direct entries of one family. One that is empty, as most are, tells that an address is not
/// protected; one that is not, that one of those it stands for is.
pub const DIRECT_ENTRIES: u32 = 512;

/// Words of the header line.
pub mod header {
    /// [`Flags`](super::Flags).
    pub const FLAGS: usize = 0;
    /// Region of the protected IPv4 addresses; IPv6 has the next word.
    pub const PROTECTED: usize = 1;
    /// Region of the IPv4 endpoints; IPv6 has the next word.
    pub const ENDPOINTS: usize = 3;
    /// First line of the service rules (upper half) and of the endpoint records (lower half).
    pub const RECORDS: usize = 5;
    /// Roles that hold some permission, inbound or outbound, one bit each.
    pub const ROLES: usize = 6;
}

/// The first word of the header.
///
/// Bits 0 to 3: [`Modes`]. Bits 8 to 15: longest IPv4 prefix length; 16 to 23: of IPv6. Bits 24 to
/// 31: number of IPv4 prefix lengths; 32 to 39: of IPv6. Bits 40 to 47: the slot that the image lies
/// in. Bits 48 to 63: layout version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flags(pub u64);

const SLOT_SHIFT: u32 = 40;

impl Flags {
    /// Composes the word; `counts` are the numbers of prefix lengths of IPv4 and IPv6, `longest`
    /// the longest of each.
    #[must_use]
    pub const fn new(version: u16, modes: Modes, counts: [u8; 2], longest: [u8; 2]) -> Self {
        let [count4, count6] = counts;
        let [longest4, longest6] = longest;
        let bytes = [modes.0, longest4, longest6, count4, count6, 0, 0, 0];
        Self(u64::from_le_bytes(bytes) | (version as u64) << 48)
    }

    /// The same of an image in `slot`.
    #[must_use]
    pub const fn in_slot(self, slot: u32) -> Self {
        Self(self.0 | (slot as u64) << SLOT_SHIFT)
    }

    /// The slot that the image lies in.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> u32 {
        (self.0 >> SLOT_SHIFT) as u8 as u32
    }

    /// The modes.
    #[inline(always)]
    #[must_use]
    pub const fn modes(self) -> Modes {
        Modes(self.0 as u8)
    }

    /// Number of prefix lengths of `A`.
    #[inline(always)]
    #[must_use]
    pub const fn lengths<A: Family>(self) -> u32 {
        (self.0 >> (24 + 8 * family::<A>())) as u32 & 0x1f
    }

    /// The longest prefix length of `A`.
    #[inline(always)]
    #[must_use]
    pub const fn longest<A: Family>(self) -> u8 {
        (self.0 >> (8 + 8 * family::<A>())) as u8
    }
}

/// What is done about violations that no reference point governs, as a set of bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Modes(pub u8);

impl Modes {
    /// Of packets in: audited only.
    pub const AUDIT: Self = Self(1);
    /// Of packets out: audited only.
    pub const AUDIT_OUTBOUND: Self = Self(2);
    /// Packets out are none: the host may connect to anyone.
    pub const ANY_OUTBOUND: Self = Self(4);
    /// Flows may exist that no rule permits, as the mode let them be opened.
    pub const UNRULED_FLOWS: Self = Self(8);

    /// Both sets.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether any of `modes` is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, modes: Self) -> bool {
        self.0 & modes.0 != 0
    }
}

/// 0 for IPv4, 1 for IPv6: how far the family's word or line lies behind the first one.
#[inline(always)]
#[must_use]
pub const fn family<A: Family>() -> usize {
    (A::BITS == 128) as usize
}

/// The part of the header that every packet to a protected address needs.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    words: &'a Line,
}

impl<'a> Header<'a> {
    /// Reads the header of `tables`.
    #[inline(always)]
    pub fn of<T: Tables>(tables: &'a T) -> Result<Self, Missing> {
        Ok(Self {
            words: tables.line(HEADER.into())?,
        })
    }

    /// The flags.
    #[inline(always)]
    #[must_use]
    pub const fn flags(self) -> Flags {
        Flags(self.words[header::FLAGS])
    }

    /// Where the protected addresses of `A` lie.
    #[inline(always)]
    #[must_use]
    pub const fn protected<A: Family>(self) -> Region {
        Region::from_word(self.words[header::PROTECTED + family::<A>()])
    }

    /// Where the endpoints of `A` lie.
    #[inline(always)]
    #[must_use]
    pub const fn endpoints<A: Family>(self) -> Region {
        Region::from_word(self.words[header::ENDPOINTS + family::<A>()])
    }

    /// First line of the service rules.
    #[inline(always)]
    #[must_use]
    pub const fn rules(self) -> u64 {
        self.words[header::RECORDS] >> 32
    }

    /// First line of the endpoint records.
    #[inline(always)]
    #[must_use]
    pub const fn records(self) -> u64 {
        self.words[header::RECORDS] as u32 as u64
    }

    /// Whether `role` holds some permission.
    #[inline(always)]
    #[must_use]
    pub const fn knows(self, role: u8) -> bool {
        self.words[header::ROLES] >> (role & 63) & 1 != 0
    }
}

#[cfg(test)]
mod tests;
