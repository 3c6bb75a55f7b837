//! Validates a raw policy: names must resolve, numbers be in range, limits hold.
//!
//! A part with a mistake is replaced by a placeholder, so that the rest of the file is checked too;
//! the result is used only if there was no mistake.

mod accept;
mod addresses;
mod authenticate;
mod bindings;
mod break_glass;
mod endpoints;
mod icmp;
mod names;
mod overlap;
mod places;
mod reference_points;
mod services;
mod timeouts;
mod uniqueness;

pub use addresses::{BadAddress, peer as peer_address};
pub use bindings::parse_mac;
pub use break_glass::ports as ports_of;

use std::collections::{BTreeMap, BTreeSet};

use self::names::Choices;
use super::{
    API_VERSION, Validated, limits,
    mistake::Mistakes,
    model::{
        Authenticate, Direction, ENROLMENT, Endpoint, Mode, Outbound, Policy, Protect,
        ReferencePoint,
    },
    positions::{At, Object, Positions},
    raw::{RawPolicy, Text, Texts},
};

const MODES: Choices<Mode> = &[("enforce", Mode::Enforce), ("audit", Mode::Audit)];

const OUTBOUND: Choices<Outbound> = &[
    ("enforce", Outbound::Enforce),
    ("audit", Outbound::Audit),
    ("any", Outbound::Any),
];

/// Validates a policy; the result may be used only if `mistakes` is still empty.
pub(super) fn policy(raw: RawPolicy, mistakes: &mut Mistakes) -> Validated {
    let mut positions = Positions::default();
    api_version(raw.api_version.as_ref(), mistakes);
    let name = name(raw.name.as_ref(), &mut positions, mistakes);
    let serial_at = raw.serial.as_ref().map_or_else(At::default, |text| text.at);
    let serial = serial(raw.serial.as_ref(), mistakes);
    let mode = names::choice(raw.mode.as_ref(), "mode", MODES, mistakes).unwrap_or_default();
    let outbound = names::choice(raw.outbound.as_ref(), "outbound", OUTBOUND, mistakes);
    let raw_timeouts = raw.flow_timeouts.unwrap_or_default();
    let flow_timeouts = timeouts::validate(raw_timeouts, &mut positions, mistakes);
    let interfaces = interfaces(raw.interfaces, &mut positions, mistakes);
    let vlans = raw.vlans.map(|texts| bindings::segments(&texts, mistakes));
    let protect = protect(raw.protect, &mut positions, mistakes);

    let peers = endpoints::validate(raw.endpoints, &mut positions, mistakes);
    let defined = services::validate(raw.services.unwrap_or_default(), &mut positions, mistakes);
    let context = reference_points::Context {
        carriers: &peers.carriers,
        carriers_complete: peers.complete,
        endpoints: &peers.endpoints,
        defined: &defined,
        protect: &protect,
        mode,
    };
    let raw_points = raw.reference_points.unwrap_or_default();
    let reference_points =
        reference_points::validate(raw_points, &context, &mut positions, mistakes);

    let break_glass = raw
        .break_glass
        .map(|raw| break_glass::validate(raw, &defined, mistakes));

    let mut reference_points = reference_points;
    reference_points.extend(enrolment(&peers.endpoints));
    let policy = Policy {
        name,
        serial,
        mode,
        outbound: outbound.unwrap_or(match mode {
            Mode::Enforce => Outbound::Enforce,
            Mode::Audit => Outbound::Audit,
        }),
        flow_timeouts,
        interfaces,
        vlans,
        protect,
        endpoints: peers.endpoints,
        break_glass,
        services: services::used(&reference_points, defined),
        reference_points,
    };
    let accepted = accept::validate(raw.accept.unwrap_or_default(), mistakes);
    Validated {
        policy,
        positions,
        accepted,
        serial_at,
        addresses_at: peers.lists,
    }
}

