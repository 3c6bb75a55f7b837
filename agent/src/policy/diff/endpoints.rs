//! Changes of endpoints.

use ipnet::IpNet;

use super::{Change, ChangeKind, first_few, turned};
use crate::policy::{Authenticate, Endpoint, Object, Policy, protocol::Mac};

pub(super) fn diff(old: Option<&Policy>, new: &Policy, changes: &mut Vec<Change>) {
    for (name, endpoint) in &new.endpoints {
        match old.and_then(|old| old.endpoints.get(name)) {
            None => changes.push(whole(ChangeKind::Added, name, endpoint)),
            Some(before) if before != endpoint => {
                changes.extend(Change::changed(
                    Object::Endpoint,
                    name,
                    &details(before, endpoint),
                ));
            }
            Some(_) => {}
        }
    }
    for (name, endpoint) in old.into_iter().flat_map(|old| &old.endpoints) {
        if !new.endpoints.contains_key(name) {
            changes.push(whole(ChangeKind::Removed, name, endpoint));
        }
    }
}

fn whole(kind: ChangeKind, name: &str, endpoint: &Endpoint) -> Change {
    let mut details = vec![
        format!("role {}", endpoint.roles),
        counted(&endpoint.addresses),
    ];
    let bound = bindings(endpoint).into_iter();
    details.extend(bound.filter_map(|(field, value)| Some(format!("{field} {}", value?))));
    Change::new(kind, Object::Endpoint, name, details.join(", "))
}

fn details(old: &Endpoint, new: &Endpoint) -> Vec<String> {
    let mut details = Vec::new();
    turned(&mut details, "role", &old.roles, &new.roles);
    let (added, removed) = difference(&old.addresses, &new.addresses);
    if !added.is_empty() {
        details.push(format!("added {}", counted(&added)));
    }
    if !removed.is_empty() {
        details.push(format!("removed {}", counted(&removed)));
    }
    let none = || "none".to_owned();
    for ((field, before), (_, after)) in bindings(old).into_iter().zip(bindings(new)) {
        turned(
            &mut details,
            field,
            &before.unwrap_or_else(none),
            &after.unwrap_or_else(none),
        );
    }
    details
}

/// The prefixes that only `new` has, and those that only `old` has.
fn difference(old: &[IpNet], new: &[IpNet]) -> (Vec<IpNet>, Vec<IpNet>) {
    if old == new {
        return (Vec::new(), Vec::new());
    }
    let sorted = |nets: &[IpNet]| {
        let mut nets = nets.to_vec();
        nets.sort_unstable();
        nets
    };
    let (old, new) = (sorted(old), sorted(new));
    let missing = |nets: &[IpNet], others: &[IpNet]| {
        let absent = nets.iter().filter(|net| others.binary_search(net).is_err());
        absent.copied().collect()
    };
    (missing(&new, &old), missing(&old, &new))
}

fn counted(nets: &[IpNet]) -> String {
    let word = if nets.len() == 1 {
        "address"
    } else {
        "addresses"
    };
    let few = first_few(nets, |net| {
        if net.prefix_len() == net.max_prefix_len() {
            net.addr().to_string()
        } else {
            net.to_string()
        }
    });
    format!("{} {word} ({few})", nets.len())
}

/// The identity and the bindings of `endpoint`, by field.
fn bindings(endpoint: &Endpoint) -> [(&'static str, Option<String>); 6] {
    let binding = &endpoint.binding;
    let (identity, sessions, routed) = match &endpoint.authenticate {
        Authenticate::Address => (None, None, None),
        Authenticate::Certificate {
            identity,
            sessions,
            routed,
        } => (
            Some(identity.to_string()),
            Some(sessions.to_string()),
            Some(routed.to_string()),
        ),
    };
    [
        ("identity", identity),
        ("sessions", sessions),
        ("routed", routed),
        ("mac", binding.mac.map(|mac| Mac(mac).to_string())),
        ("vlan", binding.vlan.map(|vlan| vlan.to_string())),
        (
            "interface",
            (!binding.interfaces.is_empty()).then(|| binding.interfaces.join(" or ")),
        ),
    ]
}
