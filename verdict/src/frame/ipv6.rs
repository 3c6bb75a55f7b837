//! IPv6 and its extension headers (RFC 8200).

use super::{
    address::Ipv6,
    icmp::Class,
    network::{Datagram, Network, Position, super_packet},
    packet::Packet,
    transport::{IpProtocol, PORTS_LEN},
};
use crate::reason::Reason;

const HEADER_LEN: usize = 40;
/// Extension headers that are followed; more is no packet of a well-meaning sender.
const MAX_EXTENSIONS: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

#[inline(always)]
fn word<const AT: usize>(header: &[u8; HEADER_LEN]) -> u64 {
    let at = AT;
    u64::from_be_bytes([
        header[at],
        header[at + 1],
        header[at + 2],
        header[at + 3],
        header[at + 4],
        header[at + 5],
        header[at + 6],
        header[at + 7],
    ])
}

impl Network for Ipv6 {
    type Header = [u8; HEADER_LEN];

    const ICMP: IpProtocol = IpProtocol::ICMPV6;

    const TRUNCATED: Reason = Reason::Ipv6Truncated;

    #[inline(always)]
    fn icmp_class(kind: u8) -> Class {
        Class::of_icmpv6(kind)
    }

    const HEADER_LEN: usize = HEADER_LEN;

    #[inline(always)]
    fn plain(header: &Self::Header) -> Option<IpProtocol> {
        let protocol = IpProtocol(header[6]);
        (header[0] >> 4 == 6 && !is_extension(protocol.0)).then_some(protocol)
    }

    #[inline(always)]
    fn payload_len(header: &Self::Header) -> Option<u32> {
        Some(u16::from_be_bytes([header[4], header[5]]).into())
    }

    /// `DHCPv6` answers an address of the host's, and is judged as all to that is.
    #[inline(always)]
    fn may_be_dhcp_answer(_: &Self::Header, _: &[u8; PORTS_LEN]) -> bool {
        false
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
        Self {
            high: word::<8>(header),
            low: word::<16>(header),
        }
    }

    #[inline(always)]
    fn destination(header: &Self::Header) -> Self {
        Self {
            high: word::<24>(header),
            low: word::<32>(header),
        }
    }

    #[inline(always)]
    fn datagram<P: Packet>(
        packet: &P,
        at: usize,
        header: &Self::Header,
    ) -> Result<Datagram<Self>, Reason> {
        if header[0] >> 4 != 6 {
            return Err(Reason::Ipv6Header);
        }
        let chain = Chain(packet.ipv6_extensions((at + HEADER_LEN) as u32, header[6].into()));
        chain.check()?;
        let transport = chain.transport();
        let payload_len = match u16::from_be_bytes([header[4], header[5]]) {
            0 => super_packet(packet, at).map_or(0, |len| len - HEADER_LEN),
            len => len.into(),
        };
        let extensions_len = transport - at - HEADER_LEN;
        if payload_len < extensions_len {
            return Err(Reason::ExtensionTruncated);
        }
        Ok(Datagram {
            source: Self::source(header),
            protocol: chain.protocol(),
            hop_limit: header[7],
            transport,
            transport_len: payload_len - extensions_len,
            position: Position::from_ipv4(chain.field(Chain::POSITION)),
            identification: usize::from(chain.field(Chain::IDENTIFICATION)),
        })
    }

    #[inline(always)]
    fn identification<P: Packet>(packet: &P, at: usize) -> u32 {
        packet.word(at as u32)
    }

    #[inline(always)]
    fn check_options<P: Packet>(_: &P, _: usize, _: usize) -> Result<(), Reason> {
        Ok(())
    }
}

/// What the chain of extension headers ends in, in one word: protocol in bits 0 to 7, offset of the
/// transport header in 8 to 22, [`Position`] as IPv4 writes it in 24 to 39, offset of the
/// identification in 40 to 54; if bit 63 is set, the code of a [`Reason`] in bits 0 to 7.
#[derive(Clone, Copy)]
struct Chain(u64);

