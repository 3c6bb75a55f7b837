//! Protected addresses: those whose traffic is judged.

use super::{
    bucket::Bucketed,
    fixed::{DIRECT_ENTRIES, DIRECT_IPV4, DIRECT_IPV6},
    header::Header,
    line::{Missing, PER_LINE_64, Tables},
    region,
};
use crate::{
    frame::address::{Ipv4, Ipv6},
    hash::MIX,
};

/// Value of a protected unicast address.
pub const PROTECTED_UNICAST: u32 = 1;
/// Value of a broadcast address of the host's.
pub const PROTECTED_BROADCAST: u32 = 2;

/// Value of a protected unicast address that is not the host's own: a guest's.
pub const PROTECTED_GUEST: u32 = 3;

/// A family whose protected addresses have direct entries.
pub trait Direct: Bucketed {
    /// The direct entry that this address has if it is protected, below [`DIRECT_ENTRIES`].
    fn direct_entry(self) -> u32;

    /// The value of this address among the protected ones, 0 if it is none of them, by its direct
    /// entry; `None` if another address has that, so that this one has to be looked up among all.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    fn direct<T: Tables>(self, tables: &T) -> Result<Option<u8>, Missing>;
}

impl Direct for Ipv4 {
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
}

impl Direct for Ipv6 {
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
}

/// The value of `address` in the region of all protected ones; 0 if it is none.
#[inline(always)]
pub fn find<A: Bucketed, T: Tables>(tables: &T, address: A) -> Result<u32, Missing> {
    let header = Header::of(tables)?;
    region::find(tables, header.protected::<A>(), address, A::BITS)
}

#[cfg(test)]
mod tests;
