//! IPv4 and IPv6 addresses as the tables hold them, behind one trait.

use crate::{
    endpoint::Peer,
    image::{DIRECT_ENTRIES, DIRECT_IPV4, DIRECT_IPV6, Line, Missing, PER_LINE_64, Tables},
    lease::Leases,
};

/// Value of a protected unicast address.
pub const PROTECTED_UNICAST: u32 = 1;
/// Value of a broadcast address of the host's.
pub const PROTECTED_BROADCAST: u32 = 2;

/// Value of a protected unicast address that is not the host's own: a guest's.
pub const PROTECTED_GUEST: u32 = 3;

/// Largest value of an entry: 23 bits.
pub const MAX_VALUE: u32 = 0x7f_ffff;

/// Where the value ends and the prefix length begins in an entry.
const LENGTH_SHIFT: u32 = 24;

/// Multipliers with well-mixed bits (the 64-bit golden ratio and two of its relatives).
pub(crate) const MIX: [u64; 3] = [
    0x9e37_79b9_7f4a_7c15,
    0xc2b2_ae3d_27d4_eb4f,
    0xff51_afd7_ed55_8ccd,
];

/// An address family.
pub trait Family: Copy + Eq {
    /// Bits of an address.
    const BITS: u8;
    /// Entries that one bucket (one [`Line`]) holds.
    const PER_BUCKET: usize;
    /// Buckets that share a word of their summary, so that it has some eight bits for each prefix.
    const BUCKETS_PER_WORD: u32;

    /// The address with all bits behind the first `length` cleared; `length` is at most
    /// [`Family::BITS`].
    #[must_use]
    fn masked(self, length: u8) -> Self;

    /// The direct entry that this address has if it is protected, below [`DIRECT_ENTRIES`].
    fn direct_entry(self) -> u32;

    /// The value of this address among the protected ones, 0 if it is none of them, by its direct
    /// entry; `None` if another address has that, so that this one has to be looked up among all.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    fn direct<T: Tables>(self, tables: &T) -> Result<Option<u8>, Missing>;

    /// The address as two words: both halves, or IPv4 in the second.
    #[must_use]
    fn to_words(self) -> [u64; 2];

    /// Whether this is the unspecified address, which a host has before it has another.
    #[inline(always)]
    fn is_unspecified(self) -> bool {
        self.to_words() == [0; 2]
    }

    /// Whether the address is valid on one link only (RFC 4291, RFC 3927).
    fn is_link_local(self) -> bool;

    /// The value of this address among the protected ones in `tables`; 0 if it is none.
    fn protected<T: Tables>(self, tables: &T) -> Result<u32, Missing>;

    /// The endpoint whose longest prefix in `tables` covers this address, if one does.
    fn endpoint<T: Tables>(self, tables: &T) -> Result<Peer, Missing>;

    /// The place of the lease at this address; [`NOWHERE`](crate::lease::NOWHERE) if there is none.
    fn search_lease<L: Leases>(self, leases: &L) -> u32;

    /// Whether the address names a group: multicast, or a limited broadcast.
    fn is_group(self) -> bool;

    /// Whether the host may be told to take the address for its own without having it: one of the
    /// loopback interface's.
    fn is_loopback(self) -> bool;

    /// A hash of the prefix `self/length`. Bits 24 to 63 are well mixed.
    ///
    /// It needs no secret: who sends cannot make a lookup read more than two lines, and the agent
    /// places what the operator lists. So none has to be read before a hash is begun.
    fn hash(self, length: u8) -> u64;

    /// The entry of a bucket that `hash` prefers, below [`Family::PER_BUCKET`].
    fn preferred(hash: u64) -> usize;

    /// What entry `at` of `bucket` holds for the prefix `self/length`.
    fn read(self, length: u8, bucket: &Line, at: usize) -> Entry;

    /// Writes the prefix `self/length` with `value` (1 to [`MAX_VALUE`]) into the empty entry `at`
    /// of `bucket`.
    fn place(self, length: u8, value: u32, bucket: &mut Line, at: usize);

    /// Marks entry `at` of `bucket`: a prefix that prefers it lies elsewhere.
    fn displace(bucket: &mut Line, at: usize);
}

/// What a look at one entry of a bucket yields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry(u32);

impl Entry {
    const DISPLACED: u32 = 1 << 23;
    const FOUND: u32 = 1 << 24;

