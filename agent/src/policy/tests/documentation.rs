//! `docs/policy.md` says what the reader does.

use super::*;
use crate::policy::{
    lint::Code,
    protocol::PROTOCOLS,
    raw::{RawEndpoint, RawMatch, RawPolicy, RawReferencePoint},
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
    for code in Code::ALL {
        assert!(PAGE.contains(&format!("| `{code}` | ")), "{code}");
    }
}
