//! Validates reference points: their roles and services must exist, and they have one direction.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    MODES, limit, names,
    overlap::{self, Use},
    places,
    services::{self, Services},
};
use crate::policy::{
    catalogue::catalogue,
    limits,
    mistake::Mistakes,
    model::{ANYONE, Direction, ENROLMENT, Endpoint, Mode, Protect, ReferencePoint},
    positions::{At, Object, Positions},
    raw::{Named, RawReferencePoint, Text, Texts},
    remedies, suggest,
};

/// Roles defined by ETSI NFV and 3GPP; a policy may name them before any endpoint has them.
pub(super) const KNOWN_ROLES: &[&str] = &[
    "dm", "em", "ne", "nfvi", "nfvo", "nm", "oss-bss", "vim", "vnf", "vnfm",
];

/// What reference points refer to.
pub(super) struct Context<'a> {
    /// Roles of endpoints.
    pub(super) carriers: &'a BTreeMap<String, At>,
    /// Whether these are all roles. If not, an unknown role may be one that could not be read.
    pub(super) carriers_complete: bool,
    /// Endpoints by name.
    pub(super) endpoints: &'a BTreeMap<String, Endpoint>,
    /// Services of the file.
    pub(super) defined: &'a Services,
    /// Addresses that are protected.
    pub(super) protect: &'a [Protect],
    /// The policy's mode.
    pub(super) mode: Mode,
}

/// Validates all reference points, in the order of the file.
pub(super) fn validate(
    raw: Named<RawReferencePoint>,
    context: &Context<'_>,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> Vec<ReferencePoint> {
    if let Some((first, _)) = raw.first() {
        limit(
            raw.len(),
            limits::REFERENCE_POINTS,
            "reference points",
            first.at,
            mistakes,
        );
        let services = raw.iter().filter_map(|(_, point)| point.services.as_ref());
        let admissions = services.map(|texts| texts.what.len()).sum();
        let what = "services in all reference points together";
        limit(admissions, limits::ADMISSIONS, what, first.at, mistakes);
    }
    let mut roles: BTreeSet<String> = context.carriers.keys().cloned().collect();
    let mut uses = Vec::new();
    let mut points = Vec::with_capacity(raw.len());
    for (name, raw) in raw {
        if &*name.what == ENROLMENT {
            mistakes.add(name.at, || {
                let message = format!(
                    "the name `{ENROLMENT}` is reserved for the agent's own reference point"
                );
                (message, "Give it another name.".to_owned())
            });
        }
        names::check(&name, "reference point", mistakes);
        positions.note(Object::ReferencePoint, &name.what, name.at);
        let point = point(name, raw, context, &mut uses, mistakes);
        let named = point.roles.iter().filter(|role| *role != ANYONE);
        roles.extend(named.cloned());
        points.push(point);
    }
    overlap::report(&uses, context.defined, mistakes);
    places::limits(&points, context.endpoints, positions, mistakes);
    let first_role = context.carriers.values().min().copied().unwrap_or_default();
    limit(roles.len(), limits::ROLES, "roles", first_role, mistakes);
    points
}

fn point(
    name: Text,
    raw: RawReferencePoint,
    context: &Context<'_>,
    uses: &mut Vec<Use>,
    mistakes: &mut Mistakes,
) -> ReferencePoint {
    let directed = raw.from.is_some() || raw.to.is_some();
    let (direction, roles) = match (raw.from, raw.to) {
        (Some(texts), _) => (Direction::Inbound, Some(texts)),
        (None, texts) => (Direction::Outbound, texts),
    };
    let roles = once_each(roles, "role", &name.what, mistakes);
    for role in &roles {
        check_role(role, context, mistakes);
    }
    let services = once_each(raw.services, "service", &name.what, mistakes);
    for service in &services {
        if check_service(service, context.defined, mistakes) && directed {
            uses.push(Use {
                direction,
                service: service.clone(),
                reference_point: name.what.clone(),
            });
        }
    }
    let at = places::validate(raw.at, context.protect, mistakes);
    let mode = names::choice(raw.mode.as_ref(), "mode", MODES, mistakes);
    ReferencePoint {
        name: name.what.into(),
        direction,
        roles: roles.into_iter().map(|text| text.what.into()).collect(),
        services: services.into_iter().map(|text| text.what.into()).collect(),
        at,
        mode: mode.unwrap_or(context.mode),
    }
}

/// The items of a list; one that is repeated is a mistake.
fn once_each(texts: Option<Texts>, what: &str, point: &str, mistakes: &mut Mistakes) -> Vec<Text> {
    let mut kept: Vec<Text> = Vec::new();
    let mut seen = BTreeSet::new();
    for text in texts.into_iter().flat_map(|texts| texts.what) {
        if seen.insert(text.what.clone()) {
            kept.push(text);
        } else {
            mistakes.add(text.at, || {
                let message = format!(
                    "reference point `{point}` names the {what} `{}` twice",
                    text.what
                );
                (message, "Remove one of them.".to_owned())
            });
        }
    }
    kept
}

fn check_role(role: &Text, context: &Context<'_>, mistakes: &mut Mistakes) {
    let name = &*role.what;
    if context.carriers.contains_key(name) || KNOWN_ROLES.contains(&name) || name == ANYONE {
        return;
    }
    let carried = context.carriers.keys().map(String::as_str);
    let meant = suggest::closest(
        name,
        carried.chain(KNOWN_ROLES.iter().copied()).chain([ANYONE]),
    );
    if meant.is_none() && !context.carriers_complete {
        return;
    }
    if let Some(endpoint) = context.endpoints.get(name) {
        mistakes.add(role.at, || {
            let message = format!("`{name}` is an endpoint, and here stand roles");
            (message, format!("Write its role: `{}`.", endpoint.roles))
        });
        return;
    }
    mistakes.add(role.at, || {
        let remedy = match meant {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => "Give the role to an endpoint, or remove it here.".to_owned(),
        };
        (format!("no endpoint has the role `{name}`"), remedy)
    });
}

fn check_service(service: &Text, defined: &Services, mistakes: &mut Mistakes) -> bool {
    let name = &*service.what;
    let known = services::find(name, defined).is_some();
    if !known {
        mistakes.add(service.at, || {
            if remedies::is_number(name) {
                let message = format!("there is no service `{name}`");
                return (message, remedies::service_for(name));
            }
            let built_in = catalogue().iter().map(|entry| entry.name);
            let candidates = defined.keys().map(String::as_str).chain(built_in);
            let remedy = suggest::remedy(
                name,
                candidates,
                "Define it under `services`, or choose one of the catalogue.",
            );
            (format!("there is no service `{name}`"), remedy)
        });
    }
    known
}
