//! What a flow is found by.

use crate::{
    frame::address::Family,
    hash::{MIX, finish},
};

/// A connection between a local and a remote transport address.
pub const CONNECTION: u8 = 1;
/// Fragments of a datagram that the remote side sends.
pub const FRAGMENTS_IN: u8 = 2;
/// Fragments of a datagram that the local side sends.
pub const FRAGMENTS_OUT: u8 = 3;
/// The remote side of datagrams that nobody asked for.
pub const UNASKED: u8 = 5;

const PROTOCOL_SHIFT: u32 = 32;
const KIND_SHIFT: u32 = 40;
const IPV6: u64 = 1 << 47;
/// Bits of the last word that tell flows apart; above them lie 16 bits of the hash.
pub(super) const TAG_SHIFT: u32 = 48;

/// The five-tuple of a flow, local side first, as five words of 64 bits.
///
/// Words 0 and 1: local address; 2 and 3: remote address (IPv4 in the lower half of the second
/// word). Word 4: remote port, or a fragment's identification, in bits 0 to 15 (31); local port, or
/// echo identifier, in 16 to 31; IP protocol in 32 to 39; what it is the key of in 40 to 46; IPv6
/// in bit 47. All in host byte order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    pub(super) local: [u64; 2],
    pub(super) remote: [u64; 2],
    pub(super) tail: u64,
}

impl Key {
    /// A key of this kind; `ports` is the local port in the upper, the remote port in the lower
    /// half. For fragments, it is the identification.
    #[inline(always)]
    #[must_use]
    pub fn new<A: Family>(kind: u8, local: A, remote: A, protocol: u8, ports: u32) -> Self {
        let family = if A::BITS == 128 { IPV6 } else { 0 };
        Self {
            local: local.to_words(),
            remote: remote.to_words(),
            tail: u64::from(ports)
                | u64::from(protocol) << PROTOCOL_SHIFT
                | u64::from(kind) << KIND_SHIFT
                | family,
        }
    }

    /// The key in five words.
    #[inline(always)]
    #[must_use]
    pub const fn to_words(self) -> [u64; 5] {
        let ([a, b], [c, d]) = (self.local, self.remote);
        [a, b, c, d, self.tail]
    }

    /// The key that [`Key::to_words`] gave.
    #[inline(always)]
    #[must_use]
    pub const fn from_words([a, b, c, d, tail]: [u64; 5]) -> Self {
        Self {
            local: [a, b],
            remote: [c, d],
            tail,
        }
    }

    /// This key with other ends; `ports` as in [`Key::new`].
    #[inline(always)]
    #[must_use]
    pub const fn with_ends(self, local: [u64; 2], remote: [u64; 2], ports: u32) -> Self {
        Self {
            local,
            remote,
            tail: self.tail & !0xffff_ffff | ports as u64,
        }
    }

    /// This key without a remote address: any peer may answer what was sent to a group.
    #[inline(always)]
    #[must_use]
    pub const fn without_remote(self) -> Self {
        self.without_remote_bits(u64::MAX)
    }

    /// This key without these bits of the remote address.
    #[inline(always)]
    #[must_use]
    pub const fn without_remote_bits(self, bits: u64) -> Self {
        let [high, low] = self.remote;
        Self {
            remote: [high & !bits, low & !bits],
            ..self
        }
    }

    /// This key without a local address: of what was sent to a group.
    #[inline(always)]
    #[must_use]
    pub const fn without_local(self) -> Self {
        Self {
            local: [0; 2],
            ..self
        }
    }

    /// This key without addresses: sent to a group before the host had an address.
    #[inline(always)]
    #[must_use]
    pub const fn without_addresses(self) -> Self {
        Self {
            local: [0; 2],
            remote: [0; 2],
            ..self
        }
    }

    /// Who is on the remote side: its address, and the key's last word without the local port.
    #[inline(always)]
    #[must_use]
    pub const fn peer(&self) -> [u64; 3] {
        let [high, low] = self.remote;
        [high, low, self.tail & !0xffff_0000]
    }

    /// Local port in the upper, remote port in the lower half.
    #[inline(always)]
    #[must_use]
    pub const fn ports(&self) -> u32 {
        self.tail as u32
    }

    /// A hash under `seed`; bits 20 to 63 are well mixed.
    #[inline(always)]
    #[must_use]
    pub fn hash(&self, seed: u64) -> u64 {
        let addresses = if self.tail & IPV6 == 0 {
            (self.local[1] << 32 | self.remote[1]) ^ seed
        } else {
            let low = (self.local[1] ^ self.remote[1].rotate_left(32)).wrapping_add(seed);
            (self.local[0] ^ self.remote[0].rotate_left(32) ^ seed) ^ low.wrapping_mul(MIX[1])
        };
        let product =
            addresses.wrapping_mul(MIX[0]) ^ self.tail.wrapping_add(seed).wrapping_mul(MIX[1]);
        finish(product)
    }

    /// The hash by which a table with this `seed` is searched.
    #[cfg(feature = "host")]
    #[must_use]
    pub fn hash_under(&self, seed: u64) -> u64 {
        self.hash(seed)
    }

    /// Hash of whom a place in the table counts for, the local address; seven bits are told apart.
    #[inline(always)]
    pub(super) const fn owner(&self) -> u64 {
        (self.local[0] ^ self.local[1]).wrapping_mul(MIX[0]) >> 57
    }

    /// Kind of the key: [`CONNECTION`] or another.
    #[inline(always)]
    #[must_use]
    pub const fn kind(&self) -> u8 {
        (self.tail >> KIND_SHIFT) as u8 & 0x7f
    }

    /// IP protocol.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        (self.tail >> PROTOCOL_SHIFT) as u8
    }

    /// Whether the addresses are IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.tail & IPV6 != 0
    }

    /// Local address: two words of IPv6, or IPv4 in the second.
    #[must_use]
    pub const fn local(&self) -> [u64; 2] {
        self.local
    }

    /// Remote address: two words of IPv6, or IPv4 in the second.
    #[must_use]
    pub const fn remote(&self) -> [u64; 2] {
        self.remote
    }

    /// Local port, or echo identifier.
    #[must_use]
    pub const fn local_port(&self) -> u16 {
        (self.tail >> 16) as u16
    }

    /// Remote port.
    #[must_use]
    pub const fn remote_port(&self) -> u16 {
        self.tail as u16
    }
}
