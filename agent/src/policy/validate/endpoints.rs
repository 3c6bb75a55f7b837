//! Endpoints: roles, addresses, bindings.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{addresses, bindings, limit, names, names::Choices, uniqueness::Uniqueness};
use crate::policy::{
    limits,
    mistake::{At, Mistakes},
    model::Endpoint,
    positions::{Object, Positions},
    raw::{Located, Named, RawEndpoint, Text, Texts},
};

/// Validated endpoints.
#[derive(Default)]
pub(super) struct Peers {
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    /// Roles of endpoints, and where each is written first.
    pub(super) carriers: BTreeMap<String, At>,
    /// Whether the role of every endpoint could be read.
    pub(super) complete: bool,
}

/// Validates all endpoints; none at all is a mistake reported already.
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
    for (name, endpoint) in raw {
        names::check(&name, "endpoint", mistakes);
        positions.note(Object::Endpoint, &name.what, name.at);
        let role = role(endpoint.role.as_ref(), &mut peers, positions, mistakes);
        authenticate(endpoint.authenticate.as_ref(), mistakes);
        let index = order.len() as u32;
        let note = |net: IpNet, at: At| uniqueness.note(net, at, index);
        let endpoint = Endpoint {
            role,
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

fn role(
    text: Option<&Text>,
    peers: &mut Peers,
    positions: &mut Positions,
    mistakes: &mut Mistakes,
) -> String {
    let Some(Located { what: role, at }) = text else {
        peers.complete = false;
        return String::new();
    };
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

fn authenticate(text: Option<&Text>, mistakes: &mut Mistakes) {
    const CHOICES: Choices<()> = &[("address", ())];
    match text {
        Some(text) if &*text.what == "certificate" => mistakes.add(text.at, || {
            let message = "this version cannot verify certificates yet".to_owned();
            let remedy = "Write `authenticate: address` only if the address is proof enough: \
             it is weaker than what \
                          was asked, and is never put in its place unasked.";
            (message, remedy.to_owned())
        }),
        text => {
            names::choice(text, "authenticate", CHOICES, mistakes);
        }
    }
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
