//! Where reference points apply: protected addresses and interfaces.

use std::collections::{BTreeMap, BTreeSet};

use verdict::image::place::{ADDRESSES, CHOICES, MAX_PLACES};

use super::{addresses, names};
use crate::policy::{
    mistake::Mistakes,
    model::{Direction, Endpoint, Place, Protect, ReferencePoint, Roles},
    positions::{Object, Positions},
    raw::{Text, Texts},
};

/// Validates the entries of `at`.
pub(super) fn validate(
    texts: Option<Texts>,
    protect: &[Protect],
    mistakes: &mut Mistakes,
) -> Vec<Place> {
    let Some(texts) = texts else {
        return Vec::new();
    };
    let mut places = BTreeSet::new();
    for text in &texts.what {
        let Some(place) = place(text, protect, mistakes) else {
            continue;
        };
        if !places.insert(place) {
            mistakes.add(text.at, || {
                let message = format!("`{}` is listed twice in `at`", text.what);
                (message, "Remove one of them.".to_owned())
            });
        }
    }
    let addresses = places
        .iter()
        .filter(|place| matches!(place, Place::Address(_)));
    if addresses.count() > ADDRESSES {
        mistakes.add(texts.at, || {
            let message = format!("`at` lists more than {ADDRESSES} addresses");
            (
                message,
                "Name the interface, or write two reference points.".to_owned(),
            )
        });
    }
    places.into_iter().collect()
}

fn place(text: &Text, protect: &[Protect], mistakes: &mut Mistakes) -> Option<Place> {
    match addresses::protected(&text.what) {
        Ok(address) => {
            let is_protected = protect.iter().any(|protect| {
                matches!(protect, Protect::InterfaceAddresses)
                    || *protect == Protect::Address(address)
            });
            if !is_protected && !protect.is_empty() {
                mistakes.add(text.at, || {
                    let message = format!("`{address}` is not a protected address");
                    (
                        message,
                        "List it under `protect`, too, or correct it.".to_owned(),
                    )
                });
            }
            Some(Place::Address(address))
        }
        // What looks like an address is a mistyped one, and not the name of an interface.
        Err(bad) if text.what.contains([':', '/', '%']) || is_dotted(&text.what) => {
            mistakes.add(text.at, || (bad.to_string(), bad.remedy()));
            None
        }
        Err(_) => {
            names::check_interface(text, mistakes);
            Some(Place::Interface(text.what.to_string()))
        }
    }
}

fn is_dotted(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Reports more places, or more choices of one service for one endpoint, than an image holds.
pub(super) fn limits(
    points: &[ReferencePoint],
    endpoints: &BTreeMap<String, Endpoint>,
    positions: &Positions,
    mistakes: &mut Mistakes,
) {
    let mut places = BTreeSet::new();
    for point in points.iter().filter(|point| !point.at.is_empty()) {
        places.insert(&point.at);
        if places.len() >= MAX_PLACES as usize {
            let at = positions.of(Object::ReferencePoint, &point.name);
            mistakes.add(at.unwrap_or_default(), || {
                let message = format!("there are more than {} different `at`", MAX_PLACES - 1);
                (
                    message,
                    "Let some reference points apply at the same places.".to_owned(),
                )
            });
            break;
        }
    }
    if places.is_empty() {
        return;
    }
    let kinds: BTreeSet<&Roles> = endpoints.values().map(|endpoint| &endpoint.roles).collect();
    let mut examples = kinds
        .into_iter()
        .filter_map(|roles| endpoints.values().find(|endpoint| endpoint.roles == *roles));
    let mut found = BTreeMap::new();
    let crowded = examples.find_map(|endpoint| {
        found.clear();
        points
            .iter()
            .filter(|point| point.names(Some(endpoint)))
            .find_map(|point| {
                point.services.iter().find_map(|service| {
                    let inbound = point.direction == Direction::Inbound;
                    let count = found.entry((inbound, service)).or_insert(0u64);
                    *count += 1;
                    (*count > CHOICES).then_some((point, service))
                })
            })
    });
    if let Some((point, service)) = crowded {
        let at = positions.of(Object::ReferencePoint, &point.name);
        mistakes.add(at.unwrap_or_default(), || {
            let message = format!(
                "more than {CHOICES} reference points give one endpoint the service `{service}`"
            );
            (message, "Put their `at` into one.".to_owned())
        });
    }
}
