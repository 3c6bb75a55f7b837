//! Addresses and prefixes from text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use thiserror::Error;

/// A text that is not valid as an address or prefix of an endpoint, or as an address to protect.
#[derive(Debug, Error)]
pub enum BadAddress {
    #[error("`{0}` is not an IP address or prefix")]
    Unreadable(String),
    #[error("`{0}` is not an IP address")]
    NotOneAddress(String),
    #[error("`{0}` names an interface in its address")]
    Zone(String),
    #[error("`{text}` has a prefix length above {most}")]
    Length { text: String, most: u8 },
    #[error("`{text}` has a netmask where a prefix length belongs")]
    Netmask { text: String, meant: Option<IpNet> },
    #[error("`{0}` has bits set beyond its prefix length")]
    HostBits(IpNet),
    #[error("`{0}` is an IPv4-mapped IPv6 address")]
    Mapped(IpNet),
    #[error("`{0}` is the unspecified address, which no peer has")]
    Unspecified(IpAddr),
    #[error("`{0}` is a prefix, and only single addresses can be protected")]
    PrefixProtected(String),
}

impl BadAddress {
    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable(_) => {
                "Write for example `192.0.2.10`, `192.0.2.0/24`, `2001:db8::10` or \
                 `2001:db8::/32`."
                    .to_owned()
            }
            Self::NotOneAddress(_) => {
                "Write an address, for example `192.0.2.10`, or `interface-addresses`.".to_owned()
            }
            Self::Zone(text) => {
                let (address, interface) = text.split_once('%').unwrap_or((text, ""));
                format!(
                    "Write `{address}`; an endpoint is bound to an interface with `interface: \
                     {interface}`."
                )
            }
            Self::Length { most, .. } => format!("Write a length from 0 to {most}."),
            Self::Netmask {
                meant: Some(net), ..
            } => format!("Write `{net}`."),
            Self::Netmask { .. } => {
                "Write the number of the mask's set bits, for example `/24`.".to_owned()
            }
            Self::HostBits(net) => {
                format!(
                    "Write `{}` for the prefix or `{}` for the one address.",
                    net.trunc(),
                    net.addr()
                )
            }
            Self::Mapped(net) => match net.addr() {
                IpAddr::V6(address) => {
                    let [.., a, b, c, d] = address.octets();
                    format!("Write it as IPv4: `{a}.{b}.{c}.{d}`.")
                }
                IpAddr::V4(address) => format!("Write it as IPv4: `{address}`."),
            },
            Self::Unspecified(address) => format!(
                "Write `{address}/0` if every address is \
             meant."
            ),
            Self::PrefixProtected(_) => {
                "List the addresses, or write `interface-addresses`.".to_owned()
            }
        }
    }
}

/// An address or prefix of an endpoint; a single address becomes a prefix of full length.
pub fn peer(text: &str) -> Result<IpNet, BadAddress> {
    let net = match text.split_once('/') {
        None => match text.parse() {
            Ok(address) => IpNet::from(one(address)?),
            Err(_) => return Err(unreadable(text, BadAddress::Unreadable)),
        },
        Some((address, length)) => prefix(text, address, length)?,
    };
    Ok(net)
}

/// An address to protect.
pub(super) fn protected(text: &str) -> Result<IpAddr, BadAddress> {
    match text.parse() {
        Ok(address) => one(address),
        Err(_) if prefix_of(text).is_ok() => Err(BadAddress::PrefixProtected(text.to_owned())),
        Err(_) => Err(unreadable(text, BadAddress::NotOneAddress)),
    }
}

fn prefix_of(text: &str) -> Result<IpNet, BadAddress> {
    let unreadable = || BadAddress::Unreadable(text.to_owned());
    let (address, length) = text.split_once('/').ok_or_else(unreadable)?;
    prefix(text, address, length)
}

fn prefix(text: &str, address: &str, length: &str) -> Result<IpNet, BadAddress> {
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(unreadable(text, BadAddress::Unreadable));
    };
    if let Ok(mask) = length.parse() {
        return Err(BadAddress::Netmask {
            text: text.to_owned(),
            meant: masked(address, mask),
        });
    }
    let most = if address.is_ipv4() { 32 } else { 128 };
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadAddress::Unreadable(text.to_owned()));
    }
    let length = length.parse().ok().filter(|&length| length <= most);
    let net = length.and_then(|length| IpNet::new(address, length).ok());
    let Some(net) = net else {
        return Err(BadAddress::Length {
            text: text.to_owned(),
            most,
        });
    };
    if net.trunc() != net {
        return Err(BadAddress::HostBits(net));
    }
    // The prefix of all IPv4-mapped addresses, ::ffff:0:0/96, has 96 bits.
    if net.prefix_len() >= 96 && is_mapped(address) {
        return Err(BadAddress::Mapped(net));
    }
    if net.prefix_len() == most {
        one(address).map(IpNet::from)
    } else {
        Ok(net)
    }
}

