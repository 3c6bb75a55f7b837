//! IPv4 and IPv6 addresses.

/// An address family.
pub trait Family: Copy + Eq {
    /// Bits of an address.
    const BITS: u8;

    /// The address with all bits behind the first `length` cleared; `length` is at most
    /// [`Family::BITS`].
    #[must_use]
    fn masked(self, length: u8) -> Self;

    /// The address as two words: both halves, or IPv4 in the second.
    #[must_use]
    fn to_words(self) -> [u64; 2];

    /// The address that [`Family::to_words`] gave.
    #[must_use]
    fn from_words(words: [u64; 2]) -> Self;

    /// Whether this is the unspecified address, which a host has before it has another.
    #[inline(always)]
    fn is_unspecified(self) -> bool {
        self.to_words() == [0; 2]
    }

    /// Whether the address is valid on one link only (RFC 4291, RFC 3927).
    fn is_link_local(self) -> bool;

    /// Whether the address names a group: multicast, or a limited broadcast.
    fn is_group(self) -> bool;

    /// Whether this is a multicast group that routers forward (RFC 5771, RFC 4291): no broadcast, and of more
    /// than one link.
    fn is_routed_group(self) -> bool;

    /// Whether this is an address of the loopback interface, to which nothing comes from a wire.
    fn is_loopback(self) -> bool;
}

/// 0 for IPv4, 1 for IPv6: how far what belongs to a family lies behind the first one.
#[inline(always)]
#[must_use]
pub const fn family<A: Family>() -> usize {
    (A::BITS == 128) as usize
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

impl Family for Ipv4 {
    const BITS: u8 = 32;

    #[inline(always)]
    fn masked(self, length: u8) -> Self {
        Self(
            (u64::from(self.0) & (u64::MAX << (32u32.wrapping_sub(u32::from(length)) & 63))) as u32,
        )
    }

    #[inline(always)]
    fn to_words(self) -> [u64; 2] {
        [0, u64::from(self.0)]
    }

    #[inline(always)]
    fn from_words([_, address]: [u64; 2]) -> Self {
        Self(address as u32)
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
    fn is_routed_group(self) -> bool {
        // 224.0.1.0 to 239.255.255.255.
        self.0 >> 8 > 0xe0_0000 && self.0 >> 28 == 0xe
    }

    #[inline(always)]
    fn is_loopback(self) -> bool {
        // All of 127.0.0.0/8 (RFC 1122, 3.2.1.3), which Linux takes in from outside where
        // `route_localnet` is set.
        self.0 >> 24 == 127
    }
}

impl Family for Ipv6 {
    const BITS: u8 = 128;

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
    fn to_words(self) -> [u64; 2] {
        [self.high, self.low]
    }

    #[inline(always)]
    fn from_words([high, low]: [u64; 2]) -> Self {
        Self { high, low }
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
    fn is_routed_group(self) -> bool {
        // Scopes 1 and 2 are of an interface and of a link.
        self.is_group() && (self.high >> 48) as u8 & 0xf > 2
    }

    #[inline(always)]
    fn is_loopback(self) -> bool {
        // ::1 (RFC 4291, 2.5.3).
        self.high | (self.low ^ 1) == 0
    }
}

#[cfg(test)]
mod tests;
