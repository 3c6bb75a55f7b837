//! The decision.
//!
//! Cheapest check first: most packets are not for a protected address and leave after one look
//! at the filter. Every failure is a [`Reason`] of its own; what governs a packet (a rule, or
//! nothing) decides whether a drop is enforced or audited.

pub use crate::address::{PROTECTED_BROADCAST, PROTECTED_UNICAST};
use crate::{
    address::{Family, Ipv4, Ipv6},
    endpoint::{self, Record},
    ethernet::{self, EtherType, Frame},
    host_opened,
    image::{FILTER, Header, Missing, Tables, bit},
    packet::Packet,
    reason::{Outcome, Reason, Verdict},
    service::{self, GOVERNING},
    table,
    transport::{IpProtocol, Ports, icmpv6},
};

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
}

/// A network protocol: an address family and how its packets are read.
///
/// The destination is read first, because a packet to an unprotected address needs no more.
pub trait Network: Family {
    /// The header without options or extensions.
    type Header;

    /// Reason for a frame that ends within this header.
    const TRUNCATED: Reason;

    /// Reads the header at offset `at`.
    fn header<P: Packet>(packet: &P, at: usize) -> Option<&Self::Header>;

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

/// What kind of address a packet is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Destination {
    Unprotected,
    Protected,
    /// Multicast or broadcast: enforced where it asks for a service of the host, as a socket
    /// bound to every address receives it; free otherwise, as neighbours and tenants need it.
    Group,
}

/// Decides about `packet` by the policy in `tables`.
#[inline(always)]
pub fn judge<P: Packet, T: Tables>(packet: &P, tables: &T) -> Outcome {
    let frame = match ethernet::parse(packet) {
        Ok(frame) => frame,
        Err(reason) => return ungoverned(tables, reason, 0),
    };
    let decision = match frame.ether_type {
        EtherType::IPV4 => network::<Ipv4, P, T>(packet, tables, &frame),
        EtherType::IPV6 => network::<Ipv6, P, T>(packet, tables, &frame),
        _ => return pass(Reason::NotIp, 0),
    };
    match decision {
        Ok(outcome) => outcome,
        Err(reason) => ungoverned(tables, reason, 0),
    }
}

/// Decides about an IP packet. `Err` is a reason that no rule governs and no endpoint is known for.
#[inline(always)]
fn network<A: Network, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    frame: &Frame,
) -> Result<Outcome, Reason> {
    let Some(header) = A::header(packet, frame.payload) else {
        return Err(A::TRUNCATED);
    };
    let policy = Header::of(tables)?;
    let destination = destination(tables, policy, A::destination(header))?;
    if destination == Destination::Unprotected {
        return Ok(pass(Reason::Unprotected, 0));
    }
    let datagram = A::datagram(packet, frame.payload, header)?;
    let inbound = Inbound {
        packet,
        tables,
        policy,
        frame,
        datagram: &datagram,
    };
    if datagram.position.offset() == 0 {
        return inbound.opening(destination);
    }
    // Without its first fragment, which is judged, no datagram to a group is delivered.
    if destination == Destination::Group {
        return Ok(pass(Reason::Unprotected, 0));
    }
    inbound.later_fragment()
}

/// Finds what kind of address `address` is.
///
/// One line tells of most unprotected addresses, and a second one of most protected ones; only
/// where two share their bit of the filter is one of them looked up among all.
#[inline(always)]
fn destination<A: Network, T: Tables>(
    tables: &T,
    policy: Header<'_>,
    address: A,
) -> Result<Destination, Missing> {
    let filter_bit = address.filter_bit();
    if bit(tables, FILTER, filter_bit)? {
        let mut value = address.direct(tables, filter_bit)?;
        if value == 0 {
            let region = policy.protected::<A>();
            value = table::find(tables, region, policy.seed(), address, A::BITS)?;
        }
        match value {
            0 => {}
            PROTECTED_BROADCAST => return Ok(Destination::Group),
            _ => return Ok(Destination::Protected),
        }
    }
    Ok(if address.is_group() {
        Destination::Group
    } else {
        Destination::Unprotected
    })
}

/// A packet to a protected address or a group, with what has been read of it.
struct Inbound<'a, A, P, T> {
    packet: &'a P,
    tables: &'a T,
    policy: Header<'a>,
    frame: &'a Frame,
    datagram: &'a Datagram<A>,
}

