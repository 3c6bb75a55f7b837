//! `docs/policy.md` says what the reader does.

use super::*;
use crate::policy::{
    icmp::TYPES,
    lint::Code,
    protocol::PROTOCOLS,
    raw::{RawEndpoint, RawMatch, RawPolicy, RawReferencePoint},
    timeouts::Timeout,
};

const PAGE: &str = include_str!("../../../../docs/policy.md");

#[test]
fn its_first_example_is_valid() {
    let example = PAGE.lines().skip_while(|line| !line.starts_with("    "));
    let example: Vec<&str> = example
        .map_while(|line| line.strip_prefix("    "))
        .collect();
    let validated = read(&example.join("\n"), "docs/policy.md").unwrap();
    assert!(
        validated.lint(None).is_empty(),
        "{:#?}",
        validated.lint(None)
    );
}

#[test]
fn it_describes_every_field_protocol_and_remark() {
    let fields = [
        RawPolicy::FIELDS,
        RawEndpoint::FIELDS,
        RawReferencePoint::FIELDS,
        RawMatch::FIELDS,
    ];
    for field in fields.into_iter().flatten() {
        assert!(PAGE.contains(&format!("| `{field}` | ")), "{field}");
    }
    for (protocol, _) in PROTOCOLS {
        assert!(PAGE.contains(&format!("`{protocol}`")), "{protocol}");
    }
    for (_, name, _) in TYPES {
        assert!(PAGE.contains(&format!("`{name}`")), "{name}");
    }
    for code in Code::ALL {
        assert!(PAGE.contains(&format!("| `{code}` | ")), "{code}");
    }
}

/// The first cells of each row of the first table behind `heading`.
fn rows(heading: &str) -> Vec<Vec<&str>> {
    let (_, section) = PAGE.split_once(heading).unwrap();
    let table = section.lines().skip_while(|line| !line.starts_with("| "));
    let rows = table.take_while(|line| line.starts_with("| ")).skip(2);
    rows.map(|row| row.split('|').skip(1).map(str::trim).collect())
        .collect()
}

#[test]
fn it_gives_every_flow_timeout_and_its_default() {
    let written = rows("### Flow timeouts\n");
    let written: Vec<_> = written.iter().map(|row| (row[0], row[1])).collect();
    let expected: Vec<(String, String)> = State::ALL
        .iter()
        .map(|state| {
            let default = Timeout(state.default_seconds());
            (format!("`{}`", state.name()), format!("`{default}`"))
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(|(s, d)| (&**s, &**d)).collect();
    assert_eq!(written, expected);
}

#[test]
fn it_explains_every_value_of_outbound() {
    let written = rows("## Connections that the host opens\n");
    let written: Vec<_> = written.iter().map(|row| row[0].trim_matches('`')).collect();
    let known = [Outbound::Enforce, Outbound::Audit, Outbound::Any];
    assert_eq!(written, known.map(|value| value.to_string()));
}
