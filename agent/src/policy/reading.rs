//! Turns the YAML tree of a file into the types of [`raw`](super::raw).

use super::{
    fields::{self, BOOLEAN, Fields, NUMBER, Owner, TEXT, TEXT_OR_NUMBER},
    mistake::Mistakes,
    positions::At,
    raw::{
        Located, Named, RawBreakGlass, RawEndpoint, RawMatch, RawPolicy, RawReferencePoint, Text,
    },
    remedies,
    yaml::{Kind, Node, Value},
};

/// Reads a policy. What cannot be read is reported as a mistake and left out.
pub(super) fn policy(root: Node, mistakes: &mut Mistakes) -> Option<RawPolicy> {
    const REQUIRED: &[&str] = &[
        "apiVersion",
        "name",
        "serial",
        "interfaces",
        "protect",
        "endpoints",
        "reference_points",
    ];
    let whole = (Owner::Policy, root.at);
    let mut fields = Fields::open(root, whole, (RawPolicy::FIELDS, REQUIRED), mistakes)?;
    let raw = RawPolicy {
        api_version: fields.scalar("apiVersion", TEXT, mistakes),
        name: fields.scalar("name", TEXT, mistakes),
        serial: fields.scalar("serial", NUMBER, mistakes),
        vlans: fields.one_or_more("vlans", TEXT_OR_NUMBER, mistakes),
        interfaces: fields.one_or_more("interfaces", TEXT, mistakes),
        protect: fields.scalars("protect", TEXT, mistakes),
        mode: fields.scalar("mode", TEXT, mistakes),
        outbound: fields.scalar("outbound", TEXT, mistakes),
        flow_timeouts: named(&mut fields, "flow_timeouts", duration, mistakes),
        endpoints: named(&mut fields, "endpoints", endpoint, mistakes),
        reference_points: named(&mut fields, "reference_points", reference_point, mistakes),
        break_glass: break_glass(&mut fields, mistakes),
        services: named(&mut fields, "services", service, mistakes),
        accept: named(&mut fields, "accept", reason, mistakes),
    };
    fields.close(mistakes);
    Some(raw)
}

/// Reads a mapping from names.
fn named<T>(
    fields: &mut Fields<'_>,
    field: &str,
    read: impl Fn(&Text, Node, &mut Mistakes) -> T,
    mistakes: &mut Mistakes,
) -> Option<Named<T>> {
    let node = fields.take(field)?;
    let (at, kind) = (node.at, node.kind());
    let Value::Mapping(pairs) = node.value else {
        fields::wrong_kind(at, mistakes, kind, || {
            let message = format!(
                "`{field}` must be a mapping from names, not {}",
                kind.name()
            );
            let form = remedies::entry(field);
            let remedy =
                format!("Write each one below `{field}:` as `{form}`; `{{}}` stands for none.");
            (message, remedy)
        });
        return None;
    };
    let each = pairs.into_iter().map(|(name, node)| {
        let value = read(&name, node, mistakes);
        (name, value)
    });
    Some(each.collect())
}

/// Reads a duration, which is text because of its unit; a number without a unit is reported by the
/// validation.
fn duration(state: &Text, node: Node, mistakes: &mut Mistakes) -> Option<Text> {
    let (at, kind) = (node.at, node.kind());
    match node.value {
        Value::Scalar { text, .. } if kind != Kind::Nothing => Some(Located { what: text, at }),
        _ => {
            fields::wrong_kind(at, mistakes, kind, || {
                let message = format!(
                    "the timeout of `{}` must be a duration, not {}",
                    state.what,
                    kind.name()
                );
                (message, remedies::example("flow_timeouts"))
            });
            None
        }
    }
}

/// Reads the reason why a remark is accepted.
fn reason(remark: &Text, node: Node, mistakes: &mut Mistakes) -> Option<Text> {
    let (at, kind) = (node.at, node.kind());
    match node.value {
        Value::Scalar { text, .. } if kind == Kind::Text && !text.is_empty() => {
            Some(Located { what: text, at })
        }
        _ => {
            fields::wrong_kind(at, mistakes, kind, || {
                let message = format!("`{}` is accepted without a reason", remark.what);
                (message, remedies::example("accept"))
            });
            None
        }
    }
}

