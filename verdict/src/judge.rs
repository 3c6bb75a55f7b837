//! What the decisions about packets [in](crate::inbound) and [out](crate::outbound) share.
//!
//! Cheapest check first: most packets are not of a protected address and leave after one look
//! at an array. Every failure is a [`Reason`] of its own; what governs a packet (a rule, or
//! nothing) decides whether a drop is enforced or audited.

pub use crate::address::{PROTECTED_BROADCAST, PROTECTED_UNICAST};
use core::hint::black_box;

use crate::{
    address::{Family, Ipv4, Ipv6},
    ethernet::{self, EtherType, Frame},
    flow::{Flows, Half, Key},
    icmp,
    image::{Header, Missing, Modes, Tables},
    packet::Packet,
    reason::{Outcome, Reason, Verdict},
    service::Place,
    table,
    transport::IpProtocol,
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

    /// Whether such a packet has `len` bytes behind this header, as that says itself.
    fn holds(header: &Self::Header, len: usize) -> bool;

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

/// What kind of address a packet is for, or from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Destination {
    /// Nobody's that is protected.
    Unprotected,
    /// A protected address.
    Protected,
    /// Multicast or broadcast: enforced where it asks for a service of the host, as a socket
    /// bound to every address receives it; free otherwise, as neighbours and tenants need it.
    Group,
}

/// Finds what kind of address `address` is.
///
/// One word tells of nearly all of them; only an address whose direct entry another one has is
/// looked up among all.
#[inline(always)]
pub fn destination<A: Family, T: Tables>(tables: &T, address: A) -> Result<Destination, Missing> {
    let value = match address.direct(tables)? {
        Some(value) => value,
        None => address.protected(tables)? as u8,
    };
    match u32::from(value) {
        0 => {}
        PROTECTED_BROADCAST => return Ok(Destination::Group),
        _ => return Ok(Destination::Protected),
    }
    Ok(if address.is_group() {
        Destination::Group
    } else if address.is_loopback() {
        Destination::Protected
    } else {
        Destination::Unprotected
    })
}

/// The value of `address` in the region of all protected ones; 0 if it is none.
#[inline(always)]
pub fn protected<A: Family, T: Tables>(tables: &T, address: A) -> Result<u32, Missing> {
    let header = Header::of(tables)?;
    table::find(tables, header.protected::<A>(), address, A::BITS)
}

/// What a packet asks for at either end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ends {
    /// Where the service would be listed that the packet comes from.
    pub source: Place,
    /// Where the service would be listed that the packet asks for.
    pub destination: Place,
    /// Source port in the upper, destination port in the lower half. Of echo messages, the
    /// identifier in both; 0 of protocols without ports.
    pub ports: u32,
}

impl Ends {
    /// Reads the ends of a packet of `protocol`, which is not ICMP, whose transport header is at
    /// `at`.
    ///
    /// # Errors
    ///
    /// [`Reason::TransportTruncated`] if the frame ends too early.
    #[inline(always)]
    pub fn read<P: Packet>(packet: &P, protocol: IpProtocol, at: usize) -> Result<Self, Reason> {
        let ports = match protocol.port_table() {
            Some(_) => *packet.view(at).ok_or(Reason::TransportTruncated)?,
            None => [0; PORTS_LEN],
        };
        Ok(Self::of(protocol, ports))
    }

    /// The ends of a packet of `protocol`, which is not ICMP; `ports` are what its transport header
    /// starts with.
    #[inline(always)]
    pub const fn of(protocol: IpProtocol, ports: [u8; PORTS_LEN]) -> Self {
        let Some(table) = protocol.port_table() else {
            let place = Place::protocol(protocol);
            return Self {
                source: place,
                destination: place,
                ports: 0,
            };
        };
        let ports = u32::from_be_bytes(ports);
        Self {
            source: Place::port(table, (ports >> 16) as u16),
            destination: Place::port(table, ports as u16),
            ports,
        }
    }

    /// The ends of an ICMP message.
    #[inline(always)]
    pub fn of_icmp<A: Network>(message: icmp::Message) -> Self {
        let place = Place::protocol(A::ICMP);
        let class = A::icmp_class(message.kind);
        Self {
            source: if class == icmp::Class::ECHO_REQUEST {
                Place::NONE
            } else {
                place
            },
            destination: if class == icmp::Class::ECHO_REPLY {
                Place::NONE
            } else {
                place
            },
            ports: u32::from(message.echo_id) << 16 | u32::from(message.echo_id),
        }
    }
}

