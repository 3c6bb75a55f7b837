//! What a packet is about: two addresses, and what one asks of the other.

use core::hint::black_box;

use crate::{
    frame::{
        icmp,
        network::Network,
        packet::{Packet, bounded},
        transport::{IpProtocol, PORTS_LEN, Segment, segment},
    },
    image::service::ServiceKey,
    reason::Reason,
    state::flow::{Key, key::CONNECTION},
};

/// What a packet asks for at either end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ends {
    /// Where the service would be listed that the packet comes from.
    pub source: ServiceKey,
    /// Where the service would be listed that the packet asks for.
    pub destination: ServiceKey,
    /// Source port in the upper, destination port in the lower half. Of ICMP, the
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
            Some(_) => *packet.view(bounded(at)).ok_or(Reason::TransportTruncated)?,
            None => [0; PORTS_LEN],
        };
        Ok(Self::of(protocol, ports))
    }

    /// The ends of a packet of `protocol`, which is not ICMP; `ports` are what its transport header
    /// starts with.
    #[inline(always)]
    #[must_use]
    pub const fn of(protocol: IpProtocol, ports: [u8; PORTS_LEN]) -> Self {
        let Some(table) = protocol.port_table() else {
            let key = ServiceKey::protocol(protocol);
            return Self {
                source: key,
                destination: key,
                ports: 0,
            };
        };
        let ports = u32::from_be_bytes(ports);
        Self {
            source: ServiceKey::port(table, (ports >> 16) as u16),
            destination: ServiceKey::port(table, ports as u16),
            ports,
        }
    }

    /// The ends of an ICMP message: a request asks for a service, a reply comes from one, and any other
    /// does both.
    #[inline(always)]
    #[must_use]
    pub fn of_icmp<A: Network>(message: icmp::Message) -> Self {
        let key = ServiceKey::icmp::<A>(message.kind, message.code);
        let class = A::icmp_class(message.kind);
        Self {
            source: if class == icmp::Class::REQUEST {
                ServiceKey::NONE
            } else {
                key
            },
            destination: if class == icmp::Class::REPLY {
                ServiceKey::NONE
            } else {
                key
            },
            ports: u32::from(message.id) << 16 | u32::from(message.id),
        }
    }
}

/// Whether a packet is for one host or for a group.
///
/// No value is 0: the kernel's verifier recognises a zero that was spilled to the stack, where it loses
/// the value of other numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cast(u8);

/// For one host.
pub const UNICAST: Cast = Cast(1);
/// For a group: multicast or broadcast.
pub const TO_GROUP: Cast = Cast(2);

/// Two addresses, and what one asks of the other.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<A> {
    /// Whether the packet is for a group.
    pub cast: Cast,
    /// The protected address.
    pub local: A,
    /// The peer's address.
    pub remote: A,
    /// IP protocol.
    pub protocol: u8,
    /// Offset of the transport header in the frame, bytes.
    pub transport: u16,
    /// Bytes from there on, as the network header says.
    pub transport_len: u32,
    /// Where the service of the local side would be listed.
    pub local_key: ServiceKey,
    /// Where the service of the remote side would be listed.
    pub remote_key: ServiceKey,
    /// Local port in the upper, remote port in the lower half; see [`Ends::ports`]. Of later
    /// fragments, the identification.
    pub ports: u32,
}

impl<A: Network> Conversation<A> {
    /// What a packet from `remote` to `local` is about.
    #[inline(always)]
    pub const fn received(cast: Cast, local: A, remote: A, protocol: u8, ends: Ends) -> Self {
        Self {
            transport: 0,
            transport_len: 0,
            cast,
            local,
            remote,
            protocol,
            local_key: ends.destination,
            remote_key: ends.source,
            ports: ends.ports.rotate_left(16),
        }
    }

    /// What a packet from `local` to `remote` is about.
    #[inline(always)]
    pub const fn sent(cast: Cast, local: A, remote: A, protocol: u8, ends: Ends) -> Self {
        Self {
            transport: 0,
            transport_len: 0,
            cast,
            local,
            remote,
            protocol,
            local_key: ends.source,
            remote_key: ends.destination,
            ports: ends.ports,
        }
    }

    /// The conversation with one host that has this key.
    #[inline(always)]
    #[must_use]
    pub fn keyed(key: &Key) -> Self {
        let protocol = IpProtocol(key.protocol());
        let ends = Ends::of(protocol, key.ports().rotate_left(16).to_be_bytes());
        let (local, remote) = (A::from_words(key.local()), A::from_words(key.remote()));
        Self::received(UNICAST, local, remote, protocol.0, ends)
    }

    /// This conversation, with the transport header at offset `transport` of the frame, and `len` bytes
    /// from there on.
    #[inline(always)]
    #[must_use]
    pub const fn at(self, transport: usize, len: u32) -> Self {
        Self {
            transport: transport as u16,
            transport_len: len,
            ..self
        }
    }

    /// This conversation, with its values' origin hidden from the kernel's verifier: otherwise it would
    /// follow what comes next once for every kind of packet.
    #[inline(always)]
    #[must_use]
    pub fn opaque(self) -> Self {
        Self {
            cast: Cast(black_box(self.cast.0)),
            local: self.local,
            remote: self.remote,
            protocol: black_box(self.protocol),
            local_key: self.local_key.opaque(),
            remote_key: self.remote_key.opaque(),
            // No header is read so far behind; the verifier wants to know.
            transport: black_box(self.transport) & 0x7fff,
            transport_len: black_box(self.transport_len),
            ports: self.ports,
        }
    }

    /// What the packet says about its connection.
    ///
    /// # Errors
    ///
    /// [`Reason::TransportTruncated`] if the frame ends too early to tell.
    #[inline(always)]
    pub fn segment<P: Packet>(&self, packet: &P) -> Result<Segment, Reason> {
        let protocol = IpProtocol(self.protocol);
        segment(
            packet,
            protocol,
            usize::from(self.transport),
            self.transport_len,
        )
    }

    /// The key of the flow of this `kind` that a packet is about.
    #[inline(always)]
    pub fn key(&self, kind: u8) -> Key {
        Key::new(kind, self.local, self.remote, self.protocol, self.ports)
    }

    /// The key of the flow that a packet out belongs to: without a remote address if it is for a group, so
    /// that any peer may answer. Without a branch, which the kernel's verifier would follow.
    #[inline(always)]
    pub fn key_out(&self) -> Key {
        let to_group = u64::from(self.cast.0 >> 1).wrapping_neg();
        self.key(CONNECTION).without_remote_bits(to_group)
    }

    /// The key of what is served: without a local address if a group was asked, as any address may answer.
    #[inline(always)]
    pub fn key_served(&self) -> Key {
        let key = self.key(CONNECTION);
        if self.is_to_group() {
            return key.without_local();
        }
        key
    }

    /// Whether the packet is for a group.
    #[inline(always)]
    pub fn is_to_group(&self) -> bool {
        self.cast == TO_GROUP
    }
}
