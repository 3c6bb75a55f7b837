//! The JSON Schema of the fields of a policy file.
//!
//! It describes the values of each field. Rules about several fields (names must resolve, addresses
//! must be unique) are checked only by the reader.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use verdict::state::flow::State;

use super::{
    icmp::{MOST_CODE, TYPES},
    limits,
    lint::Code,
    model::Sessions,
    protocol::PROTOCOLS,
    timeouts::{FlowTimeouts, Timeout},
};

pub(super) fn api_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": super::API_VERSION })
}

pub(super) fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^[A-Za-z0-9._-]+$",
        "minLength": 1,
        "maxLength": limits::NAME_BYTES,
    })
}

pub(super) fn names(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": name(generator), "minItems": 1, "uniqueItems": true })
}

pub(super) fn places(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "pattern": "^[A-Za-z0-9.:_-]+$", "minLength": 1 },
        "minItems": 1,
        "uniqueItems": true,
    })
}

pub(super) fn serial(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": u64::MAX })
}

pub(super) fn interface(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^[A-Za-z0-9._*-]+$",
        "minLength": 1,
        "maxLength": limits::INTERFACE_NAME_BYTES,
    })
}

pub(super) fn interfaces(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            interface(generator),
            {
                "type": "array",
                "items": interface(generator),
                "minItems": 1,
                "maxItems": limits::INTERFACES,
                "uniqueItems": true,
            },
        ],
    })
}

pub(super) fn vlans(_: &mut SchemaGenerator) -> Schema {
    let vlan = json_schema!({
        "anyOf": [
            { "const": "untagged" },
            { "type": "integer", "minimum": 1, "maximum": 4094 },
        ],
    });
    json_schema!({
        "anyOf": [vlan, { "type": "array", "items": vlan, "minItems": 1, "uniqueItems": true }],
    })
}

pub(super) fn protect(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "anyOf": [
                { "const": "interface-addresses" },
                { "type": "string", "format": "ipv4" },
                { "type": "string", "format": "ipv6" },
            ],
        },
        "minItems": 1,
        "maxItems": limits::PROTECT,
        "uniqueItems": true,
    })
}

pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" },
        "minItems": 1,
        "uniqueItems": true,
    })
}

pub(super) fn mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["enforce", "audit"] })
}

pub(super) fn outbound(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["enforce", "audit", "any"] })
}

pub(super) fn accept(_: &mut SchemaGenerator) -> Schema {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let pattern = format!("^({})( .+)?$", codes.join("|"));
    json_schema!({
        "type": "object",
        "patternProperties": { (pattern): { "type": "string", "minLength": 1 } },
        "additionalProperties": false,
    })
}

pub(super) fn flow_timeouts(_: &mut SchemaGenerator) -> Schema {
    let timeout = |(state, default): (State, Timeout)| {
        let schema = json!({
            "type": "string",
            "pattern": "^0*[1-9][0-9]{0,6}[smhd]$",
            "default": default.to_string(),
        });
        (state.name().to_owned(), schema)
    };
    let timeouts: Map<String, Value> = FlowTimeouts::default().iter().map(timeout).collect();
    json_schema!({ "type": "object", "properties": timeouts, "additionalProperties": false })
}

pub(super) fn authenticate(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["address", "certificate"], "default": "address" })
}

pub(super) fn identity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 2048 })
}

pub(super) fn sessions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "enum": ["replace", "refuse"] },
            { "type": "integer", "minimum": 2, "maximum": Sessions::MOST },
        ],
        "default": "replace",
    })
}

pub(super) fn routed(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "boolean", "default": false })
}

pub(super) fn mac(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$" })
}

pub(super) fn vlan(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 4094 },
            { "type": "string", "pattern": "^(untagged|[0-9]{1,4}(\\.[0-9]{1,4})?)$" },
        ],
    })
}

pub(super) fn protocol(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = PROTOCOLS.iter().map(|&(name, _)| name).collect();
    json_schema!({
        "anyOf": [
            { "enum": names },
            { "type": "integer", "minimum": 0, "maximum": 255 },
        ],
    })
}

pub(super) fn ports(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$" },
            ],
        },
        "minItems": 1,
    })
}

pub(super) fn types(_: &mut SchemaGenerator) -> Schema {
    let names: BTreeSet<&str> = TYPES.iter().map(|&(_, name, _)| name).collect();
    json_schema!({
        "type": "array",
        "items": {
            "anyOf": [
                { "enum": names },
                { "type": "integer", "minimum": 0, "maximum": 255 },
            ],
        },
        "minItems": 1,
    })
}

pub(super) fn codes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "integer", "minimum": 0, "maximum": MOST_CODE },
        "minItems": 1,
    })
}

pub(super) fn encryption(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["encrypted", "plaintext", "unknown"], "default": "unknown" })
}

pub(super) fn endpoints<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let each = generator.subschema_for::<T>();
    named(&each, limits::ENDPOINTS, generator)
}

pub(super) fn reference_points<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let each = generator.subschema_for::<T>();
    named(&each, limits::REFERENCE_POINTS, generator)
}

pub(super) fn services<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let one = generator.subschema_for::<T>();
    let each = json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] });
    named(&each, limits::SERVICES, generator)
}

/// A part with fields of its own.
pub(super) fn part<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A mapping from names.
fn named(each: &Schema, most: usize, generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": name(generator),
        "additionalProperties": each,
        "maxProperties": most,
    })
}

/// Adds that TCP, UDP and SCTP have ports and other protocols have none, and that ICMP and ICMPv6
/// alone have types.
pub(super) fn ports_by_protocol(schema: &mut Schema) {
    let with_ports =
        json!({ "properties": { "protocol": { "enum": ["tcp", "udp", "sctp", 6, 17, 132] } } });
    schema.insert("if".to_owned(), with_ports);
    schema.insert("then".to_owned(), json!({ "required": ["ports"] }));
    schema.insert(
        "else".to_owned(),
        json!({ "properties": { "ports": false } }),
    );
    let icmp = json!({ "properties": { "protocol": { "enum": ["icmp", "icmpv6", 1, 58] } } });
    let no_types = json!({ "properties": { "types": false, "codes": false } });
    schema.insert(
        "allOf".to_owned(),
        json!([{ "if": icmp, "else": no_types }]),
    );
    schema.insert(
        "dependentRequired".to_owned(),
        json!({ "codes": ["types"] }),
    );
}

#[cfg(test)]
mod tests;
