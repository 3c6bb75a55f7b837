//! Where a packet comes from: MAC address, VLAN tags and interface.

use super::{
    ethernet::{Frame, VlanTags},
    packet::Packet,
};
use crate::reason::Reason;

/// Where a packet comes from besides its address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Source MAC address, first byte of the wire highest.
    pub mac: u64,
    /// [`VlanTags`] in the lower half, index of the interface in the upper.
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
            mac: packet.source_mac().unwrap_or(0),
            link: u64::from(packet.ifindex()) << 32 | u64::from(frame.tags.0),
        }
    }

    /// VLAN tags.
    #[must_use]
    pub const fn tags(self) -> VlanTags {
        VlanTags(self.link as u32)
    }

    /// Index of the interface.
    #[must_use]
    pub const fn ifindex(self) -> u32 {
        (self.link >> 32) as u32
    }

    /// Checks that `other` is equal, and tells in which part it is not.
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
