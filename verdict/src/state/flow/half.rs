//! What one side of a flow has sent.

/// What one side has sent.
///
/// Bits 0 to 43: bytes of whole frames. Bits 44 to 47: what was seen. Bits 48 to 63, the mark: of a
/// connection, half of the tick at which it was opened; of fragments, what the first was counted under.
///
/// Only packets of this side change it, so two CPUs seldom do at once; what they then lose is the
/// count of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Half(pub u64);

impl Half {
    const BYTES: u64 = (1 << 44) - 1;
    pub(super) const FLAGS_SHIFT: u32 = 44;
    const MARK_SHIFT: u32 = 48;

    /// The remote side has sent something that belongs to an open connection.
    pub const SEEN: u64 = 1 << 44;
    /// TCP: the side has sent FIN.
    pub const FIN: u64 = 1 << 45;
    /// TCP and SCTP: the side has ended the connection. Fragments: the first was dropped.
    pub const ENDED: u64 = 1 << 46;
    /// The side's number ([`Entry`](super::Entry)) is known.
    pub const KNOWN: u64 = 1 << 47;

    /// Nothing sent, but with these flags and this mark.
    #[inline(always)]
    #[must_use]
    pub const fn new(flags: u64, mark: u16) -> Self {
        Self(flags | (mark as u64) << Self::MARK_SHIFT)
    }

    /// After one more packet of `bytes` bytes, without the flags `gone`, and with `flags`.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, bytes: u64, gone: u64, flags: u64) -> Self {
        let total = (self.0 & Self::BYTES).wrapping_add(bytes) & Self::BYTES;
        Self(self.0 & !(Self::BYTES | gone) | total | flags)
    }

    /// Whether any of `flags` is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    /// The mark.
    #[inline(always)]
    #[must_use]
    pub const fn mark(self) -> u16 {
        (self.0 >> Self::MARK_SHIFT) as u16
    }

    /// With another mark.
    #[inline(always)]
    #[must_use]
    pub const fn marked(self, mark: u16) -> Self {
        Self(self.0 & ((1 << Self::MARK_SHIFT) - 1) | (mark as u64) << Self::MARK_SHIFT)
    }

    /// Bytes of whole frames, modulo 16 TiB.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 & Self::BYTES
    }
}
