//! Remarks on addresses: endpoints within others, and endpoints that cover nearly everyone.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{Code, Lint};
use crate::policy::{Endpoint, Object, Policy};

/// A prefix, and the index of its endpoint.
#[derive(Clone, Copy)]
struct Owned {
    net: IpNet,
    endpoint: u32,
}

/// An address within a wider prefix, and the number of further ones.
struct Within {
    inner: Owned,
    outer: Owned,
    others: usize,
}

/// Remarks on addresses within prefixes of other roles, and of their own endpoint.
///
/// There is one remark for all addresses of one role within the prefixes of one endpoint: a prefix
/// for everyone (`0.0.0.0/0`) contains all others.
pub(super) fn shared_addresses(policy: &Policy, lints: &mut Vec<Lint>) {
    let endpoints: Vec<(&String, &Endpoint)> = policy.endpoints.iter().collect();
    let role = |owned: Owned| &endpoints[owned.endpoint as usize].1.roles;
    let mut two_roles = BTreeMap::new();
    let mut redundant = BTreeMap::new();
    let mut around: Vec<Owned> = Vec::new();
    for inner in sorted(&endpoints) {
        while around
            .pop_if(|outer| !outer.net.contains(&inner.net))
            .is_some()
        {}
        if let Some(&outer) = around
            .last()
            .filter(|outer| outer.endpoint == inner.endpoint)
        {
            count(&mut redundant, inner.endpoint, inner, outer);
        }
        let other = around
            .iter()
            .rev()
            .find(|outer| role(**outer) != role(inner));
        if let Some(&outer) = other {
            count(&mut two_roles, (outer.endpoint, role(inner)), inner, outer);
        }
        around.push(inner);
    }
    let name = |owned: Owned| endpoints[owned.endpoint as usize].0.as_str();
    for Within {
        inner,
        outer,
        others,
    } in two_roles.into_values()
    {
        let message = format!(
            "`{}` of endpoint `{}` is in two roles: its own `{}`, which wins as the longer \
             prefix, and `{}` by `{}` of \
             endpoint `{}`{}",
            short(inner.net),
            name(inner),
            role(inner),
            role(outer),
            outer.net,
            name(outer),
            and_others(others)
        );
        let remedy = "If the shorter prefix should not cover it, split that prefix.";
        lints.push(Lint::new(
            Code::TwoRoles,
            (Object::Endpoint, name(inner)),
            message,
            remedy,
        ));
    }
    for Within {
        inner,
        outer,
        others,
    } in redundant.into_values()
    {
        let message = format!(
            "`{}` of endpoint `{}` lies in its own `{}`{}",
            short(inner.net),
            name(inner),
            outer.net,
            and_others(others)
        );
        let subject = (Object::Endpoint, name(inner));
        lints.push(Lint::new(
            Code::RedundantAddress,
            subject,
            message,
            "Remove the longer prefix.",
        ));
    }
}

/// All prefixes, each after those that contain it.
fn sorted(endpoints: &[(&String, &Endpoint)]) -> Vec<Owned> {
    let mut all: Vec<Owned> = Vec::new();
    for (endpoint, (_, Endpoint { addresses, .. })) in (0..).zip(endpoints) {
        all.extend(addresses.iter().map(|&net| Owned { net, endpoint }));
    }
    all.sort_unstable_by_key(|owned| owned.net);
    all
}

fn count<K: Ord>(found: &mut BTreeMap<K, Within>, key: K, inner: Owned, outer: Owned) {
    let known = found.entry(key);
    known
        .and_modify(|within| within.others += 1)
        .or_insert(Within {
            inner,
            outer,
            others: 0,
        });
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", and so is one other".to_owned(),
        others => format!(", and so are {others} others"),
    }
}

fn short(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

/// Most addresses of an endpoint before a remark, for IPv4 (a /8) and for IPv6 (a /16).
const EVERYONE: [u128; 2] = [1 << (32 - 8), 1 << (128 - 16)];

/// Remarks on endpoints that cover (nearly) all addresses.
pub(super) fn wide_endpoints(policy: &Policy, lints: &mut Vec<Lint>) {
    for (name, endpoint) in &policy.endpoints {
        let mut covered = [0u128; 2];
        for net in &endpoint.addresses {
            let host_bits = net.max_prefix_len() - net.prefix_len();
            let addresses = 1u128.checked_shl(u32::from(host_bits)).unwrap_or(u128::MAX);
            let family = &mut covered[usize::from(matches!(net, IpNet::V6(_)))];
            *family = family.saturating_add(addresses);
        }
        if covered[0] > EVERYONE[0] || covered[1] > EVERYONE[1] {
            let role = &endpoint.roles;
            let message = format!(
                "endpoint `{name}` covers so many addresses that nearly everyone has the role \
                 `{role}`"
            );
            let remedy = "List only the addresses or prefixes of the intended peers.";
            lints.push(Lint::new(
                Code::CoversEveryone,
                (Object::Endpoint, name),
                message,
                remedy,
            ));
        }
    }
}
