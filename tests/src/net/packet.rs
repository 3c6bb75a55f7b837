//! Packets composed header by header.
//!
//! Fields that a test leaves open are computed: types, lengths, checksums. Fields that it sets are
//! written as they are, so wrong packets are as easy as right ones:
//!
//! ```
//! use harness::net::packet::{Ipv4, Packet, Tcp, Vlan, Ethernet};
//!
//! let frame = Packet::new()
//!     .with(Ethernet::default())
//!     .with(Vlan::new(42))
//!     .with(Ipv4 { ihl: Some(4), ..Ipv4::default() })
//!     .with(Tcp::syn(22))
//!     .build();
//! assert_eq!(frame[18] & 0x0f, 4);
//! ```

use std::rc::Rc;

pub(crate) mod checksum;
mod extension;
mod icmp;
mod link;
mod network;
mod transport;

pub use extension::{Extension, Fragment};
pub use icmp::{Icmp, Icmpv6};
pub use link::{Arp, Ethernet, Vlan};
pub use network::{Ipv4, Ipv6};
pub use transport::{Sctp, Tcp, Udp};

use checksum::Pseudo;

/// One header, or the payload.
pub trait Layer {
    /// The header's bytes, without what follows it.
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8>;

    /// The `EtherType` of this layer.
    fn ether_type(&self) -> Option<u16> {
        None
    }

    /// The IP protocol number of this layer.
    fn ip_protocol(&self) -> Option<u8> {
        None
    }

    /// The addresses that the checksums of later layers cover.
    fn pseudo(&self) -> Option<Pseudo> {
        None
    }
}

/// The rest of the packet, from which a layer computes open fields. Layers are encoded from the
/// last to the first.
pub struct Surroundings<'a> {
    next: Option<&'a dyn Layer>,
    pseudo: Option<Pseudo>,
    payload: &'a [u8],
}

/// `EtherType` before a bare payload: for local experiments (IEEE 802).
const ETHER_TYPE_EXPERIMENT: u16 = 0x88b5;

/// IP protocol before a bare payload: for experiments (RFC 3692).
const PROTOCOL_EXPERIMENT: u8 = 253;

impl Surroundings<'_> {
    fn ether_type(&self) -> u16 {
        self.next
            .and_then(Layer::ether_type)
            .unwrap_or(ETHER_TYPE_EXPERIMENT)
    }

    fn ip_protocol(&self) -> u8 {
        self.next
            .and_then(Layer::ip_protocol)
            .unwrap_or(PROTOCOL_EXPERIMENT)
    }

    /// The Internet checksum of a header and all that follows, with the pseudo header in front.
    fn transport_checksum(&self, header: &[u8], protocol: u8) -> u16 {
        let length = header.len() + self.payload.len();
        let front = self
            .pseudo
            .map(|pseudo| pseudo.bytes(protocol, length))
            .unwrap_or_default();
        checksum::internet(&[&front, header, self.payload])
    }
}

/// A packet under construction.
#[derive(Clone, Default)]
pub struct Packet {
    layers: Vec<Rc<dyn Layer>>,
}

impl Packet {
    /// An empty packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ethernet and IPv4, from the VIM to the host.
    #[must_use]
    pub fn v4() -> Self {
        Self::new().with(Ethernet::default()).with(Ipv4::default())
    }

    /// Ethernet and IPv6, from the VIM to the host.
    #[must_use]
    pub fn v6() -> Self {
        Self::new().with(Ethernet::default()).with(Ipv6::default())
    }

    /// Adds a header, or a payload (`Vec<u8>`), after those that are there.
    #[must_use]
    pub fn with(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Rc::new(layer));
        self
    }

    /// The packet's bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let around = Surroundings {
                next: self.layers.get(index + 1).map(Rc::as_ref),
                pseudo: self.layers[..index]
                    .iter()
                    .rev()
                    .find_map(|outer| outer.pseudo()),
                payload: &bytes,
            };
            let mut header = layer.encode(&around);
            header.append(&mut bytes);
            bytes = header;
        }
        bytes
    }
}

/// A payload: bytes as they are.
impl Layer for Vec<u8> {
    fn encode(&self, _: &Surroundings<'_>) -> Vec<u8> {
        self.clone()
    }
}

#[cfg(test)]
mod tests;