impl<A: Network, P: Packet, T: Tables> Inbound<'_, A, P, T> {
    /// A packet with a transport header: whole, or the first fragment.
    #[inline(always)]
    fn opening(&self, destination: Destination) -> Result<Outcome, Reason> {
        let protocol = IpProtocol(self.datagram.protocol);
        self.check_length(protocol)?;
        let (service, ports) = match protocol.port_table() {
            Some(table) => self.service_of_port(table)?,
            None => {
                if protocol == IpProtocol::ICMPV6
                    && let Some(outcome) = self.control(destination)?
                {
                    return Ok(outcome);
                }
                (self.service_of_protocol(protocol)?, Ports::NONE)
            }
        };
        if service != 0 {
            return self.admit(service);
        }
        if destination == Destination::Group {
            return Ok(pass(Reason::Unprotected, 0));
        }
        if host_opened::may_belong(self.packet, self.tables, self.datagram, ports)? {
            return Ok(pass(Reason::HostOpened, 0));
        }
        Err(Reason::NoService)
    }

    /// Refuses a packet that has no room for the whole transport header.
    #[inline(always)]
    fn check_length(&self, protocol: IpProtocol) -> Result<(), Reason> {
        if self.datagram.transport_len >= protocol.header_len() {
            return Ok(());
        }
        Err(if self.datagram.position.is_whole() {
            Reason::TransportTruncated
        } else {
            Reason::FragmentTiny
        })
    }

    /// The service that the destination port asks for, 0 if none, and the ports.
    #[inline(always)]
    fn service_of_port(&self, table: u32) -> Result<(u16, Ports), Reason> {
        let Some(&bytes) = self.packet.view::<4>(self.datagram.transport) else {
            return Err(Reason::TransportTruncated);
        };
        let ports = Ports::from_bytes(bytes);
        let service = service::of_port(self.tables, table, ports.destination())?;
        Ok((service, ports))
    }

    /// The service that the protocol asks for, 0 if none.
    #[inline(always)]
    fn service_of_protocol(&self, protocol: IpProtocol) -> Result<u16, Reason> {
        if host_opened::answers(self.packet, self.datagram)? {
            return Ok(0);
        }
        Ok(service::of_protocol(self.tables, protocol)?)
    }

    /// Decides about those ICMPv6 messages that links need to work, whoever sends them.
    #[inline(always)]
    fn control(&self, destination: Destination) -> Result<Option<Outcome>, Reason> {
        let Some(&[kind, _code]) = self.packet.view::<2>(self.datagram.transport) else {
            return Err(Reason::TransportTruncated);
        };
        if icmpv6::DISCOVERY.contains(&kind) {
            return self.discovery().map(Some);
        }
        // Multicast listener discovery (RFC 2710, RFC 3810) and echo to all nodes.
        let group = destination == Destination::Group;
        Ok(group.then_some(pass(Reason::Unprotected, 0)))
    }

    /// Neighbour and router discovery never crosses a router, so its hop limit is still 255.
    #[inline(always)]
    fn discovery(&self) -> Result<Outcome, Reason> {
        if self.datagram.hop_limit == 255 {
            Ok(pass(Reason::NeighbourDiscovery, 0))
        } else {
            Err(Reason::HopLimit)
        }
    }

    /// Whether the source may use `service`.
    #[inline(always)]
    fn admit(&self, service: u16) -> Result<Outcome, Reason> {
        let id = endpoint::find(self.tables, self.policy, self.datagram.source)?;
        if id == 0 {
            let rule = service::rule(self.tables, self.policy, service, GOVERNING)?;
            return Ok(rule.violated(Reason::UnknownSource, 0));
        }
        let record = Record::read(self.tables, self.policy, id)?;
        if record.role() == GOVERNING {
            return Err(Reason::NoPolicy);
        }
        let rule = service::rule(self.tables, self.policy, service, record.role())?;
        if rule.id() == 0 {
            let rule = service::rule(self.tables, self.policy, service, GOVERNING)?;
            return Ok(rule.violated(Reason::WrongRole, id));
        }
        match record.check(self.packet, self.tables, self.frame) {
            Ok(()) => Ok(rule.permit(id)),
            Err(reason) => Ok(rule.violated(reason, id)),
        }
    }

    /// A later fragment carries no ports: it passes if the first one could have.
    #[inline(always)]
    fn later_fragment(&self) -> Result<Outcome, Reason> {
        let protocol = IpProtocol(self.datagram.protocol);
        if usize::from(self.datagram.position.offset()) * 8 < protocol.header_len() {
            return Err(Reason::FragmentOverlap);
        }
        let id = endpoint::find(self.tables, self.policy, self.datagram.source)?;
        if id == 0 {
            return Err(Reason::FragmentUnpermitted);
        }
        let record = Record::read(self.tables, self.policy, id)?;
        if !self.policy.may_enter(record.role()) {
            return Ok(ungoverned(self.tables, Reason::FragmentUnpermitted, id));
        }
        match record.check(self.packet, self.tables, self.frame) {
            Ok(()) => Ok(pass(Reason::Fragment, id)),
            Err(reason) => Ok(ungoverned(self.tables, reason, id)),
        }
    }
}

#[inline(always)]
const fn pass(reason: Reason, endpoint: u32) -> Outcome {
    Outcome::new(reason, false, 0, endpoint)
}

/// A drop that no rule governs, in the mode of the policy. A broken policy is never audited.
#[inline(always)]
fn ungoverned<T: Tables>(tables: &T, reason: Reason, endpoint: u32) -> Outcome {
    let audit = matches!(reason.verdict(), Verdict::Drop)
        && reason != Reason::NoPolicy
        && Header::of(tables).is_ok_and(|header| header.flags().audit());
    Outcome::new(reason, audit, 0, endpoint)
}

#[cfg(test)]
mod tests;
