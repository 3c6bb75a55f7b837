//! IPv4 (RFC 791).

use core::hint::black_box;

use super::{
    address::Ipv4,
    dhcp,
    icmp::Class,
    network::{Datagram, Network, Position, super_packet},
    packet::{Packet, bounded},
    transport::{IpProtocol, PORTS_LEN},
};
use crate::reason::Reason;

const HEADER_LEN: usize = 20;
/// First byte of a header without options: version 4, five words.
const PLAIN: u8 = 0x45;

/// The 16 bits at offset `AT`, read at once.
#[inline(always)]
fn field<const AT: usize>(header: &[u8; HEADER_LEN]) -> [u8; 2] {
    let (_, rest) = header.split_at(AT);
    rest.first_chunk().copied().unwrap_or_default()
}

impl Network for Ipv4 {
    type Header = [u8; HEADER_LEN];

    const ICMP: IpProtocol = IpProtocol::ICMP;

    const TRUNCATED: Reason = Reason::Ipv4Truncated;

    #[inline(always)]
    fn icmp_class(kind: u8) -> Class {
        Class::of_icmp(kind)
    }

    const HEADER_LEN: usize = HEADER_LEN;

    #[inline(always)]
    fn plain(header: &Self::Header) -> Option<IpProtocol> {
        let protocol = IpProtocol(header[9]);
        let position = Position::from_ipv4(u16::from_be_bytes(field::<6>(header)));
        (header[0] == PLAIN && position.is_whole()).then_some(protocol)
    }

    #[inline(always)]
    fn payload_len(header: &Self::Header) -> Option<u32> {
        u32::from(u16::from_be_bytes(field::<2>(header))).checked_sub(HEADER_LEN as u32)
    }

    #[inline(always)]
    fn may_be_dhcp_answer(header: &Self::Header, ports: &[u8; PORTS_LEN]) -> bool {
        dhcp::may_be_answer(header[0], header[9], *ports)
    }

    #[inline(always)]
    fn header<P: Packet>(packet: &P, at: usize) -> Option<&Self::Header> {
        packet.view::<HEADER_LEN>(at)
    }

    #[inline(always)]
    fn header_and_ports<P: Packet>(
        packet: &P,
        at: usize,
    ) -> Option<(&Self::Header, &[u8; PORTS_LEN])> {
        let bytes = packet.view::<{ HEADER_LEN + PORTS_LEN }>(at)?;
        Some((bytes.first_chunk()?, bytes.last_chunk()?))
    }

    #[inline(always)]
    fn source(header: &Self::Header) -> Self {
        Self(u32::from_be_bytes([
            header[12], header[13], header[14], header[15],
        ]))
    }

    #[inline(always)]
    fn destination(header: &Self::Header) -> Self {
        Self(u32::from_be_bytes([
            header[16], header[17], header[18], header[19],
        ]))
    }

    #[inline(always)]
    fn datagram<P: Packet>(
        packet: &P,
        at: usize,
        header: &Self::Header,
    ) -> Result<Datagram<Self>, Reason> {
        let header_len = match header[0] {
            PLAIN => HEADER_LEN,
            first if first >> 4 == 4 => usize::from(first & 0x0f) * 4,
            _ => return Err(Reason::Ipv4Header),
        };
        let total_len = match u16::from_be_bytes([header[2], header[3]]) {
            0 => super_packet(packet, at).unwrap_or(0),
            len => len.into(),
        };
        if header_len < HEADER_LEN || total_len < header_len {
            return Err(Reason::Ipv4Header);
        }
        // The frame must hold the options even where nothing behind them is read.
        if header_len != HEADER_LEN && packet.view::<1>(bounded(at + header_len) - 1).is_none() {
            return Err(Reason::Ipv4Truncated);
        }
        Ok(Datagram {
            source: Self::source(header),
            protocol: header[9],
            hop_limit: header[8],
            transport: at + header_len,
            transport_len: total_len - header_len,
            position: Position::from_ipv4(u16::from_be_bytes([header[6], header[7]])),
            identification: at + 4,
        })
    }

    #[inline(always)]
    fn identification<P: Packet>(packet: &P, at: usize) -> u32 {
        let bytes = packet.view::<2>(at).copied().unwrap_or_default();
        u16::from_be_bytes(bytes).into()
    }

    #[inline(always)]
    fn check_options<P: Packet>(packet: &P, at: usize, transport: usize) -> Result<(), Reason> {
        if transport == at + HEADER_LEN {
            return Ok(());
        }
        match packet.ipv4_options((at + HEADER_LEN) as u32, transport as u32) {
            USUAL_OPTIONS => Ok(()),
            SOURCE_ROUTE => Err(Reason::SourceRoute),
            _ => Err(Reason::Ipv4Header),
        }
    }
}

/// Options that do not matter.
pub const USUAL_OPTIONS: u32 = 0;
/// An option prescribes the route.
pub const SOURCE_ROUTE: u32 = 1;
/// The length of an option contradicts that of the header.
pub const BROKEN_OPTIONS: u32 = 2;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
/// Most options that there can be.
const MAX_OPTIONS: u32 = 40;

/// What the options from offset `at` to offset `end` ask for: [`USUAL_OPTIONS`], [`SOURCE_ROUTE`] or
/// [`BROKEN_OPTIONS`].
#[inline(always)]
pub fn options<P: Packet>(packet: &P, at: u32, end: u32) -> u32 {
    let mut at = at;
    let mut count = 0;
    while count < MAX_OPTIONS && at < end {
        // One that prescribes a route takes more bytes than a single one at the end.
        let Some(&[kind, len]) = packet.view::<2>(at as usize) else {
            return USUAL_OPTIONS;
        };
        // Its origin is hidden from the kernel's verifier, which then follows what comes next only once.
        let step = black_box(match kind {
            END_OF_OPTIONS => return USUAL_OPTIONS,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return SOURCE_ROUTE,
            NO_OPERATION => 1,
            _ if len < 2 => return BROKEN_OPTIONS,
            _ => len,
        });
        at = black_box(at + u32::from(step));
        count += 1;
    }
    if at > end {
        return BROKEN_OPTIONS;
    }
    USUAL_OPTIONS
}

#[cfg(test)]
mod tests;
