//! Changes of reference points.

use super::{Change, ChangeKind, first_few, turned};
use crate::policy::{Object, Place, Policy, ReferencePoint};

pub(super) fn diff(old: Option<&Policy>, new: &Policy, changes: &mut Vec<Change>) {
    let before = old.map_or(&[][..], |old| &old.reference_points);
    let after = &new.reference_points;
    let named =
        |points: &[ReferencePoint], name: &str| points.iter().any(|point| point.name == name);
    for point in after {
        match before.iter().find(|before| before.name == point.name) {
            None => changes.push(whole(ChangeKind::Added, point)),
            Some(before) => {
                changes.extend(Change::changed(
                    Object::ReferencePoint,
                    &point.name,
                    &details(before, point),
                ));
            }
        }
    }
    for point in before.iter().filter(|point| !named(after, &point.name)) {
        changes.push(whole(ChangeKind::Removed, point));
    }
    // If two reference points give a role the same service, the first applies, so their order
    // matters.
    let common = |points: &[ReferencePoint], others: &[ReferencePoint]| {
        let common = points.iter().filter(|point| named(others, &point.name));
        common.map(|point| point.name.clone()).collect::<Vec<_>>()
    };
    let (was, is) = (common(before, after), common(after, before));
    if was != is {
        let detail = format!(
            "order of reference points from {} to {}",
            was.join(", "),
            is.join(", ")
        );
        changes.push(Change::new(
            ChangeKind::Changed,
            Object::Policy,
            &new.name,
            detail,
        ));
    }
}

fn whole(kind: ChangeKind, point: &ReferencePoint) -> Change {
    let at = if point.at.is_empty() {
        String::new()
    } else {
        format!("; at {}", places(&point.at))
    };
    let detail = format!(
        "{} {}; services {}{at}; mode {}",
        point.direction,
        point.roles.join(", "),
        point.services.join(", "),
        point.mode
    );
    Change::new(kind, Object::ReferencePoint, &point.name, detail)
}

/// The places in words.
pub(super) fn places(at: &[Place]) -> String {
    if at.is_empty() {
        return "everywhere".to_owned();
    }
    at.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn details(old: &ReferencePoint, new: &ReferencePoint) -> Vec<String> {
    let mut details = Vec::new();
    if old.direction != new.direction {
        details.push(format!(
            "direction from `{}` to `{}`",
            old.direction, new.direction
        ));
    }
    members(&mut details, "role", &old.roles, &new.roles);
    members(&mut details, "service", &old.services, &new.services);
    turned(&mut details, "at", &places(&old.at), &places(&new.at));
    turned(&mut details, "mode", &old.mode, &new.mode);
    details
}

fn members(details: &mut Vec<String>, what: &str, old: &[String], new: &[String]) {
    let mut note = |verb, names: &[String], others: &[String]| {
        let only: Vec<&String> = names.iter().filter(|name| !others.contains(name)).collect();
        if !only.is_empty() {
            details.push(format!(
                "{verb} {what} {}",
                first_few(&only, |name| (*name).clone())
            ));
        }
    };
    note("added", new, old);
    note("removed", old, new);
}
