//! Neighbour and listener discovery that comes in.

use crate::{
    frame::{
        address::Family,
        icmp::{BODY, Message},
        network::Datagram,
        packet::{Packet, bounded},
    },
    image::lookup::Destination,
    reason::{Outcome, Reason},
};

const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const LISTENER_QUERY: u8 = 130;

/// Checks a message of neighbour discovery that comes in (RFC 4861, 6.1 and 7.1; RFC 6980).
///
/// # Errors
///
/// [`Reason::DiscoveryFragmented`], [`Reason::HopLimit`], [`Reason::DiscoveryInvalid`], [`Reason::TransportTruncated`].
#[inline(always)]
pub fn neighbour<A: Family, P: Packet>(
    packet: &P,
    datagram: &Datagram<A>,
    message: Message,
) -> Result<Outcome, Reason> {
    // Fragments hide it from those who guard a link.
    if datagram.identification != 0 {
        return Err(Reason::DiscoveryFragmented);
    }
    // It never crosses a router, so the hop limit is still what it was sent with.
    if datagram.hop_limit != 255 {
        return Err(Reason::HopLimit);
    }
    if message.code != 0 {
        return Err(Reason::DiscoveryInvalid);
    }
    if message.kind >= NEIGHBOUR_SOLICITATION {
        let Some(target) = packet.view::<16>(bounded(datagram.transport) + BODY) else {
            return Err(Reason::TransportTruncated);
        };
        if datagram.transport_len < BODY + 16 || target[0] == 0xff {
            return Err(Reason::DiscoveryInvalid);
        }
    }
    if message.kind == ROUTER_ADVERTISEMENT
        && (datagram.transport_len < 16 || !datagram.source.is_link_local())
    {
        return Err(Reason::DiscoveryInvalid);
    }
    Ok(Outcome::new(Reason::NeighbourDiscovery, false, 0, 0))
}

/// Checks a message of multicast listener discovery that comes in (RFC 3810, 5; RFC 3590).
///
/// # Errors
///
/// [`Reason::HopLimit`], [`Reason::DiscoveryInvalid`].
#[inline(always)]
pub fn listener<A: Family>(
    datagram: &Datagram<A>,
    destination: Destination,
    kind: u8,
) -> Result<Outcome, Reason> {
    if datagram.hop_limit != 1 {
        return Err(Reason::HopLimit);
    }
    let source = datagram.source;
    // A host that has no address yet reports with the unspecified one.
    if !source.is_link_local() && (kind == LISTENER_QUERY || !source.is_unspecified()) {
        return Err(Reason::DiscoveryInvalid);
    }
    Ok(Outcome::new(
        match destination {
            Destination::Protected => Reason::GroupMembership,
            _ => Reason::Unprotected,
        },
        false,
        0,
        0,
    ))
}
