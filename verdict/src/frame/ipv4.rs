//! IPv4 (RFC 791).

use super::{
    address::Ipv4,
    icmp::Class,
    network::{Datagram, Network, Position},
    packet::Packet,
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
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_len < HEADER_LEN || total_len < header_len {
            return Err(Reason::Ipv4Header);
        }
        // The frame must hold the options even where nothing behind them is read.
        if header_len != HEADER_LEN && packet.view::<1>(at + header_len - 1).is_none() {
            return Err(Reason::Ipv4Truncated);
        }
        Ok(Datagram {
            source: Self::source(header),
            protocol: header[9],
            hop_limit: header[8],
            transport: at + header_len,
            transport_len: total_len - header_len,
            position: Position::from_ipv4(u16::from_be_bytes([header[6], header[7]])),
            identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
        })
    }
}

#[cfg(test)]
mod tests;
