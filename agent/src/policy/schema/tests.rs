//! Schema and reader agree.

use std::collections::BTreeSet;

use super::*;
use crate::policy::{
    Mistakes,
    raw::{RawEndpoint, RawMatch, RawPolicy, RawReferencePoint, json_schema},
    read,
    yaml::{self, Node},
};

/// The schema's fields of one type.
fn fields(schema: &Value) -> BTreeSet<&str> {
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(schema["additionalProperties"], json!(false));
    assert!(
        properties
            .values()
            .all(|field| field["description"].is_string()),
        "{schema}"
    );
    properties.keys().map(String::as_str).collect()
}

#[test]
fn schema_and_reader_know_the_same_fields() {
    let schema = json_schema();
    let of = |fields: &[&'static str]| fields.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(fields(&schema), of(RawPolicy::FIELDS));
    let definitions = &schema["$defs"];
    assert_eq!(fields(&definitions["Endpoint"]), of(RawEndpoint::FIELDS));
    assert_eq!(
        fields(&definitions["ReferencePoint"]),
        of(RawReferencePoint::FIELDS)
    );
    assert_eq!(fields(&definitions["ServiceMatch"]), of(RawMatch::FIELDS));
}

/// The reader takes every declared field, and requires those that the schema requires.
#[test]
fn schema_and_reader_require_the_same_fields() {
    let schema = json_schema();
    let definitions = &schema["$defs"];
    for (start, declared, schema) in [
        ("", RawPolicy::FIELDS, &schema),
        (
            "endpoints: {x: {",
            RawEndpoint::FIELDS,
            &definitions["Endpoint"],
        ),
        (
            "reference_points: {x: {",
            RawReferencePoint::FIELDS,
            &definitions["ReferencePoint"],
        ),
        (
            "services: {x: {",
            RawMatch::FIELDS,
            &definitions["ServiceMatch"],
        ),
    ] {
        let end = if start.is_empty() { "" } else { "}}" };
        let lines = declared.iter().map(|field| format!("{field}: [[]]"));
        let separator = if start.is_empty() { "\n" } else { ", " };
        let all = start.to_owned() + &lines.collect::<Vec<_>>().join(separator) + end;
        let error = read(&all, "f").unwrap_err();
        assert!(
            error.lines().all(|line| !line.contains("unknown field")),
            "{error}"
        );
        let none = if start.is_empty() {
            "x: 1".to_owned()
        } else {
            start.to_owned() + end
        };
        let missing: Vec<String> = read(&none, "f").unwrap_err().lines().collect();
        let required = schema["required"].as_array().unwrap();
        for field in declared {
            let owner = if start.is_empty() {
                "the policy"
            } else {
                "`x`"
            };
            let reported = missing
                .iter()
                .any(|line| line.contains(&format!("{owner} has no `{field}`")));
            // One of `role` and `roles` is required, and the reader names the first.
            let is_role = *field == "role" && owner == "`x`";
            assert_eq!(
                reported,
                required.contains(&json!(field)) || is_role && start.contains("endpoints"),
                "{field}: {missing:#?}"
            );
        }
    }
}

/// The value that YAML tools make of `node`.
fn as_json(node: Node) -> Value {
    match node.value {
        yaml::Value::Scalar { text, plain: true } if text.parse::<u64>().is_ok() => {
            json!(text.parse::<u64>().unwrap())
        }
        yaml::Value::Scalar { text, .. } => json!(text),
        yaml::Value::List(items) => items.into_iter().map(as_json).collect(),
        yaml::Value::Mapping(pairs) => pairs
            .into_iter()
            .map(|(key, node)| (key.what.to_string(), as_json(node)))
            .collect(),
        yaml::Value::Unusable => panic!("a mistake"),
    }
}

#[test]
fn the_schema_accepts_the_example() {
    let text = include_str!("../../../../examples/compute.yaml");
    let example = as_json(yaml::parse(text, &mut Mistakes::default()).unwrap());
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    assert!(
        validator.is_valid(&example),
        "{:?}",
        validator.iter_errors(&example).next()
    );
}

#[test]
fn the_schema_refuses_mistakes() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let example: Value = json!({
        "apiVersion": "manoward/v1", "name": "n", "serial": 1, "interfaces": ["eth0"],
        "protect": ["interface-addresses", "2001:db8::1"],
        "outbound": "any", "flow_timeouts": { "tcp-established": "2d" },
        "endpoints": { "v": { "role": "vim", "addresses": ["192.0.2.10"], "vlan": "200.100" } },
        "reference_points": { "p": { "from": ["vim"], "services": ["ssh"] } },
        "services": {
            "a": { "protocol": "tcp", "ports": [22, "7100-7103"] },
            "b": [{ "protocol": 50 }, { "protocol": "udp", "ports": [500], "encryption": "encrypted" }],
        },
    });
    assert!(
        validator.is_valid(&example),
        "{:?}",
        validator.iter_errors(&example).next()
    );
    for (pointer, value) in [
        ("/apiVersion", json!("manoward/v2")),
        ("/serial", json!(0)),
        ("/interfaces", json!([])),
        ("/outbound", json!("observe")),
        ("/outbound", Value::Null),
        ("/flow_timeouts", json!(["5d"])),
        ("/flow_timeouts", json!({ "tcp-open": "5d" })),
        ("/flow_timeouts/tcp-established", json!(30)),
        ("/flow_timeouts/tcp-established", json!("30")),
        ("/flow_timeouts/tcp-established", json!("0s")),
        ("/flow_timeouts/tcp-established", json!("1h30m")),
        ("/flow_timeouts/tcp-established", json!("5w")),
        ("/endpoints/v/vlan", json!(200.1)),
        (
            "/endpoints/v",
            json!({ "role": "vim", "addresses": ["192.0.2.1"], "identity": "x" }),
        ),
        (
            "/reference_points/p",
            json!({ "from": ["a"], "to": ["a"], "services": ["ssh"] }),
        ),
        ("/reference_points/p", json!({ "services": ["ssh"] })),
        ("/services/a", json!({ "protocol": "tcp" })),
        ("/services/a", json!({ "protocol": "gre", "ports": [1] })),
    ] {
        let mut wrong = example.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!validator.is_valid(&wrong), "{pointer}: {wrong}");
    }
}

