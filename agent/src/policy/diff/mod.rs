//! What a new policy changes, in the terms of the policy.
//!
//! It is read by a person before a policy is applied, and kept in the change log after.

mod endpoints;
mod reference_points;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Encryption, FlowTimeouts, Object, Policy, Service, catalogue};

/// Names shown of a list that changed; the others are counted.
const SHOWN: usize = 3;

/// How something changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only the new policy has it.
    Added,
    /// Only the old policy has it.
    Removed,
    /// Both have it, not the same.
    Changed,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        })
    }
}

/// One change.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// What kind of thing.
    pub object: Object,
    /// Its name.
    pub name: String,
    /// What exactly, for a person; empty if there is nothing to add.
    pub detail: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} `{}`", self.kind, self.object, self.name)?;
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.detail)
        }
    }
}

/// The changes from `old` to `new`; without `old`, all that `new` has is added.
#[must_use]
pub fn diff(old: Option<&Policy>, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    whole(old, new, &mut changes);
    listed(
        Object::Interface,
        old.map(|old| &*old.interfaces),
        &new.interfaces,
        &mut changes,
    );
    listed(
        Object::Protect,
        old.map(|old| &*old.protect),
        &new.protect,
        &mut changes,
    );
    services(old, new, &mut changes);
    endpoints::diff(old, new, &mut changes);
    reference_points::diff(old, new, &mut changes);
    changes
}

/// Name, serial number, mode, and what holds for the connections that the host opens.
fn whole(old: Option<&Policy>, new: &Policy, changes: &mut Vec<Change>) {
    let Some(old) = old else {
        let (serial, mode, outbound) = (new.serial, new.mode, new.outbound);
        let mut details = vec![format!("serial {serial}, mode {mode}, outbound {outbound}")];
        timeouts(&mut details, &FlowTimeouts::default(), &new.flow_timeouts);
        let detail = details.join("; ");
        changes.push(Change::new(
            ChangeKind::Added,
            Object::Policy,
            &new.name,
            detail,
        ));
        return;
    };
    let mut details = Vec::new();
    turned(&mut details, "name", &old.name, &new.name);
    turned(&mut details, "serial", &old.serial, &new.serial);
    turned(&mut details, "mode", &old.mode, &new.mode);
    turned(&mut details, "outbound", &old.outbound, &new.outbound);
    timeouts(&mut details, &old.flow_timeouts, &new.flow_timeouts);
    changes.extend(Change::changed(Object::Policy, &new.name, &details));
}

/// Timeouts of flows that differ, by state.
fn timeouts(details: &mut Vec<String>, old: &FlowTimeouts, new: &FlowTimeouts) {
    for ((state, old), (_, new)) in old.iter().zip(new.iter()) {
        turned(details, &format!("timeout of {}", state.name()), &old, &new);
    }
}

/// Entries of a list in which each stands for itself.
fn listed<T: PartialEq + fmt::Display>(
    object: Object,
    old: Option<&[T]>,
    new: &[T],
    changes: &mut Vec<Change>,
) {
    let old = old.unwrap_or_default();
    let mut note = |kind, entries: &[T], others: &[T]| {
        let only = entries.iter().filter(|entry| !others.contains(entry));
        changes
            .extend(only.map(|entry| Change::new(kind, object, &entry.to_string(), String::new())));
    };
    note(ChangeKind::Added, new, old);
    note(ChangeKind::Removed, old, new);
}

/// Services whose meaning changed, and those that are not the catalogue's.
///
/// That a policy begins or ceases to use a service of the catalogue shows in its reference
/// points.
fn services(old: Option<&Policy>, new: &Policy, changes: &mut Vec<Change>) {
    let own = |name: &str, service: &Service| {
        catalogue::find(name).is_none_or(|entry| entry.service() != *service)
    };
    for (name, service) in &new.services {
        match old.and_then(|old| old.services.get(name)) {
            None if own(name, service) => {
                changes.push(Change::new(
                    ChangeKind::Added,
                    Object::Service,
                    name,
                    described(service),
                ));
            }
            Some(before) if before != service => {
                let detail = format!("from {} to {}", described(before), described(service));
                changes.push(Change::new(
                    ChangeKind::Changed,
                    Object::Service,
                    name,
                    detail,
                ));
            }
            _ => {}
        }
    }
    let before = old.into_iter().flat_map(|old| &old.services);
    for (name, service) in before.filter(|(name, _)| !new.services.contains_key(*name)) {
        if own(name, service) {
            changes.push(Change::new(
                ChangeKind::Removed,
                Object::Service,
                name,
                described(service),
            ));
        }
    }
}

fn described(service: &Service) -> String {
    let matches: Vec<String> = service.matches.iter().map(ToString::to_string).collect();
    match service.encryption {
        Encryption::Unknown => matches.join(", "),
        encryption => format!("{} ({encryption})", matches.join(", ")),
    }
}

impl Change {
    fn new(kind: ChangeKind, object: Object, name: &str, detail: String) -> Self {
        Self {
            kind,
            object,
            name: name.to_owned(),
            detail,
        }
    }

    fn changed(object: Object, name: &str, details: &[String]) -> Option<Self> {
        let detail = details.join("; ");
        (!details.is_empty()).then(|| Self::new(ChangeKind::Changed, object, name, detail))
    }
}

/// Notes a field that has another value.
fn turned<T: PartialEq + fmt::Display>(details: &mut Vec<String>, field: &str, old: &T, new: &T) {
    if old != new {
        details.push(format!("{field} from {old} to {new}"));
    }
}

/// The first few of `items`, and how many more there are.
fn first_few<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = items.iter().take(SHOWN).map(show).collect();
    match items.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
