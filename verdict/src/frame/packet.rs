//! Bounds-checked access to the bytes of a frame.

use super::ethernet;

/// A frame, starting at its destination MAC address; at a socket, a packet that starts at its network
/// header.
pub trait Packet {
    /// Whether VLAN tags and the interface are those of the wire. At a socket both are gone.
    const SEES_LINK: bool = true;

    /// Source MAC address, in the order of the wire, in the lower 48 bits; `None` if there is none.
    #[inline(always)]
    fn source_mac(&self) -> Option<u64>
    where
        Self: Sized,
    {
        ethernet::source_mac(self)
    }

    /// The `N` bytes at `offset` bytes from the start; `None` past the end of what can be read.
    ///
    /// The end is that of the first buffer: headers that a driver split across buffers count as
    /// truncated. `N` is at least 2, as the verifier does not follow the check of a single byte. A
    /// view is checked once, and its fields are loaded only where they are used.
    fn view<const N: usize>(&self, offset: usize) -> Option<&[u8; N]>;

    /// The VLAN tag (TCI, host byte order) that was taken out of the frame before this program
    /// saw it, if the hook can tell. XDP cannot.
    fn offloaded_vlan(&self) -> Option<u16>;

    /// Length of the whole frame, bytes, in all of its buffers.
    fn frame_len(&self) -> u64;

    /// Index of the interface that the frame arrived on.
    fn ifindex(&self) -> u32;
}
