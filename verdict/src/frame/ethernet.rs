//! Ethernet II and VLAN tags (IEEE 802.3, 802.1Q, 802.1ad).

use core::hint::black_box;

use super::packet::Packet;
use crate::reason::Reason;

/// Length of the Ethernet header, bytes.
pub const HEADER_LEN: usize = 14;
const TAG_LEN: usize = 4;
const MAX_TAGS: usize = 2;

/// An EtherType, host byte order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// ARP (RFC 826).
    pub const ARP: Self = Self(0x0806);
    /// Customer VLAN tag (802.1Q).
    pub const VLAN: Self = Self(0x8100);
    /// Service VLAN tag (802.1ad).
    pub const SERVICE_VLAN: Self = Self(0x88a8);

    #[inline(always)]
    const fn is_tag(self) -> bool {
        self.0 == Self::VLAN.0 || self.0 == Self::SERVICE_VLAN.0
    }
}

/// The VLAN ids of a frame: outer in the upper, inner in the lower half, each with bit 12 set
/// where there is a tag. A priority tag (id 0) counts as none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VlanTags(pub u32);

impl VlanTags {
    const PRESENT: u32 = 0x1000;

    /// No tag.
    pub const NONE: Self = Self(0);

    /// One tag; `id` is 1 to 4094.
    #[must_use]
    pub const fn single(id: u16) -> Self {
        Self(Self::PRESENT | id as u32)
    }

    /// Two tags; ids are 1 to 4094.
    #[must_use]
    pub const fn stacked(outer: u16, inner: u16) -> Self {
        Self((Self::PRESENT | outer as u32) << 16 | Self::PRESENT | inner as u32)
    }

    /// Adds a tag inside of those present.
    #[inline(always)]
    const fn push(self, tci: u16) -> Self {
        let id = tci as u32 & 0xfff;
        if id == 0 {
            self
        } else {
            Self(self.0 << 16 | Self::PRESENT | id)
        }
    }
}

/// What the Ethernet header says.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// EtherType of the payload, behind the tags.
    pub ether_type: EtherType,
    /// Offset of the payload, bytes.
    pub payload: usize,
    /// VLAN tags.
    pub tags: VlanTags,
}

impl Frame {
    /// This frame if no tag lies in it (there was none, or the NIC has removed it), with the offset of
    /// the payload as a constant: the compiler then knows every offset behind it.
    #[inline(always)]
    #[must_use]
    pub const fn untagged(&self) -> Option<Self> {
        if self.payload == HEADER_LEN {
            Some(Self {
                payload: HEADER_LEN,
                ..*self
            })
        } else {
            None
        }
    }

    /// Id of its outer VLAN tag; `None` if it has no tag but a priority tag.
    #[inline(always)]
    #[must_use]
    pub const fn segment(&self) -> Option<u16> {
        let tags = self.tags.0;
        if tags == 0 {
            return None;
        }
        let outer = if tags >> 16 == 0 { tags } else { tags >> 16 };
        Some(outer as u16 & 0xfff)
    }

    /// This frame, with its values' origin hidden from the kernel's verifier: otherwise it would follow
    /// what comes next once for every number of tags.
    #[inline(always)]
    #[must_use]
    pub fn opaque(&self) -> Self {
        Self {
            ether_type: self.ether_type,
            payload: usize::from(black_box(self.payload as u8)),
            tags: VlanTags(black_box(self.tags.0)),
        }
    }
}

/// Source MAC address of the frame, in the order of the wire, in the lower 48 bits.
#[inline(always)]
pub fn source_mac<P: Packet>(packet: &P) -> Option<u64> {
    // One word with the end of the destination in front is read faster than six bytes.
    let word = u64::from_be_bytes(*packet.view::<8>(4)?);
    Some(word & 0xffff_ffff_ffff)
}

/// A MAC address as one word, first byte of the wire highest.
#[inline(always)]
#[must_use]
pub const fn mac_word(bytes: [u8; 6]) -> u64 {
    u64::from_be_bytes([
        0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5],
    ])
}

/// Id of the outer VLAN tag of a frame, however many it has; `None` if it has none, or first a priority tag.
#[inline(always)]
pub fn segment<P: Packet>(packet: &P) -> Option<u16> {
    let tci = if let Some(tci) = packet.offloaded_vlan() {
        tci
    } else {
        let &[a, b, c, d] = packet.view::<TAG_LEN>(HEADER_LEN - 2)?;
        if !EtherType(u16::from_be_bytes([a, b])).is_tag() {
            return None;
        }
        u16::from_be_bytes([c, d])
    };
    Some(tci & 0xfff).filter(|&id| id != 0)
}

/// Reads the Ethernet header and up to two VLAN tags.
///
/// # Errors
///
/// [`Reason::EthernetTruncated`], [`Reason::VlanTruncated`], [`Reason::VlanDepth`].
#[inline(always)]
pub fn parse<P: Packet>(packet: &P) -> Result<Frame, Reason> {
    let Some(&ether_type) = packet.view::<2>(HEADER_LEN - 2) else {
        return Err(Reason::EthernetTruncated);
    };
    let mut ether_type = EtherType(u16::from_be_bytes(ether_type));
    let mut payload = HEADER_LEN;
    let mut tags = VlanTags::NONE;
    let mut count = 0;
    if let Some(tci) = packet.offloaded_vlan() {
        tags = tags.push(tci);
        count = 1;
    }
    // Of constant length, so that the compiler unrolls it: kernels before 6.8 refuse a loop whose
    // first instruction follows its last one.
    for _ in 0..MAX_TAGS {
        if !ether_type.is_tag() || count == MAX_TAGS {
            break;
        }
        let Some(&[a, b, c, d]) = packet.view::<TAG_LEN>(payload) else {
            return Err(Reason::VlanTruncated);
        };
        tags = tags.push(u16::from_be_bytes([a, b]));
        ether_type = EtherType(u16::from_be_bytes([c, d]));
        payload += TAG_LEN;
        count += 1;
    }
    if ether_type.is_tag() {
        return Err(Reason::VlanDepth);
    }
    Ok(Frame {
        ether_type,
        payload,
        tags,
    })
}

#[cfg(test)]
mod tests;
