//! The link layer: Ethernet, VLAN tags, ARP.

use std::net::Ipv4Addr;

use super::{Layer, Surroundings};
use crate::net::station::{HOST, Mac, VIM};

/// An Ethernet header, by default from the VIM to the host.
#[derive(Clone, Debug)]
pub struct Ethernet {
    /// The destination address.
    pub destination: Mac,
    /// The source address.
    pub source: Mac,
    /// Overrides the type of the next layer.
    pub ether_type: Option<u16>,
}

impl Default for Ethernet {
    fn default() -> Self {
        Self {
            destination: HOST.mac,
            source: VIM.mac,
            ether_type: None,
        }
    }
}

impl Layer for Ethernet {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let ether_type = self.ether_type.unwrap_or_else(|| around.ether_type());
        [
            &self.destination.0[..],
            &self.source.0,
            &ether_type.to_be_bytes(),
        ]
        .concat()
    }
}

/// A VLAN tag.
#[derive(Clone, Debug)]
pub struct Vlan {
    /// The VLAN's identifier, 12 bits.
    pub id: u16,
    /// The priority code point, 3 bits.
    pub priority: u8,
    /// The tag's own type: 0x8100 (802.1Q) or 0x88a8 (802.1ad).
    pub tpid: u16,
    /// Overrides the type of the next layer.
    pub ether_type: Option<u16>,
}

impl Vlan {
    /// A customer's tag (802.1Q).
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self {
            id,
            priority: 0,
            tpid: 0x8100,
            ether_type: None,
        }
    }

    /// A service provider's tag (802.1ad).
    #[must_use]
    pub const fn service(id: u16) -> Self {
        Self {
            tpid: 0x88a8,
            ..Self::new(id)
        }
    }
}

impl Layer for Vlan {
    fn encode(&self, around: &Surroundings<'_>) -> Vec<u8> {
        let control = u16::from(self.priority) << 13 | self.id;
        let ether_type = self.ether_type.unwrap_or_else(|| around.ether_type());
        [control.to_be_bytes(), ether_type.to_be_bytes()].concat()
    }

    fn ether_type(&self) -> Option<u16> {
        Some(self.tpid)
    }
}

/// An ARP message for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Debug)]
pub struct Arp {
    /// 1: request, 2: reply.
    pub operation: u16,
    /// The claimed sender.
    pub sender: (Mac, Ipv4Addr),
    /// The station that is looked for, or answered to.
    pub target: (Mac, Ipv4Addr),
}

impl Arp {
    /// "Who has `target`?", asked by `sender`.
    #[must_use]
    pub const fn request(sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Self {
        Self {
            operation: 1,
            sender,
            target: (Mac([0; 6]), target),
        }
    }

    /// "I am `sender`", said to `target`.
    #[must_use]
    pub const fn reply(sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Self {
        Self {
            operation: 2,
            sender,
            target,
        }
    }
}

impl Layer for Arp {
    fn encode(&self, _: &Surroundings<'_>) -> Vec<u8> {
        let fixed = [0, 1, 0x08, 0x00, 6, 4];
        let mut bytes = [&fixed[..], &self.operation.to_be_bytes()].concat();
        for (mac, address) in [self.sender, self.target] {
            bytes.extend(mac.0);
            bytes.extend(address.octets());
        }
        bytes
    }

    fn ether_type(&self) -> Option<u16> {
        Some(0x0806)
    }
}
