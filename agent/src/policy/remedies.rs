//! Remedies: what to write instead of a value that a field does not accept.

use super::yaml::{Kind, Value};

/// Fields of numbers, for which quotes are no remedy.
const NUMERIC: &[&str] = &["codes", "ports", "protocol", "serial", "types"];

/// Fields that are planned for the format, and are not part of this version.
pub(super) const LATER: &[&str] = &["break_glass", "transport"];

/// How each field is written, for remedies.
const EXAMPLES: &[(&str, &str)] = &[
    ("apiVersion", "apiVersion: manoward/v1"),
    ("name", "name: compute-17"),
    ("serial", "serial: 1"),
    ("interfaces", "interfaces: [eth0]"),
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
    ("services", "services: [ssh]"),
    ("role", "role: vim"),
    ("addresses", "addresses: [192.0.2.10, 2001:db8::/64]"),
    ("authenticate", "authenticate: certificate"),
    ("identity", "identity: spiffe://operator.example/vim/1"),
    ("sessions", "sessions: replace"),
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
        _ => "NAME: { ... }",
    }
}

/// A remedy, if quotes would make the value acceptable.
pub(super) fn in_quotes(field: &str, kind: Kind, value: &Value) -> Option<String> {
    match (value, kind) {
        (_, Kind::Fraction | Kind::Boolean) if NUMERIC.contains(&field) => None,
        (Value::Scalar { text, .. }, Kind::Integer | Kind::Fraction | Kind::Boolean) => {
            Some(format!("Put it in quotes: `\"{text}\"`."))
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
    }
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
