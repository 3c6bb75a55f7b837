//! Types of ICMP and ICMPv6 messages: which a service may name, and by what names (IANA, ICMP and
//! ICMPv6 Parameters; the names are those of nftables where it has one).

use std::fmt;

use verdict::{
    frame::{
        icmp::{self, Class},
        transport::IpProtocol,
    },
    image::service::ICMP_CODES,
};

/// Types that a policy may name, by protocol number.
pub const TYPES: &[(u8, &str, u8)] = &[
    (1, "echo-request", 8),
    (1, "router-advertisement", 9),
    (1, "router-solicitation", 10),
    (1, "timestamp-request", 13),
    (1, "info-request", 15),
    (1, "address-mask-request", 17),
    (1, "extended-echo-request", 42),
    (58, "echo-request", 128),
    (58, "router-renumbering", 138),
    (58, "node-information-query", 139),
    (58, "home-agent-discovery-request", 144),
    (58, "extended-echo-request", 160),
];

/// Highest code that a policy may name by itself.
pub const MOST_CODE: u8 = ICMP_CODES as u8 - 2;

/// Whether `protocol` is ICMP or ICMPv6.
#[must_use]
pub const fn is_icmp(protocol: u8) -> bool {
    protocol == IpProtocol::ICMP.0 || protocol == IpProtocol::ICMPV6.0
}

/// Name of a type, if it has one.
#[must_use]
pub fn name(protocol: u8, kind: u8) -> Option<&'static str> {
    TYPES
        .iter()
        .find(|&&(of, _, number)| (of, number) == (protocol, kind))
        .map(|&(_, name, _)| name)
}

/// Number of the type that `text` names or is.
#[must_use]
pub fn number(protocol: u8, text: &str) -> Option<u8> {
    let named = TYPES
        .iter()
        .find(|&&(of, name, _)| of == protocol && name == text);
    named
        .map(|&(_, _, number)| number)
        .or_else(|| text.parse().ok())
}

/// The type of the replies to requests of this type; `None` if it is no request.
#[must_use]
pub const fn reply_to(protocol: u8, kind: u8) -> Option<u8> {
    icmp::reply_to(protocol == IpProtocol::ICMPV6.0, kind)
}

/// Why no service may have messages of this type, with what to do instead; `None` if one may.
#[must_use]
pub fn refused(protocol: u8, kind: u8) -> Option<(&'static str, String)> {
    let class = if protocol == IpProtocol::ICMPV6.0 {
        Class::of_icmpv6(kind)
    } else {
        Class::of_icmp(kind)
    };
    let remove = |why: &str| format!("Remove it: {why}.");
    Some(match class {
        Class::REPLY => {
            let asks = |&asks: &u8| reply_to(protocol, asks) == Some(kind);
            let request = (0..=u8::MAX).find(asks).unwrap_or_default();
            let request = name(protocol, request).map_or(request.to_string(), str::to_owned);
            (
                "answers requests",
                format!("Write `{request}`; what answers it passes with it."),
            )
        }
        Class::ERROR => (
            "is an error",
            remove("an error is judged by the packet that it quotes"),
        ),
        Class::REDIRECT => (
            "is a redirect",
            remove("routes are not changed from outside"),
        ),
        Class::DISCOVERY => (
            "is neighbour discovery",
            remove("it passes if it keeps to RFC 4861"),
        ),
        Class::MEMBERSHIP => (
            "is listener discovery",
            remove("it passes if it keeps to RFC 3810"),
        ),
        _ => return None,
    })
}

/// Codes of a type, a bit for each; the highest stands for all from [`MOST_CODE`] on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Codes(u16);

impl Codes {
    /// Every code.
    pub const ALL: Self = Self(u16::MAX);

    /// These codes, each at most [`MOST_CODE`].
    #[must_use]
    pub fn of(codes: &[u8]) -> Self {
        Self(codes.iter().fold(0, |bits, code| bits | 1 << code))
    }

    /// Whether `code` is one of them.
    #[must_use]
    pub fn has(self, code: u8) -> bool {
        self.0 >> u32::from(code).min(ICMP_CODES - 1) & 1 != 0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return Ok(());
        }
        let codes: Vec<_> = (0..=MOST_CODE)
            .filter(|&code| self.has(code))
            .map(|code| code.to_string())
            .collect();
        let word = if codes.len() == 1 { "code" } else { "codes" };
        write!(f, " {word} {}", codes.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_type_may_be_a_service() {
        for &(protocol, name, kind) in TYPES {
            assert_eq!(refused(protocol, kind), None, "{name}");
            assert_eq!(number(protocol, name), Some(kind));
            assert_eq!(number(protocol, &kind.to_string()), Some(kind));
            assert_eq!(super::name(protocol, kind), Some(name));
        }
        assert_eq!(number(58, "timestamp-request"), None);
        assert_eq!((number(1, "256"), number(1, "-1")), (None, None));
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_remedy() {
        let remedy = |protocol, kind| refused(protocol, kind).unwrap().1;
        assert!(remedy(1, 0).contains("`echo-request`"));
        assert!(remedy(1, 14).contains("`timestamp-request`"));
        assert!(remedy(58, 161).contains("`extended-echo-request`"));
        for (protocol, kind) in [(1, 3), (1, 5), (58, 1), (58, 130), (58, 135), (58, 137)] {
            assert!(remedy(protocol, kind).starts_with("Remove it"), "{kind}");
        }
        assert_eq!(refused(1, 253), None);
    }

    #[test]
    fn codes_are_told_apart_and_shown() {
        let codes = Codes::of(&[0, 3, MOST_CODE]);
        let known: Vec<u8> = (0..=u8::MAX).filter(|&code| codes.has(code)).collect();
        assert_eq!(known, [0, 3, MOST_CODE]);
        assert_eq!(codes.to_string(), " codes 0/3/14");
        assert_eq!(Codes::of(&[1]).to_string(), " code 1");
        assert_eq!(Codes::ALL.to_string(), "");
        assert!((0..=u8::MAX).all(|code| Codes::ALL.has(code)));
    }
}