impl Chain {
    const TRANSPORT: u32 = 8;
    const POSITION: u32 = 24;
    const IDENTIFICATION: u32 = 40;
    const BROKEN: u64 = 1 << 63;
    const OFFSETS: usize = 0x7fff;

    const fn broken(reason: Reason) -> Self {
        Self(Self::BROKEN | reason.code() as u64)
    }

    const fn new(
        protocol: u8,
        transport: usize,
        position: Position,
        identification: usize,
    ) -> Self {
        Self(
            protocol as u64
                | ((transport & Self::OFFSETS) as u64) << Self::TRANSPORT
                | (position.to_ipv4() as u64) << Self::POSITION
                | ((identification & Self::OFFSETS) as u64) << Self::IDENTIFICATION,
        )
    }

    /// # Errors
    ///
    /// Why the chain cannot be followed.
    #[inline(always)]
    const fn check(self) -> Result<(), Reason> {
        const TRUNCATED: u8 = Reason::ExtensionTruncated.code();
        const DEPTH: u8 = Reason::ExtensionDepth.code();
        if self.0 & Self::BROKEN == 0 {
            return Ok(());
        }
        Err(match self.protocol() {
            TRUNCATED => Reason::ExtensionTruncated,
            DEPTH => Reason::ExtensionDepth,
            _ => Reason::RoutingHeader,
        })
    }

    #[inline(always)]
    const fn protocol(self) -> u8 {
        self.0 as u8
    }

    #[inline(always)]
    const fn transport(self) -> usize {
        self.field(Self::TRANSPORT) as usize & Self::OFFSETS
    }

    #[inline(always)]
    const fn field(self, shift: u32) -> u16 {
        (self.0 >> shift) as u16
    }
}

/// Follows the extension headers from offset `at`, the first of which has the number `next`; what the
/// chain ends in, as a word that only this file reads.
///
/// A fragment header that neither has an offset nor is followed by more makes an atomic fragment,
/// a whole packet (RFC 6946).
#[inline(always)]
pub fn extensions<P: Packet>(packet: &P, at: u32, next: u32) -> u64 {
    follow(packet, at as usize, next as u8)
        .unwrap_or_else(Chain::broken)
        .0
}

#[inline(always)]
fn follow<P: Packet>(packet: &P, mut at: usize, mut next: u8) -> Result<Chain, Reason> {
    let mut position = Position::WHOLE;
    let mut identification = 0;
    let mut count = 0;
    while count < MAX_EXTENSIONS {
        match next {
            HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING => {
                let [following, len, _, segments_left] = read4(packet, at)?;
                if next == ROUTING && segments_left != 0 {
                    return Err(Reason::RoutingHeader);
                }
                next = following;
                at += 8 + usize::from(len) * 8;
            }
            FRAGMENT => {
                let Some(&[following, _, high, low, ..]) = packet.view::<8>(at) else {
                    return Err(Reason::ExtensionTruncated);
                };
                next = following;
                identification = at + 4;
                at += 8;
                position = Position::from_ipv6(u16::from_be_bytes([high, low]));
                // What follows the header of a later fragment is payload, whatever it looks like.
                if position.offset() != 0 {
                    return Ok(Chain::new(next, at, position, identification));
                }
            }
            _ => return Ok(Chain::new(next, at, position, identification)),
        }
        count += 1;
    }
    if is_extension(next) {
        return Err(Reason::ExtensionDepth);
    }
    Ok(Chain::new(next, at, position, identification))
}

/// Whether an extension header that is followed has this number.
#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING | FRAGMENT)
}

#[inline(always)]
fn read4<P: Packet>(packet: &P, at: usize) -> Result<[u8; 4], Reason> {
    match packet.view::<4>(at) {
        Some(bytes) => Ok(*bytes),
        None => Err(Reason::ExtensionTruncated),
    }
}

#[cfg(test)]
mod tests;
