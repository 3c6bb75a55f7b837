//! Addresses of interfaces, and what the kernel derives from them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};

/// An address of an interface.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    /// Index of its interface.
    pub(super) ifindex: u32,
    prefix_len: u8,
    /// The broadcast address that was configured with it.
    broadcast: Option<Ipv4Addr>,
}

impl Address {
    /// The prefix of its link.
    pub(super) fn network(&self) -> Option<IpNet> {
        Some(IpNet::new(self.ip, self.prefix_len).ok()?.trunc())
    }

    /// From the kernel's message; `None` if it has no address.
    pub(super) fn of(message: &AddressMessage) -> Option<Self> {
        let mut local = None;
        let mut peer = None;
        let mut broadcast = None;
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(address) => local = Some(*address),
                AddressAttribute::Address(address) => peer = Some(*address),
                AddressAttribute::Broadcast(address) => broadcast = Some(*address),
                _ => {}
            }
        }
        // On a point-to-point interface IFA_ADDRESS is the far end; IFA_LOCAL is always the host's.
        Some(Self {
            ip: local.or(peer)?,
            ifindex: message.header.index,
            prefix_len: message.header.prefix_len,
            broadcast,
        })
    }

    /// The addresses that the kernel treats as broadcasts: the last of the prefix, the first too
    /// before Linux 5.14, and the configured one. Those of the loopback interface are left out: no
    /// neighbour uses them, and they are protected as its other addresses are.
    pub(super) fn broadcasts(&self) -> Vec<Ipv4Addr> {
        let mut broadcasts: Vec<Ipv4Addr> = self.broadcast.into_iter().collect();
        if let IpAddr::V4(address) = self.ip
            && !address.is_loopback()
            && self.prefix_len < 31
            && let Ok(network) = Ipv4Net::new(address, self.prefix_len)
        {
            broadcasts.extend([network.broadcast(), network.network()]);
        }
        broadcasts
    }

    /// The subnet-router anycast address of its prefix (RFC 4291, 2.6.1), which a host that
    /// forwards accepts as its own; prefixes of 127 bits have none (RFC 6164).
    pub(super) fn router_anycast(&self) -> Option<IpAddr> {
        match self.ip {
            IpAddr::V6(address) if self.prefix_len < 127 => {
                let network = Ipv6Net::new(address, self.prefix_len).ok()?;
                Some(network.network().into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(ip: &str, prefix_len: u8) -> Address {
        Address {
            ip: ip.parse().unwrap(),
            ifindex: 2,
            prefix_len,
            broadcast: None,
        }
    }

    #[test]
    fn both_ends_of_an_ipv4_prefix_are_broadcasts() {
        let expected: [Ipv4Addr; 2] = [[192, 0, 2, 31].into(), [192, 0, 2, 16].into()];
        assert_eq!(held("192.0.2.17", 28).broadcasts(), expected);
        assert!(held("192.0.2.17", 31).broadcasts().is_empty());
        assert!(held("127.0.0.1", 8).broadcasts().is_empty());
        assert!(held("2001:db8::17", 64).broadcasts().is_empty());
    }

    #[test]
    fn an_ipv6_prefix_has_a_router_anycast_address() {
        let anycast = |ip, prefix_len| held(ip, prefix_len).router_anycast();
        assert_eq!(
            anycast("2001:db8::17", 64),
            Some("2001:db8::".parse().unwrap())
        );
        assert_eq!(anycast("2001:db8::17", 127), None);
        assert_eq!(anycast("192.0.2.17", 24), None);
    }
}
