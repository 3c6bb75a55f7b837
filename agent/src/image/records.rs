//! Endpoint records: the bindings of each endpoint.

use std::collections::{BTreeMap, BTreeSet};

use verdict::{
    frame::ethernet::{VlanTags, mac_word},
    image::endpoint::{
        BOUND_INTERFACE, BOUND_LEASE, BOUND_MAC, BOUND_VLAN, INTERFACES_PER_SET, PER_LINE, Record,
    },
};

use super::{CompileError, Facts, Numbers, lines::Lines};
use crate::policy::{Authenticate, Binding, Endpoint, Policy, Vlan};

/// Writes the record of each endpoint at its number, and returns the first line of the records.
pub fn write(
    lines: &mut Lines,
    policy: &Policy,
    facts: &Facts,
    numbers: &Numbers,
) -> Result<u32, CompileError> {
    let highest = numbers.endpoints.values().max().copied().unwrap_or(0);
    let base = lines.append((highest / PER_LINE + 1) as usize);
    let mut sets = BTreeMap::new();
    for (name, endpoint) in &policy.endpoints {
        let interfaces = match &endpoint.binding.interfaces[..] {
            [] => 0,
            names => {
                if let Some(&set) = sets.get(names) {
                    set
                } else {
                    let set = interface_set(lines, name, names, facts)?;
                    sets.insert(names, set);
                    set
                }
            }
        };
        let record = record(endpoint, interfaces);
        let number = numbers.endpoints[name];
        let at = (number % PER_LINE * 2) as usize;
        lines.line(base + number / PER_LINE)[at..at + 2].copy_from_slice(&record.to_words());
    }
    Ok(base)
}

/// Writes the set of interfaces that packets on any of `names` arrive on, and returns its line. Those that
/// the host does not have, but for all of them, count for nothing.
fn interface_set(
    lines: &mut Lines,
    endpoint: &str,
    names: &[String],
    facts: &Facts,
) -> Result<u32, CompileError> {
    let arrivals = names.iter().filter_map(|name| facts.arrivals.get(name));
    let arrivals: BTreeSet<u32> = arrivals.flatten().copied().collect();
    if arrivals.is_empty() {
        return Err(CompileError::NoSuchInterface {
            endpoint: endpoint.to_owned(),
            interface: names.join(", "),
        });
    }
    if arrivals.len() > INTERFACES_PER_SET {
        return Err(CompileError::TooManyArrivals {
            interface: names.join(", "),
            count: arrivals.len(),
        });
    }
    let set = lines.append(1);
    for (at, ifindex) in arrivals.into_iter().enumerate() {
        lines.line(set)[at / 2] |= u64::from(ifindex) << (32 * (at % 2));
    }
    Ok(set)
}

/// Whether `endpoint` is bound to anything, so that its record must be checked.
pub fn is_bound(endpoint: &Endpoint) -> bool {
    endpoint.authenticate != Authenticate::Address || endpoint.binding != Binding::default()
}

fn record(endpoint: &Endpoint, interfaces: u32) -> Record {
    let binding = &endpoint.binding;
    let mut bound = 0;
    if endpoint.authenticate != Authenticate::Address {
        bound |= BOUND_LEASE;
    }
    if binding.mac.is_some() {
        bound |= BOUND_MAC;
    }
    if binding.vlan.is_some() {
        bound |= BOUND_VLAN;
    }
    if interfaces != 0 {
        bound |= BOUND_INTERFACE;
    }
    let tags = match binding.vlan {
        None | Some(Vlan::Untagged) => VlanTags::NONE,
        Some(Vlan::Tagged(id)) => VlanTags::single(id),
        Some(Vlan::Stacked { outer, inner }) => VlanTags::stacked(outer, inner),
    };
    Record::new(bound, binding.mac.map_or(0, mac_word), tags.0, interfaces)
}