/// The prefix that `address` and `mask` mean; a mask of the bits that vary, as routers have it, is
/// one, too.
fn masked(address: IpAddr, mask: IpAddr) -> Option<IpNet> {
    let inverted: IpAddr = match mask {
        IpAddr::V4(mask) => Ipv4Addr::from_bits(!mask.to_bits()).into(),
        IpAddr::V6(mask) => Ipv6Addr::from_bits(!mask.to_bits()).into(),
    };
    let net = IpNet::with_netmask(address, mask);
    let net = net.or_else(|_| IpNet::with_netmask(address, inverted));
    Some(net.ok()?.trunc())
}

fn one(address: IpAddr) -> Result<IpAddr, BadAddress> {
    if address.is_unspecified() {
        Err(BadAddress::Unspecified(address))
    } else if is_mapped(address) {
        Err(BadAddress::Mapped(address.into()))
    } else {
        Ok(address)
    }
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

fn unreadable(text: &str, otherwise: impl FnOnce(String) -> BadAddress) -> BadAddress {
    match text.split_once('%') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
            BadAddress::Zone(text.to_owned())
        }
        _ => otherwise(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes() {
        assert_eq!(peer("192.0.2.10").unwrap().to_string(), "192.0.2.10/32");
        assert_eq!(peer("192.0.2.10/32").unwrap(), peer("192.0.2.10").unwrap());
        assert_eq!(
            peer("2001:DB8:0::1").unwrap().to_string(),
            "2001:db8::1/128"
        );
        assert_eq!(peer("0.0.0.0/0").unwrap().prefix_len(), 0);
        assert_eq!(peer("::/0").unwrap().prefix_len(), 0);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        for (text, message, remedy) in [
            (
                "192.0.2.10/24",
                "bits set",
                "Write `192.0.2.0/24` for the prefix or `192.0.2.10` for",
            ),
            ("2001:db8::1/64", "bits set", "`2001:db8::/64`"),
            ("192.0.2.0/33", "above 32", "0 to 32"),
            ("2001:db8::/129", "above 128", "0 to 128"),
            ("2001:db8::/999", "above 128", "0 to 128"),
            ("192.0.2.0/255.255.255.0", "netmask", "`192.0.2.0/24`"),
            ("192.0.2.7/255.255.240.0", "netmask", "`192.0.0.0/20`"),
            ("192.0.2.0/0.0.0.255", "netmask", "`192.0.2.0/24`"),
            ("192.0.2.0/255.0.255.0", "netmask", "for example `/24`"),
            ("2001:db8::/ffff:ffff::", "netmask", "`2001:db8::/32`"),
            ("192.0.2.0/+8", "not an IP", "192.0.2.10"),
            ("192.0.2.0/", "not an IP", "192.0.2.10"),
            ("192.0.02.10", "not an IP", "192.0.2.10"),
            ("vim.example", "not an IP", "192.0.2.10"),
            ("fe80::1%eth0", "names an interface", "`interface: eth0`"),
            ("::ffff:192.0.2.10", "IPv4-mapped", "`192.0.2.10`"),
            ("::ffff:0:0/96", "IPv4-mapped", "IPv4"),
            ("::", "unspecified", "`::/0`"),
            ("0.0.0.0/32", "unspecified", "`0.0.0.0/0`"),
        ] {
            let bad = peer(text).unwrap_err();
            assert!(bad.to_string().contains(message), "{text}: {bad}");
            assert!(bad.remedy().contains(remedy), "{text}: {}", bad.remedy());
        }
    }

    #[test]
    fn only_single_addresses_are_protected() {
        assert!(protected("2001:db8::1").is_ok());
        assert!(matches!(
            protected("192.0.2.0/24"),
            Err(BadAddress::PrefixProtected(_))
        ));
        assert!(matches!(
            protected("interface-adresses"),
            Err(BadAddress::NotOneAddress(_))
        ));
    }
}
