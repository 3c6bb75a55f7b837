//! Services that the file defines, and which services a policy uses.

use std::collections::BTreeMap;

use super::{icmp, limit, names, names::Choices};
use crate::policy::{
    catalogue, limits,
    mistake::Mistakes,
    model::{Encryption, ReferencePoint, Service, ServiceMatch, Transport},
    positions::{At, Object, Positions},
    protocol::{self, PROTOCOLS},
    raw::{Named, RawMatch, Text, Texts},
    suggest,
};

const ENCRYPTION: Choices<Encryption> = &[
    ("encrypted", Encryption::Encrypted),
    ("plaintext", Encryption::Plaintext),
    ("unknown", Encryption::Unknown),
];

/// Services by name.
pub(super) type Services = BTreeMap<String, Service>;

/// Validates the services that the file defines.
pub(super) fn validate(
    raw: Named<Vec<RawMatch>>,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> Services {
    if let Some((first, _)) = raw.first() {
        limit(raw.len(), limits::SERVICES, "services", first.at, mistakes);
    }
    let each = raw.into_iter().map(|(name, matches)| {
        names::check(&name, "service", mistakes);
        positions.note(Object::Service, &name.what, name.at);
        let service = service(&name, matches, mistakes);
        (name.what.into(), service)
    });
    each.collect()
}

fn service(name: &Text, raw: Vec<RawMatch>, mistakes: &mut Mistakes) -> Service {
    let encryption = agreed_encryption(name, &raw, mistakes);
    let mut matches = Vec::new();
    for raw in raw {
        let Some(protocol) = raw
            .protocol
            .as_ref()
            .and_then(|text| protocol_number(text, mistakes))
        else {
            continue;
        };
        let transport = Transport::from_protocol(protocol);
        if let (Some(transport), Some(texts)) =
            (transport, raw.types.as_ref().or(raw.codes.as_ref()))
        {
            mistakes.add(texts.at, || {
                let message = format!("{transport} has no types and codes");
                let remedy = "Remove them, or write `protocol: icmp` or `icmpv6`.";
                (message, remedy.to_owned())
            });
        }
        match (transport, raw.ports) {
            (Some(transport), Some(texts)) => ports(transport, texts, &mut matches, mistakes),
            // Told already.
            (Some(_), None) if raw.has_ports => {}
            (Some(transport), None) => {
                let at = raw.protocol.as_ref().map_or(raw.at, |text| text.at);
                mistakes.add(at, || {
                    let message = format!(
                        "service `{}` names no ports of \
                     {transport}",
                        name.what
                    );
                    (message, "Add for example `ports: [7100-7103]`.".to_owned())
                });
            }
            (None, Some(texts)) => mistakes.add(texts.at, || {
                let message = format!("{} has no ports", ServiceMatch::Protocol(protocol));
                (
                    message,
                    "Remove `ports`, or write `protocol: tcp`, `udp` or `sctp`.".to_owned(),
                )
            }),
            (None, None) => icmp::types(protocol, raw.types, raw.codes, &mut matches, mistakes),
        }
    }
    Service {
        matches: merged(matches),
        encryption,
    }
}

/// The encryption stated by the parts of a service; parts that state none have that of the others.
fn agreed_encryption(name: &Text, raw: &[RawMatch], mistakes: &mut Mistakes) -> Encryption {
    let mut agreed: Option<(Encryption, At)> = None;
    for text in raw.iter().filter_map(|raw| raw.encryption.as_ref()) {
        let Some(stated) = names::choice(Some(text), "encryption", ENCRYPTION, mistakes) else {
            continue;
        };
        match agreed {
            Some((encryption, at)) if encryption != stated => mistakes.add(text.at, || {
                let message = format!(
                    "service `{}` is `{stated}` here and `{encryption}` in line {}",
                    name.what, at.line
                );
                (
                    message,
                    "Write the same in both, or define two services.".to_owned(),
                )
            }),
            _ => agreed = Some((stated, text.at)),
        }
    }
    agreed.map_or_else(Encryption::default, |(encryption, _)| encryption)
}

fn protocol_number(text: &Text, mistakes: &mut Mistakes) -> Option<u8> {
    let word = &*text.what;
    let number = protocol::number(word);
    if number.is_none() {
        mistakes.add(text.at, || {
            let names = PROTOCOLS.iter().map(|&(name, _)| name);
            let remedy = suggest::remedy(
                word,
                names,
                "Write `tcp`, `udp`, `sctp` or an IP protocol number up to 255.",
            );
            (format!("`{word}` is not a protocol"), remedy)
        });
    }
    number
}

fn ports(
    transport: Transport,
    texts: Texts,
    matches: &mut Vec<ServiceMatch>,
    mistakes: &mut Mistakes,
) {
    for text in texts.what {
        let (first, last) = text
            .what
            .split_once('-')
            .unwrap_or((&text.what, &text.what));
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => {
                matches.push(ServiceMatch::Ports {
                    transport,
                    first,
                    last,
                });
            }
            (Some(first), Some(last)) => mistakes.add(text.at, || {
                let message = format!("the range of ports `{}` ends before it begins", text.what);
                (message, format!("Write `{last}-{first}`."))
            }),
            _ => mistakes.add(text.at, || {
                let message = format!("`{}` is not a port or a range of ports", text.what);
                (
                    message,
                    "Write a number from 1 to 65535, or a range such as `7100-7103`.".to_owned(),
                )
            }),
        }
    }
}

