//! A frame in memory, as the verdict crate reads it.

use verdict::packet::Packet;

/// A frame with what the hook knows besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// From the destination MAC address on.
    pub bytes: &'a [u8],
    /// Index of the interface that it arrives on.
    pub ifindex: u32,
    /// VLAN tag (TCI, host byte order) that was taken out of the frame.
    pub vlan: Option<u16>,
}

impl Packet for Frame<'_> {
    fn view<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        self.bytes
            .get(offset..offset.checked_add(N)?)?
            .try_into()
            .ok()
    }

    fn offloaded_vlan(&self) -> Option<u16> {
        self.vlan
    }

    fn frame_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn ifindex(&self) -> u32 {
        self.ifindex
    }
}