fn endpoint(name: &Text, node: Node, mistakes: &mut Mistakes) -> RawEndpoint {
    let whole = (Owner::Endpoint(&name.what), name.at);
    let known = (RawEndpoint::FIELDS, ["addresses"].as_slice());
    let Some(mut fields) = Fields::open(node, whole, known, mistakes) else {
        return RawEndpoint::default();
    };
    let roles = (fields.has("role"), fields.has("roles"));
    if roles.0 == roles.1 {
        mistakes.add(name.at, || {
            let message = if roles.0 {
                format!("endpoint `{}` has both `role` and `roles`", name.what)
            } else {
                format!("endpoint `{}` has no `role`", name.what)
            };
            (
                message,
                "Write `role: vim`, or `roles: [vim, vnfm]` for several.".to_owned(),
            )
        });
    }
    let raw = RawEndpoint {
        role: fields.scalar("role", TEXT, mistakes),
        roles: fields.scalars("roles", TEXT, mistakes),
        addresses: fields.scalars("addresses", TEXT, mistakes),
        authenticate: fields.scalar("authenticate", TEXT, mistakes),
        identity: fields.scalar("identity", TEXT, mistakes),
        sessions: fields.scalar("sessions", TEXT_OR_NUMBER, mistakes),
        routed: fields.scalar("routed", BOOLEAN, mistakes),
        mac: fields.scalar("mac", TEXT, mistakes),
        vlan: fields.scalar("vlan", TEXT_OR_NUMBER, mistakes),
        interface: fields.one_or_more("interface", TEXT, mistakes),
    };
    fields.close(mistakes);
    raw
}

fn break_glass(fields: &mut Fields<'_>, mistakes: &mut Mistakes) -> Option<RawBreakGlass> {
    let node = fields.take("break_glass")?;
    let at = node.at;
    let known = (RawBreakGlass::FIELDS, ["addresses", "services"].as_slice());
    let mut fields = Fields::open(node, (Owner::BreakGlass, at), known, mistakes)?;
    let raw = RawBreakGlass {
        addresses: fields.scalars("addresses", TEXT, mistakes),
        services: fields.scalars("services", TEXT, mistakes),
        mac: fields.scalar("mac", TEXT, mistakes),
        interface: fields.scalar("interface", TEXT, mistakes),
        at,
    };
    fields.close(mistakes);
    Some(raw)
}

fn reference_point(name: &Text, node: Node, mistakes: &mut Mistakes) -> RawReferencePoint {
    let whole = (Owner::ReferencePoint(&name.what), name.at);
    let known = (RawReferencePoint::FIELDS, ["services"].as_slice());
    let Some(mut fields) = Fields::open(node, whole, known, mistakes) else {
        return RawReferencePoint::default();
    };
    let directions = (fields.has("from"), fields.has("to"));
    if directions.0 == directions.1 {
        mistakes.add(name.at, || {
            let how_many = if directions.0 {
                "both `from` and `to`"
            } else {
                "neither `from` \
             nor `to`"
            };
            let message = format!("reference point `{}` has {how_many}", name.what);
            let remedy = "Give it `from: [ROLE]` if the peers connect to this host, or `to: \
             [ROLE]` if this host \
                          connects to them; for both, write two reference points.";
            (message, remedy.to_owned())
        });
    }
    let raw = RawReferencePoint {
        from: fields.scalars("from", TEXT, mistakes),
        to: fields.scalars("to", TEXT, mistakes),
        services: fields.scalars("services", TEXT, mistakes),
        at: fields.scalars("at", TEXT, mistakes),
        mode: fields.scalar("mode", TEXT, mistakes),
    };
    fields.close(mistakes);
    raw
}

/// Reads a service: one mapping, or a list of them.
fn service(name: &Text, node: Node, mistakes: &mut Mistakes) -> Vec<RawMatch> {
    match node.value {
        Value::List(items) if items.is_empty() => {
            mistakes.add(node.at, || {
                let message = format!("service `{}` is empty", name.what);
                (
                    message,
                    "Write for example `{ protocol: tcp, ports: [7100] }`.".to_owned(),
                )
            });
            Vec::new()
        }
        Value::List(items) => {
            let each = items.into_iter().map(|item| {
                let at = item.at;
                service_match(&name.what, at, item, mistakes)
            });
            each.flatten().collect()
        }
        _ => service_match(&name.what, name.at, node, mistakes)
            .into_iter()
            .collect(),
    }
}

fn service_match(name: &str, at: At, node: Node, mistakes: &mut Mistakes) -> Option<RawMatch> {
    let known = (RawMatch::FIELDS, ["protocol"].as_slice());
    let mut fields = Fields::open(node, (Owner::Service(name), at), known, mistakes)?;
    let has_ports = fields.has("ports");
    let raw = RawMatch {
        protocol: fields.scalar("protocol", TEXT_OR_NUMBER, mistakes),
        ports: fields.scalars("ports", TEXT_OR_NUMBER, mistakes),
        types: fields.scalars("types", TEXT_OR_NUMBER, mistakes),
        codes: fields.scalars("codes", NUMBER, mistakes),
        encryption: fields.scalar("encryption", TEXT, mistakes),
        has_ports,
        at,
    };
    fields.close(mistakes);
    Some(raw)
}
