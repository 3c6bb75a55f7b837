//! IP protocols by name (IANA, Assigned Internet Protocol Numbers), and services as text.

use std::fmt;

use ipnet::IpNet;

use super::icmp;
use super::model::{
    BreakGlass, Direction, Encryption, Mode, Outbound, Protect, ServiceMatch, Transport, Vlan,
};

/// Protocols that a policy may name.
pub const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
];

/// Number of the protocol; `text` is its name or its number.
#[must_use]
pub fn number(text: &str) -> Option<u8> {
    let named = PROTOCOLS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, number)| *number);
    named.or_else(|| text.parse().ok())
}

/// Name of the protocol with this number; the number itself if no name is known.
#[must_use]
pub fn name(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|&&(_, known)| known == number);
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

impl Transport {
    /// The transport with this IP protocol number.
    #[must_use]
    pub const fn from_protocol(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }

    /// Its IP protocol number.
    #[must_use]
    pub const fn protocol(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl ServiceMatch {
    /// The IP protocol number, and the first and the last port, or type of ICMP, that it matches; 0 and
    /// 65,535 for a whole protocol without ports.
    #[must_use]
    pub const fn range(self) -> (u8, u16, u16) {
        match self {
            Self::Ports {
                transport,
                first,
                last,
            } => (transport.protocol(), first, last),
            Self::Protocol(number) => (number, 0, u16::MAX),
            Self::Icmp { protocol, kind, .. } => (protocol, kind as u16, kind as u16),
        }
    }
}

impl fmt::Display for BreakGlass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(shortest).collect();
        write!(
            f,
            "{} from {}",
            self.services.join(", "),
            addresses.join(", ")
        )?;
        if let Some(mac) = self.mac {
            write!(f, " with MAC address {}", Mac(mac))?;
        }
        match &self.interface {
            Some(interface) => write!(f, " on {interface}"),
            None => Ok(()),
        }
    }
}

/// An address, or a prefix.
#[must_use]
pub fn shortest(prefix: &IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl fmt::Display for ServiceMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ports {
                transport,
                first,
                last,
            } if first == last => write!(f, "{transport} {first}"),
            Self::Ports {
                transport,
                first,
                last,
            } => write!(f, "{transport} {first}-{last}"),
            Self::Protocol(number) => match PROTOCOLS.iter().find(|&&(_, known)| known == number) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "protocol {number}"),
            },
            Self::Icmp {
                protocol,
                kind,
                codes,
            } => {
                f.write_str(&name(protocol))?;
                match icmp::name(protocol, kind) {
                    Some(name) => write!(f, " {name}{codes}"),
                    None => write!(f, " type {kind}{codes}"),
                }
            }
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        })
    }
}

impl fmt::Display for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
            Self::Any => "any",
        })
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encrypted => "encrypted",
            Self::Plaintext => "plaintext",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbound => "from",
            Self::Outbound => "to",
        })
    }
}

impl fmt::Display for Protect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceAddresses => f.write_str("interface-addresses"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A MAC address, in network byte order; displayed as `52:54:00:aa:bb:01`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// From the lower 48 bits of `word`, first byte highest.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        let [_, _, bytes @ ..] = word.to_be_bytes();
        Self(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl fmt::Display for Vlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untagged => f.write_str("untagged"),
            Self::Tagged(id) => id.fmt(f),
            Self::Stacked { outer, inner } => write!(f, "{outer}.{inner}"),
        }
    }
}
