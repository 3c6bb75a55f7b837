//! The difference between two policies, by their meaning.
//!
//! A person reads it before a policy is applied; afterwards it is kept in the change log.

mod access;
mod endpoints;
mod reference_points;

#[cfg(test)]
mod tests;

pub use access::{Access, access};

use std::{fmt, iter};

use serde::Serialize;

use super::{
    Encryption, FlowTimeouts, Object, Policy, Service, catalogue, patch::Patched,
    protocol::shortest,
};

/// Names shown of a list that changed; the others are counted.
const SHOWN: usize = 3;

/// How something changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only the new policy has it.
    Added,
    /// Only the old policy has it.
    Removed,
    /// Both have it, and it differs.
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
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// How it changed.
    pub kind: ChangeKind,
    /// What was changed.
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

/// The changes from `old` to `new`; without `old`, everything is added.
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
    break_glass(old, new, &mut changes);
    services(old, new, &mut changes);
    endpoints::diff(old, new, &mut changes);
    reference_points::diff(old, new, &mut changes);
    changes
}

/// Name, serial number, mode, `outbound` and flow timeouts.
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
    turned(&mut details, "vlans", &vlans(old), &vlans(new));
    timeouts(&mut details, &old.flow_timeouts, &new.flow_timeouts);
    changes.extend(Change::changed(Object::Policy, &new.name, &details));
}

/// The VLANs that carry the host's traffic, as they are written.
fn vlans(policy: &Policy) -> String {
    let Some(ids) = &policy.vlans else {
        return "those of the host's devices".to_owned();
    };
    let ids = ids.iter().map(u16::to_string);
    let all: Vec<String> = iter::once("untagged".to_owned()).chain(ids).collect();
    all.join(", ")
}

/// Timeouts of flows that differ, by state.
fn timeouts(details: &mut Vec<String>, old: &FlowTimeouts, new: &FlowTimeouts) {
    for ((state, old), (_, new)) in old.iter().zip(new.iter()) {
        turned(details, &format!("timeout of {}", state.name()), &old, &new);
    }
}

/// Changes of a list whose entries are added or removed, but never changed.
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

/// Who gets in whatever the policy says.
fn break_glass(old: Option<&Policy>, new: &Policy, changes: &mut Vec<Change>) {
    let before = old.and_then(|old| old.break_glass.as_ref());
    let after = new.break_glass.as_ref();
    let (kind, detail) = match (before, after) {
        (None, Some(after)) => (ChangeKind::Added, after.to_string()),
        (Some(before), None) => (ChangeKind::Removed, before.to_string()),
        (Some(before), Some(after)) if before != after => {
            (ChangeKind::Changed, format!("from {before} to {after}"))
        }
        _ => return,
    };
    changes.push(Change::new(kind, Object::BreakGlass, "break_glass", detail));
}

/// Services that changed, and services added or removed that differ from the catalogue.
///
/// If a policy begins or ceases to use a service of the catalogue, the change of its reference
/// points shows that.
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
    /// What a patch has changed.
    #[must_use]
    pub fn of_patch(patched: &Patched) -> Self {
        let verb = if patched.added { "added" } else { "removed" };
        let detail = format!("{verb} {}", shortest(&patched.address));
        Self::new(
            ChangeKind::Changed,
            Object::Endpoint,
            &patched.endpoint,
            detail,
        )
    }

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

/// Adds a detail if a field's value changed.
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