// What a packet is about. None of these is 0, which the verifier keeps in mind where it forgets
// other numbers.

/// A plain packet.
pub const PLAIN: u8 = 4;
/// A packet to a group.
pub const TO_GROUP: u8 = 1;
/// A later fragment, which carries no ports.
pub const LATER_FRAGMENT: u8 = 2;
/// A packet that an ICMP error quotes.
pub const QUOTED: u8 = 3;

/// Two addresses, and what one asks of the other.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<A> {
    /// Which packet this is about.
    pub about: u8,
    /// The protected address.
    pub local: A,
    /// The peer's address.
    pub remote: A,
    /// IP protocol.
    pub protocol: u8,
    /// Offset of the transport header in the frame, bytes.
    pub transport: u16,
    /// Where the service of the local side would be listed.
    pub local_place: Place,
    /// Where the service of the remote side would be listed.
    pub remote_place: Place,
    /// Local port in the upper, remote port in the lower half; see [`Ends::ports`]. Of later
    /// fragments, the identification.
    pub ports: u32,
}

impl<A: Network> Conversation<A> {
    /// What a packet from `remote` to `local` is about.
    #[inline(always)]
    pub const fn received(about: u8, local: A, remote: A, protocol: u8, ends: Ends) -> Self {
        Self {
            transport: 0,
            about,
            local,
            remote,
            protocol,
            local_place: ends.destination,
            remote_place: ends.source,
            ports: ends.ports.rotate_left(16),
        }
    }

    /// What a packet from `local` to `remote` is about.
    #[inline(always)]
    pub const fn sent(about: u8, local: A, remote: A, protocol: u8, ends: Ends) -> Self {
        Self {
            transport: 0,
            about,
            local,
            remote,
            protocol,
            local_place: ends.source,
            remote_place: ends.destination,
            ports: ends.ports,
        }
    }

    /// The same, with the transport header at `transport`.
    #[inline(always)]
    #[must_use]
    pub const fn at(self, transport: usize) -> Self {
        Self {
            transport: transport as u16,
            ..self
        }
    }

    /// The same, of which the kernel's verifier no longer knows how it came about.
    ///
    /// Otherwise it would follow what comes next anew for every kind of packet.
    #[inline(always)]
    pub fn forget(self) -> Self {
        Self {
            about: black_box(self.about),
            local: self.local,
            remote: self.remote,
            protocol: black_box(self.protocol),
            local_place: self.local_place.forget(),
            remote_place: self.remote_place.forget(),
            // No header is read so far behind; the verifier wants to know.
            transport: black_box(self.transport) & 0x7fff,
            ports: self.ports,
        }
    }

    /// The key of the flow of this `kind` that a packet is about.
    #[inline(always)]
    pub fn key(&self, kind: u8) -> Key {
        Key::new(kind, self.local, self.remote, self.protocol, self.ports)
    }

    /// What a later fragment is about.
    #[inline(always)]
    pub const fn of_fragment(local: A, remote: A, datagram: &Datagram<A>) -> Self {
        Self {
            transport: 0,
            about: LATER_FRAGMENT,
            local,
            remote,
            protocol: datagram.protocol,
            local_place: Place::NONE,
            remote_place: Place::NONE,
            ports: datagram.identification,
        }
    }
}

/// A packet that an ICMP error quotes.
#[derive(Clone, Copy, Debug)]
pub struct Quotation<A> {
    /// Its source address.
    pub source: A,
    /// Its destination address.
    pub destination: A,
    /// Its protocol.
    pub protocol: u8,
    /// What it asked for.
    pub ends: Ends,
}

/// Length of both ports, bytes.
pub const PORTS_LEN: usize = 4;

