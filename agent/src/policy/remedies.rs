//! Remedies: what to write instead of a value that a field does not accept.

use super::{
    catalogue::{CatalogueEntry, catalogue},
    model::ServiceMatch,
    yaml::{Kind, Value},
};

/// Fields of names that a person chooses, which may look like a number or a truth value: in quotes
/// they are names.
const NAMES: &[&str] = &[
    "name",
    "role",
    "roles",
    "interface",
    "interfaces",
    "from",
    "to",
    "at",
];

/// Fields that are planned for the format, and are not part of this version.
pub(super) const LATER: &[&str] = &["transport"];

/// How each field is written, for remedies.
const EXAMPLES: &[(&str, &str)] = &[
    ("apiVersion", "apiVersion: manoward/v1"),
    ("name", "name: compute-17"),
    ("serial", "serial: 1"),
    ("interfaces", "interfaces: [eth0]"),
    ("vlans", "vlans: [untagged, 100]"),
    ("protect", "protect: [interface-addresses]"),
    ("mode", "mode: enforce"),
    ("outbound", "outbound: audit"),
    (
        "flow_timeouts",
        "flow_timeouts: { tcp-established: 5d, udp-established: 5m }",
    ),
    (
        "endpoints",
        "endpoints: { vim-1: { role: vim, addresses: [192.0.2.10] } }",
    ),
    (
        "reference_points",
        "reference_points: { Nf-Vi: { from: [vim], services: [ssh] } }",
    ),
    (
        "break_glass",
        "break_glass: { addresses: [198.51.100.2], services: [ssh] }",
    ),
    ("services", "services: [ssh]"),
    ("role", "role: vim"),
    ("roles", "roles: [vim, vnfm]"),
    ("at", "at: [192.0.2.17]"),
    ("addresses", "addresses: [192.0.2.10, 2001:db8::/64]"),
    ("authenticate", "authenticate: certificate"),
    ("identity", "identity: spiffe://operator.example/vim/1"),
    ("sessions", "sessions: replace"),
    ("routed", "routed: true"),
    ("mac", "mac: 52:54:00:aa:bb:01"),
    ("vlan", "vlan: 200"),
    ("interface", "interface: eth0"),
    ("from", "from: [vim]"),
    ("to", "to: [vim]"),
    ("protocol", "protocol: tcp"),
    ("ports", "ports: [7100-7103]"),
    ("types", "types: [timestamp-request]"),
    ("codes", "codes: [0]"),
    ("encryption", "encryption: encrypted"),
    (
        "accept",
        "accept: { plaintext-service: a network of its own }",
    ),
];

/// How `field` is written.
pub(super) fn example(field: &str) -> String {
    let known = EXAMPLES.iter().find(|(name, _)| *name == field);
    known.map_or_else(String::new, |(_, text)| {
        format!("Write for example `{text}`.")
    })
}

/// How an entry of the mapping `field` is written.
pub(super) fn entry(field: &str) -> &'static str {
    match field {
        "flow_timeouts" => "STATE: 5m",
        "accept" => "REMARK: reason",
        _ => "NAME: { ... }",
    }
}

/// What to write in place of a value of another kind than `field` takes. Quotes are a remedy only
/// where the value is accepted with them.
pub(super) fn other_kind(field: &str, kind: Kind, value: &Value) -> String {
    let known = match (value, kind) {
        (Value::Scalar { text, .. }, Kind::Integer) if field == "services" => {
            Some(service_for(text))
        }
        (Value::Scalar { text, .. }, Kind::Integer | Kind::Fraction | Kind::Boolean)
            if NAMES.contains(&field) || (field, kind) == ("vlan", Kind::Fraction) =>
        {
            Some(format!("Put it in quotes: `\"{text}\"`."))
        }
        (Value::Scalar { text, .. }, Kind::Text) if is_number(text) => {
            Some(format!("Write it without quotes: `{field}: {text}`."))
        }
        // `[2001:db8::]` is a mapping from `2001:db8:` to nothing.
        (Value::Mapping(pairs), _) => match pairs.as_slice() {
            [(key, value)] if value.kind() == Kind::Nothing => Some(format!(
                "Put text that ends in `:` in quotes: `\"{}:\"`.",
                key.what
            )),
            _ => None,
        },
        _ => None,
    };
    known.unwrap_or_else(|| example(field))
}

/// Whether `text` is decimal digits.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What to write in place of a port where the name of a service belongs; of the catalogue's services
/// with this port, the one that has no other, if there is one.
pub(super) fn service_for(port: &str) -> String {
    let number: Option<u16> = port.parse().ok();
    let has = |matched: &ServiceMatch| {
        matches!(matched, ServiceMatch::Ports { first, last, .. }
            if number.is_some_and(|number| (*first..=*last).contains(&number)))
    };
    let carries = |entry: &&CatalogueEntry| entry.matches.iter().any(has);
    let found = catalogue().iter().filter(carries);
    let found = found.min_by_key(|entry| entry.matches.len());
    found.map_or_else(
        || {
            format!(
                "Services have names: define one under `services` as `NAME: {{ protocol: tcp, \
                 ports: [{port}] }}`, and write its name here."
            )
        },
        |entry| {
            format!(
                "Services have names: that of port {port} is `{}`.",
                entry.name
            )
        },
    )
}

/// The accepted kinds in words.
pub(super) fn scalars_wanted(accepted: &[Kind]) -> &'static str {
    match accepted {
        [Kind::Text] => "text",
        [Kind::Integer] => "a whole number",
        _ => "text or a whole number",
    }
}

/// Names in backticks, separated by commas.
pub(super) fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