    /// From the lower half of an entry, and whether its key was the one looked for.
    #[inline(always)]
    const fn new(word: u32, found: bool) -> Self {
        Self(word & (MAX_VALUE | Self::DISPLACED) | if found { Self::FOUND } else { 0 })
    }

    /// The value, if the key was the one looked for.
    #[inline(always)]
    #[must_use]
    pub const fn value(self) -> Option<u32> {
        if self.0 & Self::FOUND == 0 {
            None
        } else {
            Some(self.0 & MAX_VALUE)
        }
    }

    /// Whether a prefix that prefers this entry lies elsewhere.
    #[inline(always)]
    #[must_use]
    pub const fn displaced(self) -> bool {
        self.0 & Self::DISPLACED != 0
    }
}

/// An IPv4 address, host byte order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ipv4(pub u32);

/// An IPv6 address as two halves, host byte order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ipv6 {
    /// Bits 0 to 63, the network's.
    pub high: u64,
    /// Bits 64 to 127, the interface's.
    pub low: u64,
}

/// Mixes 64 bits so that each of the upper 40 depends on all of them.
#[inline(always)]
pub(crate) const fn finish(product: u64) -> u64 {
    (product ^ (product >> 32)).wrapping_mul(MIX[2])
}

/// A value and its prefix length as an entry stores them; the length is one more, so that an
/// empty entry matches nothing.
#[inline(always)]
const fn tagged(length: u8, value: u32) -> u64 {
    ((length as u64 + 1) << LENGTH_SHIFT) | (value & MAX_VALUE) as u64
}

impl Ipv4 {
    /// The prefix `self/length` as an entry has it above the value.
    #[inline(always)]
    fn key(self, length: u8) -> u64 {
        (u64::from(self.0) << 8) | (u64::from(length) + 1)
    }
}

impl Family for Ipv4 {
    const BITS: u8 = 32;
    const PER_BUCKET: usize = 8;
    const BUCKETS_PER_WORD: u32 = 2;

    #[inline(always)]
    fn masked(self, length: u8) -> Self {
        Self(
            (u64::from(self.0) & (u64::MAX << (32u32.wrapping_sub(u32::from(length)) & 63))) as u32,
        )
    }

    #[inline(always)]
    fn direct_entry(self) -> u32 {
        self.0.wrapping_mul(MIX[0] as u32) >> (32 - DIRECT_ENTRIES.ilog2())
    }

    /// The address in bits 32 to 63, its value below.
    #[inline(always)]
    fn direct<T: Tables>(self, tables: &T) -> Result<Option<u8>, Missing> {
        let entry = tables.fixed64(DIRECT_IPV4 * PER_LINE_64 + self.direct_entry())?;
        Ok(if entry >> 32 == u64::from(self.0) {
            Some(entry as u8)
        } else if entry == 0 {
            Some(0)
        } else {
            None
        })
    }

    #[inline(always)]
    fn to_words(self) -> [u64; 2] {
        [0, u64::from(self.0)]
    }

    #[inline(always)]
    fn protected<T: Tables>(self, tables: &T) -> Result<u32, Missing> {
        tables.protected_ipv4(self)
    }

    #[inline(always)]
    fn endpoint<T: Tables>(self, tables: &T) -> Result<Peer, Missing> {
        tables.endpoint_ipv4(self)
    }

    #[inline(always)]
    fn search_lease<L: Leases>(self, leases: &L) -> u32 {
        leases.search_lease_ipv4(self)
    }

    #[inline(always)]
    fn is_link_local(self) -> bool {
        self.0 >> 16 == 0xa9fe
    }

    #[inline(always)]
    fn is_group(self) -> bool {
        // 224.0.0.0/4 and 255.255.255.255; 240.0.0.0/4 between them is not in use (RFC 1112). And
        // 0.0.0.0, the limited broadcast of old (RFC 1122, 3.3.6), which Linux still delivers.
        self.0.wrapping_sub(1) >= 0xe000_0000 - 1
    }

    #[inline(always)]
    fn is_loopback(self) -> bool {
        // All of 127.0.0.0/8, which Linux takes in from outside where `route_localnet` is set.
        self.0 >> 24 == 127
    }

    #[inline(always)]
    fn hash(self, length: u8) -> u64 {
        finish(self.key(length).wrapping_mul(MIX[0]))
    }

    #[inline(always)]
    fn preferred(hash: u64) -> usize {
        (hash >> 61) as usize
    }

