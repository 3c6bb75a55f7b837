//! Packets that may belong to a connection the host opened.
//!
//! This is the one place that lets a packet in without a rule, and it looks at the packet alone:
//! it is weaker than tracking connections. TCP that does not open a connection can only be
//! answered with a reset unless the host holds one; UDP is narrowed to the ports that outbound
//! services use; ICMP to errors and echo replies.

use crate::{
    address::Family,
    image::{OUTBOUND_UDP, Tables, bit},
    judge::Datagram,
    packet::Packet,
    reason::Reason,
    transport::{ACK, IpProtocol, Ports, SYN, TCP_FLAGS, icmp, icmpv6},
};

/// Whether `datagram`, which asks for no service of the host, may answer the host.
///
/// # Errors
///
/// [`Reason::TransportTruncated`] if the header ends too early to tell.
#[inline(always)]
pub fn may_belong<A: Family, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    datagram: &Datagram<A>,
    ports: Ports,
) -> Result<bool, Reason> {
    match IpProtocol(datagram.protocol) {
        IpProtocol::TCP => {
            let [_, flags] = bytes(packet, datagram.transport + TCP_FLAGS - 1)?;
            Ok(flags & (SYN | ACK) != SYN)
        }
        IpProtocol::UDP => Ok(bit(tables, OUTBOUND_UDP, u32::from(ports.source()))?),
        _ => answers(packet, datagram),
    }
}

/// Whether `datagram` is an ICMP error or echo reply, which asks for nothing, whoever may ping.
///
/// # Errors
///
/// [`Reason::TransportTruncated`] if the header ends too early to tell.
#[inline(always)]
pub fn answers<A: Family, P: Packet>(packet: &P, datagram: &Datagram<A>) -> Result<bool, Reason> {
    match IpProtocol(datagram.protocol) {
        IpProtocol::ICMP => {
            let [kind, _code] = bytes(packet, datagram.transport)?;
            Ok(matches!(
                kind,
                icmp::ECHO_REPLY
                    | icmp::UNREACHABLE
                    | icmp::TIME_EXCEEDED
                    | icmp::PARAMETER_PROBLEM
            ))
        }
        IpProtocol::ICMPV6 => {
            let [kind, _code] = bytes(packet, datagram.transport)?;
            Ok(kind == icmpv6::ECHO_REPLY || icmpv6::ERRORS.contains(&kind))
        }
        _ => Ok(false),
    }
}

#[inline(always)]
fn bytes<P: Packet>(packet: &P, at: usize) -> Result<[u8; 2], Reason> {
    match packet.view::<2>(at) {
        Some(&bytes) => Ok(bytes),
        None => Err(Reason::TransportTruncated),
    }
}

#[cfg(test)]
mod tests;
