//! A search for built-in services: by text, protocol or ports.

use manoward::policy::{CatalogueEntry, ServiceMatch, protocol::PROTOCOLS};

/// The arguments of `manoward services`, parsed.
#[derive(Debug, Eq, PartialEq)]
pub enum Query {
    /// Part of a name, subject, peer or description, in lower case.
    Text(String),
    /// A protocol's name and number. It matches services of the protocol, and texts with the name
    /// as a word.
    Protocol(&'static str, u8),
    /// Ports, of any protocol or of one. A single number also matches an IP protocol of that
    /// number.
    Ports {
        protocol: Option<u8>,
        first: u16,
        last: u16,
    },
}

impl Query {
    /// From `443`, `tcp/443`, `443/tcp`, `tcp 6800-7300`, `sctp`, or any other text.
    pub fn parse(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let parts: Vec<&str> = text
            .split([' ', '/', ':'])
            .filter(|part| !part.is_empty())
            .collect();
        let understood = match *parts {
            [part] => ports(part)
                .map(|(first, last)| Self::Ports {
                    protocol: None,
                    first,
                    last,
                })
                .or_else(|| named(part).map(|(name, number)| Self::Protocol(name, number))),
            [one, other] => of_protocol(one, other).or_else(|| of_protocol(other, one)),
            _ => None,
        };
        understood.unwrap_or(Self::Text(text))
    }

    /// Whether `entry` matches.
    pub fn finds(&self, entry: &CatalogueEntry) -> bool {
        let texts = [entry.name, entry.subject, entry.peer, entry.description];
        let mut texts = texts.iter().map(|text| text.to_lowercase());
        match self {
            Self::Text(text) => texts.any(|known| known.contains(text)),
            Self::Protocol(name, number) => {
                let words = |text: String| {
                    text.split(|c| !char::is_alphanumeric(c))
                        .any(|word| word == *name)
                };
                entry
                    .matches
                    .iter()
                    .any(|carried| carried.range().0 == *number)
                    || texts.any(words)
            }
            &Self::Ports {
                protocol,
                first,
                last,
            } => entry
                .matches
                .iter()
                .any(|&carried| meets(carried, protocol, first, last)),
        }
    }
}

/// Whether `carried` has a port from `first` to `last`, of `protocol` if one is given.
fn meets(carried: ServiceMatch, protocol: Option<u8>, first: u16, last: u16) -> bool {
    match carried {
        ServiceMatch::Ports {
            transport,
            first: lowest,
            last: highest,
        } => {
            protocol.is_none_or(|number| number == transport.protocol())
                && first <= highest
                && lowest <= last
        }
        ServiceMatch::Protocol(number)
        | ServiceMatch::Icmp {
            protocol: number, ..
        } => protocol.is_none() && first == last && first == u16::from(number),
    }
}

fn of_protocol(protocol: &str, range: &str) -> Option<Query> {
    let (_, number) = named(protocol)?;
    let (first, last) = ports(range)?;
    Some(Query::Ports {
        protocol: Some(number),
        first,
        last,
    })
}

fn named(text: &str) -> Option<(&'static str, u8)> {
    PROTOCOLS.iter().copied().find(|&(name, _)| name == text)
}

/// One port, or a range of them.
fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use manoward::policy::catalogue;

    use super::*;

    fn found(text: &str) -> Vec<&'static str> {
        let query = Query::parse(text);
        let found = catalogue().iter().filter(|entry| query.finds(entry));
        found.map(|entry| entry.name).collect()
    }

    #[test]
    fn a_port_finds_services_of_both_directions() {
        assert_eq!(found("443"), ["https", "redfish", "restconf"]);
        assert_eq!(found("9999"), ["ironic-agent", "skyline"]);
        assert_eq!(found("53"), ["dns"]);
        assert!(found("444").is_empty());
    }

    #[test]
    fn a_port_is_found_inside_ranges() {
        assert_eq!(found("5942"), ["vnc"]);
        assert_eq!(found("7400"), ["ceph"]);
        assert_eq!(found("7569"), [""; 0]);
        assert_eq!(found("30417"), ["node-port", "ves"]);
    }

    #[test]
    fn a_protocol_narrows_ports() {
        for text in ["udp/7443", "7443/udp", "udp 7443", "UDP:7443", " 7443 udp "] {
            assert_eq!(found(text), ["enrolment"], "{text}");
        }
        assert_eq!(found("tcp/7443"), ["ceph"]);
        assert_eq!(found("sctp/4739"), ["ipfix"]);
        assert!(found("gre/443").is_empty());
    }

    #[test]
    fn ranges_find_all_that_they_meet() {
        assert_eq!(
            found("tcp/9291-9320"),
            ["barbican", "glance", "openstack-api"]
        );
        assert_eq!(found("318-319"), ["ptp"]);
    }

    #[test]
    fn a_protocol_is_found_in_matches_and_texts() {
        assert_eq!(found("gre"), ["gre"]);
        assert_eq!(found("47"), ["gre"]);
        assert_eq!(found("esp"), ["ipsec"]);
        assert_eq!(found("icmpv6"), ["ping"]);
        assert!(found("sctp").contains(&"node-port"));
        assert!(found("tcp").contains(&"libvirt-tls"));
        assert!(!found("tcp").contains(&"ntp"));
    }

    #[test]
    fn a_text_is_found_in_names_subjects_peers_and_descriptions() {
        assert_eq!(found("libvirt-t"), ["libvirt-tcp", "libvirt-tls"]);
        assert!(found("Storage").contains(&"nvme-tcp"));
        assert!(found("grandmaster").contains(&"ptp"));
        assert_eq!(
            found("live migration"),
            ["migration-data", "migration-data-edpm"]
        );
        assert_eq!(found("tacacs+"), ["tacacs", "tacacs-tls"]);
        assert!(found("placement").contains(&"openstack-api"));
        assert_eq!(found("").len(), catalogue().len());
    }

    #[test]
    fn what_is_no_port_is_text() {
        for text in ["0", "65536", "7-3", "tcp/x", "1/2/3", "-"] {
            assert_eq!(Query::parse(text), Query::Text(text.to_owned()));
        }
    }
}
