//! Addresses, ports and protocols for generated frames: half of them from the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::judge::{BROADCAST, facts};
use crate::net::station::{GUEST, INTRUDER, Mac, VIM};
use fastrand::Rng;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use manoward::policy::{Policy, Protect, ServiceMatch, Transport, Vlan};

/// Values of header fields that the policy names, and a random generator.
pub struct Values {
    /// The random generator.
    pub rng: Rng,
    peers4: Vec<Ipv4Net>,
    peers6: Vec<Ipv6Net>,
    hosts4: Vec<Ipv4Addr>,
    hosts6: Vec<Ipv6Addr>,
    macs: Vec<Mac>,
    vlans: Vec<u16>,
    ports: Vec<(Transport, u16)>,
    protocols: Vec<u8>,
}

impl Values {
    /// The values that `policy` names.
    pub fn of(policy: &Policy, seed: u64) -> Self {
        let mut values = Self {
            rng: Rng::with_seed(seed),
            peers4: Vec::new(),
            peers6: Vec::new(),
            hosts4: vec![BROADCAST],
            hosts6: Vec::new(),
            macs: vec![VIM.mac, INTRUDER.mac, Mac::BROADCAST],
            vlans: vec![0, 1, 4095],
            ports: Vec::new(),
            protocols: vec![1, 6, 17, 58, 132],
        };
        let explicit = policy.protect.iter().filter_map(|protect| match protect {
            Protect::Address(address) => Some(*address),
            Protect::InterfaceAddresses => None,
        });
        for address in facts().addresses.into_iter().chain(explicit) {
            match address {
                IpAddr::V4(address) => values.hosts4.push(address),
                IpAddr::V6(address) => values.hosts6.push(address),
            }
        }
        for endpoint in policy.endpoints.values() {
            for prefix in &endpoint.addresses {
                match prefix {
                    IpNet::V4(net) => values.peers4.push(*net),
                    IpNet::V6(net) => values.peers6.push(*net),
                }
            }
            values.macs.extend(endpoint.binding.mac.map(Mac));
            match endpoint.binding.vlan {
                Some(Vlan::Tagged(id)) => values.vlans.push(id),
                Some(Vlan::Stacked { outer, inner }) => values.vlans.extend([outer, inner]),
                Some(Vlan::Untagged) | None => {}
            }
        }
        for matched in policy
            .services
            .values()
            .flat_map(|service| &service.matches)
        {
            match *matched {
                ServiceMatch::Ports {
                    transport,
                    first,
                    last,
                } => values.ports.extend([(transport, first), (transport, last)]),
                ServiceMatch::Protocol(protocol) | ServiceMatch::Icmp { protocol, .. } => {
                    values.protocols.push(protocol);
                }
            }
        }
        values
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.rng.u32(..times) == 0
    }

    fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> Option<T> {
        rng.choice(from).copied()
    }

    /// A MAC address.
    pub fn mac(&mut self) -> Mac {
        Self::pick(&mut self.rng, &self.macs).unwrap_or(VIM.mac)
    }

    /// A VLAN id.
    pub fn vlan(&mut self) -> u16 {
        if self.once_in(4) {
            return self.rng.u16(..4096);
        }
        Self::pick(&mut self.rng, &self.vlans).unwrap_or(0)
    }

    /// An IPv4 source: of an endpoint, beside one, or any.
    pub fn source4(&mut self) -> Ipv4Addr {
        let Some(net) = Self::pick(&mut self.rng, &self.peers4) else {
            return INTRUDER.v4;
        };
        let host = self.rng.u32(..) & net.hostmask().to_bits();
        let bits = net.network().to_bits() | host;
        match self.rng.u8(..4) {
            0 => self.rng.u32(..).into(),
            1 => (bits ^ 1 << self.rng.u32(..32)).into(),
            _ => bits.into(),
        }
    }

    /// An IPv6 source: of an endpoint, beside one, or any.
    pub fn source6(&mut self) -> Ipv6Addr {
        let Some(net) = Self::pick(&mut self.rng, &self.peers6) else {
            return INTRUDER.v6;
        };
        let host = self.rng.u128(..) & net.hostmask().to_bits();
        let bits = net.network().to_bits() | host;
        match self.rng.u8(..4) {
            0 => self.rng.u128(..).into(),
            1 => (bits ^ 1 << self.rng.u32(..128)).into(),
            _ => bits.into(),
        }
    }

    /// An IPv4 destination: protected more often than not, else a group, a guest, or any.
    pub fn destination4(&mut self) -> Ipv4Addr {
        let host = Self::pick(&mut self.rng, &self.hosts4).unwrap_or(GUEST.v4);
        match self.rng.u8(..12) {
            0 => GUEST.v4,
            1 => self.rng.u32(..).into(),
            2 => (host.to_bits() ^ 1 << self.rng.u32(..32)).into(),
            3 => (0xe000_0000 | self.rng.u32(..0x2000_0000)).into(),
            4 => [Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED][self.rng.usize(..2)],
            _ => host,
        }
    }

    /// An IPv6 destination: protected more often than not, else a group, a guest, or any.
    pub fn destination6(&mut self) -> Ipv6Addr {
        let host = Self::pick(&mut self.rng, &self.hosts6).unwrap_or(GUEST.v6);
        match self.rng.u8(..12) {
            0 => GUEST.v6,
            1 => self.rng.u128(..).into(),
            2 => (host.to_bits() ^ 1 << self.rng.u32(..128)).into(),
            3 => ((0xff02_u128 << 112) | u128::from(self.rng.u32(..))).into(),
            4 => Ipv6Addr::UNSPECIFIED,
            _ => host,
        }
    }

    /// A port of a service of this transport, beside one, or any.
    pub fn port(&mut self, transport: Transport) -> u16 {
        let port = Self::pick(&mut self.rng, &self.ports);
        match (self.rng.u8(..8), port) {
            (0, _) | (_, None) => self.rng.u16(..),
            (1, Some((_, port))) => port.wrapping_add(1),
            (2, Some((_, port))) => port.wrapping_sub(1),
            (_, Some((of, port))) if of == transport => port,
            // A service of another transport: most likely none of this one.
            (_, Some((_, port))) => port,
        }
    }

    /// An IP protocol.
    pub fn protocol(&mut self) -> u8 {
        if self.once_in(3) {
            return self.rng.u8(..);
        }
        Self::pick(&mut self.rng, &self.protocols).unwrap_or(6)
    }
}