    /// An entry is one word: address in bits 32 to 63, prefix length in 24 to 31, displaced in 23,
    /// value below.
    #[inline(always)]
    fn read(self, length: u8, bucket: &Line, at: usize) -> Entry {
        let word = bucket[at & 7];
        Entry::new(word as u32, word >> LENGTH_SHIFT == self.key(length))
    }

    fn place(self, length: u8, value: u32, bucket: &mut Line, at: usize) {
        bucket[at] |= (u64::from(self.0) << 32) | tagged(length, value);
    }

    fn displace(bucket: &mut Line, at: usize) {
        bucket[at] |= u64::from(Entry::DISPLACED);
    }
}

impl Family for Ipv6 {
    const BITS: u8 = 128;
    const PER_BUCKET: usize = 3;
    const BUCKETS_PER_WORD: u32 = 4;

    #[inline(always)]
    fn masked(self, length: u8) -> Self {
        if length <= 64 {
            let high = if length == 0 {
                0
            } else {
                self.high & (u64::MAX << (64 - length))
            };
            Self { high, low: 0 }
        } else {
            Self {
                high: self.high,
                low: self.low & (u64::MAX << (128u8.wrapping_sub(length) & 63)),
            }
        }
    }

    #[inline(always)]
    fn direct_entry(self) -> u32 {
        let sum = self.high.wrapping_add(self.low);
        (sum.wrapping_mul(MIX[0]) >> (64 - DIRECT_ENTRIES.ilog2())) as u32
    }

    /// The two halves of the address. IPv6 has no broadcast, so there is only one value.
    #[inline(always)]
    fn direct<T: Tables>(self, tables: &T) -> Result<Option<u8>, Missing> {
        let first = DIRECT_IPV6 * PER_LINE_64 + 2 * self.direct_entry();
        let high = tables.fixed64(first)?;
        let low = tables.fixed64(first + 1)?;
        Ok(if (high ^ self.high) | (low ^ self.low) == 0 {
            Some(PROTECTED_UNICAST as u8)
        } else if high | low == 0 {
            Some(0)
        } else {
            None
        })
    }

    #[inline(always)]
    fn to_words(self) -> [u64; 2] {
        [self.high, self.low]
    }

    #[inline(always)]
    fn protected<T: Tables>(self, tables: &T) -> Result<u32, Missing> {
        tables.protected_ipv6(self)
    }

    #[inline(always)]
    fn endpoint<T: Tables>(self, tables: &T) -> Result<Peer, Missing> {
        tables.endpoint_ipv6(self)
    }

    #[inline(always)]
    fn search_lease<L: Leases>(self, leases: &L) -> u32 {
        leases.search_lease_ipv6(self)
    }

    #[inline(always)]
    fn is_link_local(self) -> bool {
        self.high >> 54 == 0xfe80 >> 6
    }

    #[inline(always)]
    fn is_group(self) -> bool {
        self.high >> 56 == 0xff
    }

    #[inline(always)]
    fn is_loopback(self) -> bool {
        // Linux drops what comes to ::1 from outside (RFC 4291, 2.5.3), whatever it is told.
        false
    }

    #[inline(always)]
    fn hash(self, length: u8) -> u64 {
        let high = self.high.wrapping_mul(MIX[0]);
        let low = (self.low ^ u64::from(length)).wrapping_mul(MIX[1]);
        finish(high ^ low)
    }

    #[inline(always)]
    fn preferred(hash: u64) -> usize {
        (((hash >> 56) * Self::PER_BUCKET as u64) >> 8) as usize
    }

    /// Keys lie in words 0 to 5; prefix lengths, displaced and values, 32 bits for each entry, in
    /// words 6 and 7.
    #[inline(always)]
    fn read(self, length: u8, bucket: &Line, at: usize) -> Entry {
        let word = (bucket[(6 + at / 2) & 7] >> (32 * (at % 2))) as u32;
        let different = (bucket[(2 * at) & 7] ^ self.high)
            | (bucket[(2 * at + 1) & 7] ^ self.low)
            | u64::from((word >> LENGTH_SHIFT) ^ (u32::from(length) + 1));
        Entry::new(word, different == 0)
    }

    fn place(self, length: u8, value: u32, bucket: &mut Line, at: usize) {
        bucket[2 * at] = self.high;
        bucket[2 * at + 1] = self.low;
        bucket[6 + at / 2] |= tagged(length, value) << (32 * (at % 2));
    }

    fn displace(bucket: &mut Line, at: usize) {
        bucket[6 + at / 2] |= u64::from(Entry::DISPLACED) << (32 * (at % 2));
    }
}

#[cfg(test)]
mod tests;