/// Reads the packet that the ICMP error `about` quotes; it is told to `sender`, who sent that.
///
/// # Errors
///
/// [`Reason::IcmpUnrelated`] if it cannot be told what the quoted packet was, or somebody else sent
/// it.
#[inline(always)]
pub fn quotation<A: Network, P: Packet>(
    packet: &P,
    about: &Datagram<A>,
    sender: A,
) -> Result<Quotation<A>, Reason> {
    // What lies behind the datagram is no part of it, and the stack does not see it. Looked at
    // here, it costs the verifier least.
    if about.transport_len < icmp::BODY + A::HEADER_LEN + PORTS_LEN {
        return Err(Reason::IcmpUnrelated);
    }
    let at = about.transport + icmp::BODY;
    let Some(header) = A::header(packet, at) else {
        return Err(Reason::IcmpUnrelated);
    };
    let Ok(quoted) = A::datagram(packet, at, header) else {
        return Err(Reason::IcmpUnrelated);
    };
    if quoted.position.offset() != 0 {
        return Err(Reason::IcmpUnrelated);
    }
    let protocol = IpProtocol(quoted.protocol);
    let ends = if protocol == A::ICMP {
        match icmp::Message::read(packet, quoted.transport) {
            Ok(message) => Ends::of_icmp::<A>(message),
            Err(_) => return Err(Reason::IcmpUnrelated),
        }
    } else {
        match Ends::read(packet, protocol, quoted.transport) {
            Ok(ends) => ends,
            Err(_) => return Err(Reason::IcmpUnrelated),
        }
    };
    if quoted.source != sender {
        return Err(Reason::IcmpUnrelated);
    }
    Ok(Quotation {
        source: quoted.source,
        destination: A::destination(header),
        protocol: quoted.protocol,
        ends,
    })
}

/// The way that a packet goes: how IP packets are decided about.
pub trait Way {
    /// Mode in which drops are audited that no rule governs.
    const AUDIT: Modes;

    /// Decides about an IP packet.
    ///
    /// # Errors
    ///
    /// A reason that no rule governs and no endpoint is known for.
    fn network<A: Network, P: Packet, T: Tables, F: Flows>(
        packet: &P,
        tables: &T,
        flows: &F,
        frame: &Frame,
    ) -> Result<Outcome, Reason>;
}

/// Decides about `packet` by the policy in `tables` and the `flows` that are open.
#[inline(always)]
pub fn judge<W: Way, P: Packet, T: Tables, F: Flows>(packet: &P, tables: &T, flows: &F) -> Outcome {
    let frame = match ethernet::parse(packet) {
        Ok(frame) => frame,
        Err(reason) => return ungoverned(tables, W::AUDIT, reason, 0),
    };
    let decision = match frame.ether_type {
        EtherType::IPV4 => W::network::<Ipv4, P, T, F>(packet, tables, flows, &frame),
        EtherType::IPV6 => W::network::<Ipv6, P, T, F>(packet, tables, flows, &frame),
        _ => return pass(Reason::NotIp, 0),
    };
    match decision {
        Ok(outcome) => outcome,
        Err(reason) => ungoverned(tables, W::AUDIT, reason, 0),
    }
}

/// What is remembered of a first fragment with this outcome.
#[inline(always)]
pub const fn first_fragment(outcome: Outcome) -> Half {
    let dropped = match outcome.verdict() {
        Verdict::Pass => 0,
        Verdict::Drop => Half::ENDED,
    };
    Half::new(dropped, outcome.rule_bits())
}

/// The outcome of a later fragment whose first one is remembered like this.
#[inline(always)]
pub const fn as_first_fragment(first: Half, id: u32) -> Outcome {
    let reason = if first.has(Half::ENDED) {
        Reason::FragmentUnpermitted
    } else {
        Reason::Fragment
    };
    Outcome::with_rule(reason, first.mark(), id)
}

/// An outcome that no rule governs.
#[inline(always)]
pub const fn pass(reason: Reason, endpoint: u32) -> Outcome {
    Outcome::new(reason, false, 0, endpoint)
}

/// A drop that no rule governs, audited if the policy has `mode`. A broken policy is never audited.
#[inline(always)]
pub fn ungoverned<T: Tables>(tables: &T, mode: Modes, reason: Reason, endpoint: u32) -> Outcome {
    let audit = matches!(reason.verdict(), Verdict::Drop)
        && reason != Reason::NoPolicy
        && Header::of(tables).is_ok_and(|header| header.flags().modes().has(mode));
    Outcome::new(reason, audit, 0, endpoint)
}
