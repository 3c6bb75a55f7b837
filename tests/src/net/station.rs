//! The stations of the tests: documentation addresses (RFC 5737, RFC 3849), one MAC address each.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The interface of every station on the management network.
pub const NIC: &str = "eth0";

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// To every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// One of the tests' own stations.
    #[must_use]
    pub const fn station(number: u8) -> Self {
        Self([0x52, 0x54, 0x00, 0xaa, 0xbb, number])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.map(|byte| format!("{byte:02x}")).join(":"))
    }
}

/// A machine on the management network.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    /// The namespace's label.
    pub label: &'static str,
    /// MAC address of its `eth0`.
    pub mac: Mac,
    /// IPv4 address of its `eth0`.
    pub v4: Ipv4Addr,
    /// IPv6 address of its `eth0`.
    pub v6: Ipv6Addr,
}

impl Station {
    const fn new(label: &'static str, mac: u8, v4: [u8; 4], v6: [u16; 2]) -> Self {
        let [a, b, c, d] = v4;
        Self {
            label,
            mac: Mac::station(mac),
            v4: Ipv4Addr::new(a, b, c, d),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 0, v6[0], 0, 0, 0, v6[1]),
        }
    }
}

/// The compute host that is protected.
pub const HOST: Station = Station::new("host", 0x17, [192, 0, 2, 17], [0x17, 0x17]);

/// The host's second address, in the operators' network.
pub const HOST_OPERATIONS: Station = Station::new("host", 0x17, [198, 51, 100, 17], [0x51, 0x17]);

/// The host's address towards its guests; not on `eth0`.
pub const HOST_GUESTS: Station = Station::new("host", 0x18, [203, 0, 113, 1], [0x113, 0x1]);

/// The virtualised infrastructure manager: a legitimate peer.
pub const VIM: Station = Station::new("vim", 0x01, [192, 0, 2, 10], [0x17, 0x10]);

/// The operators' jump host.
pub const BASTION: Station = Station::new("bastion", 0x99, [198, 51, 100, 2], [0x51, 0x2]);

/// An attacker on the management network.
pub const INTRUDER: Station = Station::new("intruder", 0x66, [192, 0, 2, 66], [0x17, 0x66]);

/// A tenant, whose traffic to the guest passes through the host.
pub const TENANT: Station = Station::new("tenant", 0x90, [192, 0, 2, 90], [0x17, 0x90]);

/// A guest behind the host; not protected.
pub const GUEST: Station = Station::new("guest", 0x13, [203, 0, 113, 10], [0x113, 0x10]);
