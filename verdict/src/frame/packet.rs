//! Bounds-checked access to the bytes of a frame.

use core::hint::black_box;

use super::{dhcp, ethernet, ipv4, ipv6, quic};

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

    /// [`ipv4::options`]; the kernel verifies it once, as a function of its own.
    fn ipv4_options(&self, at: u32, end: u32) -> u32
    where
        Self: Sized,
    {
        ipv4::options(self, at, end)
    }

    /// [`ipv6::extensions`]; the kernel verifies it once, as a function of its own.
    fn ipv6_extensions(&self, at: u32, next: u32) -> u64
    where
        Self: Sized,
    {
        ipv6::extensions(self, at, next)
    }

    /// The four bytes at `offset`, first byte of the wire highest; 0 past the end. The kernel verifies it
    /// once, as a function of its own.
    fn word(&self, offset: u32) -> u32
    where
        Self: Sized,
    {
        word(self, offset)
    }

    /// [`dhcp::client`]; the kernel verifies it once, as a function of its own.
    fn dhcp_client(&self, at: u32) -> u64
    where
        Self: Sized,
    {
        dhcp::client(self, at)
    }

    /// [`quic::token`]; the kernel verifies it once, as a function of its own.
    fn token(&self, at: u32) -> u64
    where
        Self: Sized,
    {
        quic::token(self, at)
    }

    /// Index of the interface that the frame arrived on.
    fn ifindex(&self) -> u32;
}

/// [`Packet::word`].
#[inline(always)]
pub fn word<P: Packet>(packet: &P, offset: u32) -> u32 {
    u32::from_be_bytes(packet.view(offset as usize).copied().unwrap_or_default())
}

/// `offset`, which is less than 64 KiB, where it is used some time after it was found: kernels before
/// 5.12 lose the bounds of a number that has lain on the stack, and see them anew in one of 16 bits.
#[inline(always)]
#[must_use]
pub fn bounded(offset: usize) -> usize {
    usize::from(black_box(offset as u16))
}
