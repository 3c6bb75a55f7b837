//! Endpoints: roles, addresses, bindings.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{addresses, authenticate, bindings, limit, names, uniqueness::Uniqueness};
use crate::{
    enrolment::Identity,
    policy::{
        limits,
        mistake::Mistakes,
        model::{ANYONE, Authenticate, Endpoint, Roles},
        positions::{At, Object, Positions},
        raw::{Located, Named, RawEndpoint, Text, Texts},
    },
};

/// Validated endpoints.
#[derive(Default)]
pub(super) struct Peers {
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    /// Roles of endpoints, with the position where each is first written.
    pub(super) carriers: BTreeMap<String, At>,
    /// Whether the role of every endpoint could be read.
    pub(super) complete: bool,
    /// Where each endpoint has its list of addresses.
    pub(super) lists: BTreeMap<String, At>,
}

/// Validates all endpoints. If there is no `endpoints` at all, that was reported already.
pub(super) fn validate(
    raw: Option<Named<RawEndpoint>>,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> Peers {
    let Some(raw) = raw else {
        return Peers::default();
    };
    if let Some((first, _)) = raw.first() {
        let addresses = raw
            .iter()
            .filter_map(|(_, endpoint)| endpoint.addresses.as_ref());
        let addresses = addresses.map(|texts| texts.what.len()).sum();
        limit(
            raw.len(),
            limits::ENDPOINTS,
            "endpoints",
            first.at,
            mistakes,
        );
        limit(
            addresses,
            limits::ADDRESSES,
            "addresses and prefixes",
            first.at,
            mistakes,
        );
    }
    let mut peers = Peers {
        complete: true,
        ..Peers::default()
    };
    let mut uniqueness = Uniqueness::default();
    let mut order = Vec::with_capacity(raw.len());
    let mut identities = BTreeMap::new();
    for (name, endpoint) in raw {
        names::check(&name, "endpoint", mistakes);
        positions.note(Object::Endpoint, &name.what, name.at);
        let roles = roles(&endpoint, &mut peers, positions, mistakes);
        let authenticate = authenticate::validate(&endpoint, &name, mistakes);
        if let Authenticate::Certificate { identity, .. } = &authenticate {
            let first = identities.insert(identity.clone(), name.what.clone());
            if let Some(first) = first {
                let at = endpoint.identity.as_ref().map_or(name.at, |text| text.at);
                mistakes.add(at, || twice(identity, &first));
            }
        }
        if let Some(addresses) = &endpoint.addresses {
            peers.lists.insert(name.what.to_string(), addresses.at);
        }
        let index = order.len() as u32;
        let note = |net: IpNet, at: At| uniqueness.note(net, at, index);
        let endpoint = Endpoint {
            roles,
            authenticate,
            addresses: addresses(endpoint.addresses, note, mistakes),
            binding: bindings::validate(
                endpoint.mac.as_ref(),
                endpoint.vlan.as_ref(),
                endpoint.interface,
                mistakes,
            ),
        };
        peers.endpoints.insert(name.what.to_string(), endpoint);
        order.push(name.what);
    }
    uniqueness.report(&order, mistakes);
    peers
}

fn roles(
    endpoint: &RawEndpoint,
    peers: &mut Peers,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> Roles {
    let several = endpoint.roles.iter().flat_map(|texts| &texts.what);
    let mut roles: Vec<String> = Vec::new();
    for text in endpoint.role.iter().chain(several) {
        if roles.iter().any(|known| **known == *text.what) {
            mistakes.add(text.at, || {
                let message = format!("the role `{}` is written twice", text.what);
                (message, "Remove one of them.".to_owned())
            });
            continue;
        }
        roles.push(role(text, peers, positions, mistakes));
    }
    peers.complete &= !roles.is_empty();
    Roles(roles)
}

fn role(
    text: &Text,
    peers: &mut Peers,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> String {
    let Located { what: role, at } = text;
    if **role == *ANYONE {
        mistakes.add(*at, || {
            let message = format!("`{ANYONE}` is everyone, and no endpoint's own role");
            (message, "Give the endpoint a role of its own.".to_owned())
        });
        return role.to_string();
    }
    if !peers.carriers.contains_key(&**role) {
        names::check(
            &Located {
                what: role.clone(),
                at: *at,
            },
            "role",
            mistakes,
        );
        positions.note(Object::Role, role, *at);
        peers.carriers.insert(role.to_string(), *at);
    }
    role.to_string()
}

fn twice(identity: &Identity, first: &str) -> (String, String) {
    (
        format!("`{identity}` is the identity of endpoint `{first}`, too"),
        "Give each endpoint an identity of its own, or list the addresses of both in one."
            .to_owned(),
    )
}

fn addresses(
    texts: Option<Texts>,
    mut note: impl FnMut(IpNet, At),
    mistakes: &mut Mistakes,
) -> Vec<IpNet> {
    let Some(texts) = texts else {
        return Vec::new();
    };
    let mut nets = Vec::with_capacity(texts.what.len());
    for text in texts.what {
        match addresses::peer(&text.what) {
            Ok(net) => {
                note(net, text.at);
                nets.push(net);
            }
            Err(bad) => mistakes.add(text.at, || (bad.to_string(), bad.remedy())),
        }
    }
    nets
}
