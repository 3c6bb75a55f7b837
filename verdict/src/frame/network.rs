//! The network header, whichever family it is of.

use super::{
    address::Family,
    icmp,
    packet::Packet,
    transport::{IpProtocol, PORTS_LEN},
};
use crate::reason::Reason;

/// Where in a datagram a packet lies, as IPv4 writes it: offset in units of 8 bytes in bits 0 to
/// 12, "more fragments" in bit 13 (RFC 791).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position(u16);

impl Position {
    const OFFSET: u16 = 0x1fff;
    const MORE: u16 = 0x2000;

    /// Not fragmented.
    pub const WHOLE: Self = Self(0);

    /// The position in the flags and offset field of an IPv4 header.
    #[inline(always)]
    #[must_use]
    pub const fn from_ipv4(field: u16) -> Self {
        Self(field & (Self::MORE | Self::OFFSET))
    }

    /// The position in the offset and flag field of an IPv6 fragment header (RFC 8200).
    #[inline(always)]
    #[must_use]
    pub const fn from_ipv6(field: u16) -> Self {
        Self(field >> 3 | (field & 1) << 13)
    }

    /// Offset in units of 8 bytes; not 0 for a later fragment.
    #[inline(always)]
    #[must_use]
    pub const fn offset(self) -> u16 {
        self.0 & Self::OFFSET
    }

    /// Whether this is the first of several fragments.
    #[inline(always)]
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.0 == Self::MORE
    }

    /// Whether this is all of the datagram, also with a fragment header (RFC 6946).
    #[inline(always)]
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.0 == 0
    }
}

/// What the network header says.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<A> {
    /// Source address.
    pub source: A,
    /// Protocol of the transport header.
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// Offset of the transport header in the frame, bytes.
    pub transport: usize,
    /// Bytes from there on, according to the network header.
    pub transport_len: usize,
    /// Which part of a datagram this is.
    pub position: Position,
    /// What the parts of a datagram have in common; IPv4 has 16 bits of it.
    pub identification: u32,
}

impl<A> Datagram<A> {
    /// Refuses a packet that has no room for the whole transport header.
    ///
    /// # Errors
    ///
    /// [`Reason::TransportTruncated`], [`Reason::FragmentTiny`].
    #[inline(always)]
    pub fn check_length(&self) -> Result<(), Reason> {
        if self.transport_len >= IpProtocol(self.protocol).header_len() {
            return Ok(());
        }
        Err(if self.position.is_whole() {
            Reason::TransportTruncated
        } else {
            Reason::FragmentTiny
        })
    }
}

/// A network protocol: an address family and how its packets are read.
///
/// The destination is read first, because a packet to an unprotected address needs no more.
pub trait Network: Family {
    /// The header without options or extensions.
    type Header;

    /// Protocol number of the family's ICMP.
    const ICMP: IpProtocol;

    /// What a message of the family's ICMP is for.
    fn icmp_class(kind: u8) -> icmp::Class;

    /// Reason for a frame that ends within this header.
    const TRUNCATED: Reason;

    /// Length of the header without options or extensions, bytes.
    const HEADER_LEN: usize;

    /// The protocol of a whole packet that has neither options nor extensions; `None` for all others.
    fn plain(header: &Self::Header) -> Option<IpProtocol>;

    /// Bytes behind this header of such a packet, as that says itself; `None` if it is not even its own
    /// length.
    fn payload_len(header: &Self::Header) -> Option<u32>;

    /// Reads the header at offset `at`.
    fn header<P: Packet>(packet: &P, at: usize) -> Option<&Self::Header>;

    /// Reads the header at offset `at`, and what lies behind it: the ports of a plain packet.
    fn header_and_ports<P: Packet>(
        packet: &P,
        at: usize,
    ) -> Option<(&Self::Header, &[u8; PORTS_LEN])>;

    /// The source address.
    fn source(header: &Self::Header) -> Self;

    /// The destination address.
    fn destination(header: &Self::Header) -> Self;

    /// Checks the header and finds the transport header.
    ///
    /// # Errors
    ///
    /// The reason to drop a packet that cannot be parsed.
    fn datagram<P: Packet>(
        packet: &P,
        at: usize,
        header: &Self::Header,
    ) -> Result<Datagram<Self>, Reason>;
}