/// The reference point for enrolment, if any endpoint authenticates by certificate.
fn enrolment(endpoints: &BTreeMap<String, Endpoint>) -> Option<ReferencePoint> {
    let roles: BTreeSet<&String> = endpoints
        .values()
        .filter(|endpoint| endpoint.authenticate != Authenticate::Address)
        .flat_map(|endpoint| &endpoint.roles.0)
        .collect();
    (!roles.is_empty()).then(|| ReferencePoint {
        name: ENROLMENT.to_owned(),
        direction: Direction::Inbound,
        roles: roles.into_iter().cloned().collect(),
        services: vec![ENROLMENT.to_owned()],
        at: Vec::new(),
        mode: Mode::Enforce,
    })
}

fn api_version(text: Option<&Text>, mistakes: &mut Mistakes) {
    if let Some(text) = text.filter(|text| *text.what != *API_VERSION) {
        mistakes.add(text.at, || {
            let message = format!(
                "`{}` is not a version of the format that this manoward reads",
                text.what
            );
            (message, format!("Write `apiVersion: {API_VERSION}`."))
        });
    }
}

fn name(text: Option<&Text>, positions: &mut Positions, mistakes: &mut Mistakes) -> String {
    let Some(text) = text else {
        return String::new();
    };
    names::check(text, "policy", mistakes);
    positions.note(Object::Policy, &text.what, text.at);
    text.what.to_string()
}

fn serial(text: Option<&Text>, mistakes: &mut Mistakes) -> u64 {
    let Some(text) = text else {
        return 0;
    };
    let serial = text.what.parse().ok().filter(|&serial| serial > 0);
    if serial.is_none() {
        mistakes.add(text.at, || {
            let message = format!("`{}` is not a serial number", text.what);
            let remedy = format!(
                "Write a whole number from 1 to {}, in decimal digits.",
                u64::MAX
            );
            (message, remedy)
        });
    }
    serial.unwrap_or_default()
}

fn interfaces(
    texts: Option<Texts>,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> Vec<String> {
    let Some(texts) = texts else {
        return Vec::new();
    };
    limit(
        texts.what.len(),
        limits::INTERFACES,
        "interfaces",
        texts.at,
        mistakes,
    );
    for text in &texts.what {
        names::check_interface(text, mistakes);
        once(text, Object::Interface, positions, mistakes);
    }
    texts
        .what
        .into_iter()
        .map(|text| text.what.into())
        .collect()
}

fn protect(
    texts: Option<Texts>,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> Vec<Protect> {
    let Some(texts) = texts else {
        return Vec::new();
    };
    limit(
        texts.what.len(),
        limits::PROTECT,
        "entries of `protect`",
        texts.at,
        mistakes,
    );
    let mut protect = Vec::with_capacity(texts.what.len());
    for mut text in texts.what {
        let entry = if &*text.what == "interface-addresses" {
            Protect::InterfaceAddresses
        } else {
            match addresses::protected(&text.what) {
                Ok(address) => Protect::Address(address),
                Err(bad) => {
                    mistakes.add(text.at, || (bad.to_string(), bad.remedy()));
                    continue;
                }
            }
        };
        // One address can be written in several ways.
        text.what = entry.to_string().into();
        once(&text, Object::Protect, positions, mistakes);
        protect.push(entry);
    }
    protect
}

/// Records the position of an entry, and reports the entry if it was written before.
fn once(text: &Text, object: Object, positions: &mut Positions, mistakes: &mut Mistakes) {
    if let Some(first) = positions.of(object, &text.what) {
        mistakes.add(text.at, || {
            let message = format!(
                "{object} `{}` is listed twice, first in line {}",
                text.what, first.line
            );
            (message, "Remove one of them.".to_owned())
        });
    }
    positions.note(object, &text.what, text.at);
}

/// Reports that a limit is exceeded.
fn limit(count: usize, most: usize, what: &str, at: At, mistakes: &mut Mistakes) {
    if count > most {
        mistakes.add(at, || {
            let message = format!("there are {count} {what}, and one policy can hold {most}");
            (
                message,
                "Remove some, or gather addresses in prefixes and endpoints in roles.".to_owned(),
            )
        });
    }
}
