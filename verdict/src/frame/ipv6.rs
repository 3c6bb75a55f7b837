//! IPv6 and its extension headers (RFC 8200).

use super::{
    address::Ipv6,
    icmp::Class,
    network::{Datagram, Network, Position},
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
        let chain = extensions(packet, at + HEADER_LEN, header[6])?;
        let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let extensions_len = chain.transport - at - HEADER_LEN;
        if payload_len < extensions_len {
            return Err(Reason::ExtensionTruncated);
        }
        Ok(Datagram {
            source: Self::source(header),
            protocol: chain.protocol,
            hop_limit: header[7],
            transport: chain.transport,
            transport_len: payload_len - extensions_len,
            position: chain.position,
            identification: chain.identification,
        })
    }
}

/// What the chain of extension headers ends in.
struct Chain {
    protocol: u8,
    transport: usize,
    position: Position,
    identification: u32,
}

/// Follows the extension headers from `at`, the first of which is `next`.
///
/// A fragment header that neither has an offset nor is followed by more makes an atomic fragment,
/// a whole packet (RFC 6946).
#[inline(always)]
fn extensions<P: Packet>(packet: &P, mut at: usize, mut next: u8) -> Result<Chain, Reason> {
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
                let Some(&[following, _, high, low, a, b, c, d]) = packet.view::<8>(at) else {
                    return Err(Reason::ExtensionTruncated);
                };
                next = following;
                identification = u32::from_be_bytes([a, b, c, d]);
                at += 8;
                position = Position::from_ipv6(u16::from_be_bytes([high, low]));
                // What follows the header of a later fragment is payload, whatever it looks like.
                if position.offset() != 0 {
                    return Ok(Chain {
                        protocol: next,
                        transport: at,
                        position,
                        identification,
                    });
                }
            }
            _ => {
                return Ok(Chain {
                    protocol: next,
                    transport: at,
                    position,
                    identification,
                });
            }
        }
        count += 1;
    }
    if is_extension(next) {
        return Err(Reason::ExtensionDepth);
    }
    Ok(Chain {
        protocol: next,
        transport: at,
        position,
        identification,
    })
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