fn port(digits: &str) -> Option<u16> {
    let digits = digits.trim();
    let decimal = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|&port| decimal && port > 0)
}

/// Merges ranges that touch or overlap, and codes of one type, and sorts them.
fn merged(mut matches: Vec<ServiceMatch>) -> Vec<ServiceMatch> {
    matches.sort_unstable();
    let mut merged: Vec<ServiceMatch> = Vec::with_capacity(matches.len());
    for next in matches {
        match (merged.last_mut(), next) {
            (Some(previous), _) if *previous == next => {}
            (
                Some(ServiceMatch::Ports {
                    transport, last, ..
                }),
                ServiceMatch::Ports {
                    transport: same,
                    first: next_first,
                    last: next_last,
                },
            ) if *transport == same && next_first <= last.saturating_add(1) => {
                *last = next_last.max(*last);
            }
            (
                Some(ServiceMatch::Icmp {
                    protocol,
                    kind,
                    codes,
                }),
                ServiceMatch::Icmp {
                    protocol: same,
                    kind: same_kind,
                    codes: more,
                },
            ) if (*protocol, *kind) == (same, same_kind) => *codes = codes.with(more),
            _ => merged.push(next),
        }
    }
    merged
}

/// The service `name`: that of the file, or, if it has none, of the catalogue.
pub(super) fn find(name: &str, defined: &Services) -> Option<Service> {
    let own = defined.get(name).cloned();
    own.or_else(|| catalogue::find(name).map(catalogue::CatalogueEntry::service))
}

/// The services that reference points name.
pub(super) fn used(reference_points: &[ReferencePoint], mut defined: Services) -> Services {
    let mut used = Services::new();
    for name in reference_points.iter().flat_map(|point| &point.services) {
        if !used.contains_key(name)
            && let Some(service) = find(name, &defined)
        {
            defined.remove(name);
            used.insert(name.clone(), service);
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(first: u16, last: u16) -> ServiceMatch {
        ServiceMatch::Ports {
            transport: Transport::Tcp,
            first,
            last,
        }
    }

    #[test]
    fn ranges_are_merged_where_they_touch() {
        let merged = merged(vec![
            tcp(90, 95),
            ServiceMatch::Protocol(47),
            tcp(22, 22),
            tcp(23, 30),
            tcp(25, 26),
            tcp(65_535, 65_535),
            ServiceMatch::Protocol(47),
        ]);
        let expected = [
            tcp(22, 30),
            tcp(90, 95),
            tcp(65_535, 65_535),
            ServiceMatch::Protocol(47),
        ];
        assert_eq!(merged, expected);
    }

    #[test]
    fn ports_are_decimal_and_not_zero() {
        assert_eq!(port("22"), Some(22));
        assert_eq!(port(" 7100 "), Some(7100));
        for bad in ["0", "", "65536", "+22", "0x16", "ssh"] {
            assert_eq!(port(bad), None, "{bad}");
        }
    }
}