/// A valid policy with one more line.
fn with(line: &str) -> String {
    format!(
        "apiVersion: manoward/v1\nname: n\nserial: 1\ninterfaces: [eth0]\nprotect: \
         [interface-addresses]\nendpoints: {{}}\nreference_points: {{}}\n{line}\n"
    )
}

/// Whether the schema accepts `text`, and whether the reader does.
fn accepted(text: &str) -> (bool, bool) {
    let json = as_json(yaml::parse(text, &mut Mistakes::default()).unwrap());
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    (validator.is_valid(&json), read(text, "f").is_ok())
}

#[test]
fn schema_and_reader_accept_the_same_outbound_values_and_timeouts() {
    let states = State::ALL.iter().map(|state| (state.name(), true));
    for (state, valid) in states.chain([("tcp", false), ("TCP-opening", false), ("", false)]) {
        let text = with(&format!("flow_timeouts: {{ \"{state}\": 5m }}"));
        assert_eq!(accepted(&text), (valid, valid), "{state}");
    }
    for (duration, valid) in [
        ("1s", true),
        ("05d", true),
        ("30d", true),
        ("2592000s", true),
        ("0d", false),
        ("30", false),
        ("1.5h", false),
        ("5 d", false),
        ("5D", false),
        ("[5d]", false),
    ] {
        let text = with(&format!("flow_timeouts: {{ echo: {duration} }}"));
        assert_eq!(accepted(&text), (valid, valid), "{duration}");
    }
    for (value, valid) in [
        ("enforce", true),
        ("audit", true),
        ("any", true),
        ("none", false),
        ("[any]", false),
    ] {
        let text = with(&format!("outbound: {value}"));
        assert_eq!(accepted(&text), (valid, valid), "{value}");
    }
}

#[test]
fn the_schema_gives_the_defaults_of_timeouts() {
    let schema = json_schema();
    let timeouts = &schema["properties"]["flow_timeouts"]["properties"];
    for (state, timeout) in FlowTimeouts::default().iter() {
        assert_eq!(
            timeouts[state.name()]["default"],
            json!(timeout.to_string())
        );
    }
}
