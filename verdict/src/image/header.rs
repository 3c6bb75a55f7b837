//! The header of an image.

use super::{
    fixed::HEADER,
    line::{Line, Missing, Tables},
    region::Region,
};
use crate::frame::address::{Family, family};

/// Words of the header line.
pub mod word {
    /// [`Flags`](super::Flags).
    pub const FLAGS: usize = 0;
    /// Region of the protected IPv4 addresses; IPv6 has the next word.
    pub const PROTECTED: usize = 1;
    /// Region of the IPv4 endpoints; IPv6 has the next word.
    pub const ENDPOINTS: usize = 3;
    /// First line of the service rules (upper half) and of the endpoint records (lower half).
    pub const RECORDS: usize = 5;
    /// Sets of roles that hold some permission, inbound or outbound, one bit each; bit 0 if anyone does.
    pub const ROLES: usize = 6;
    /// First line of the [places](crate::image::place) (upper half), and how many lines the rules of a
    /// choice take (lower half).
    pub const PLACES: usize = 7;
}

/// The first word of the header.
///
/// Bits 0 to 7: [`Modes`]. Bits 8 to 15: longest IPv4 prefix length; 16 to 23: of IPv6. Bits 24 to
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
        let bytes = [
            modes.0, longest[0], longest[1], counts[0], counts[1], 0, 0, 0,
        ];
        Self(u64::from_le_bytes(bytes) | (version as u64) << 48)
    }

    /// These flags for an image in `slot`.
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
    /// The policy protects every address of the host: at sockets, groups and addresses that are not
    /// listed are judged, too.
    pub const EVERY_ADDRESS: Self = Self(16);
    /// The image tells which VLANs carry the host's traffic ([`segments`](super::segments)); without, any may.
    pub const SEGMENTS: Self = Self(32);

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
        Flags(self.words[word::FLAGS])
    }

    /// Where the protected addresses of `A` lie.
    #[inline(always)]
    #[must_use]
    pub const fn protected<A: Family>(self) -> Region {
        Region::from_word(self.words[word::PROTECTED + family::<A>()])
    }

    /// Where the endpoints of `A` lie.
    #[inline(always)]
    #[must_use]
    pub const fn endpoints<A: Family>(self) -> Region {
        Region::from_word(self.words[word::ENDPOINTS + family::<A>()])
    }

    /// First line of the service rules.
    #[inline(always)]
    #[must_use]
    pub const fn rules(self) -> u64 {
        self.words[word::RECORDS] >> 32
    }

    /// First line of the endpoint records.
    #[inline(always)]
    #[must_use]
    pub const fn records(self) -> u64 {
        self.words[word::RECORDS] as u32 as u64
    }

    /// First line of the [places](super::place) that rules are limited to.
    #[inline(always)]
    #[must_use]
    pub const fn places(self) -> u64 {
        self.words[word::PLACES] >> 32
    }

    /// Lines from the rules of one choice to those of the next.
    #[inline(always)]
    #[must_use]
    pub const fn choice_lines(self) -> u64 {
        self.words[word::PLACES] as u32 as u64
    }

    /// Whether `role` holds some permission.
    #[inline(always)]
    #[must_use]
    pub const fn knows(self, role: u8) -> bool {
        self.words[word::ROLES] >> (role & 63) & 1 != 0
    }
}

#[cfg(test)]
mod tests;
