//! Who gets in whatever the policy says.

use super::{
    addresses, bindings, names,
    services::{self, Services},
};
use crate::policy::{
    catalogue::catalogue,
    mistake::Mistakes,
    model::{BreakGlass, Service, ServiceMatch},
    positions::At,
    raw::{RawBreakGlass, Text},
    suggest,
};

/// Validates `break_glass`, whose services may be among those that the file has `defined`.
pub(super) fn validate(
    raw: RawBreakGlass,
    defined: &Services,
    mistakes: &mut Mistakes,
) -> BreakGlass {
    if let Some(interface) = &raw.interface {
        names::check_interface(interface, mistakes);
    }
    let mut break_glass = BreakGlass {
        addresses: Vec::new(),
        services: Vec::new(),
        ports: Vec::new(),
        mac: raw
            .mac
            .as_ref()
            .and_then(|text| bindings::validate_mac(text, mistakes)),
        interface: raw.interface.map(|text| text.what.into()),
    };
    for text in raw.addresses.into_iter().flat_map(|texts| texts.what) {
        match addresses::peer(&text.what) {
            Ok(net) if !break_glass.addresses.contains(&net) => break_glass.addresses.push(net),
            Ok(_) => {}
            Err(bad) => mistakes.add(text.at, || (bad.to_string(), bad.remedy())),
        }
    }
    for text in raw.services.into_iter().flat_map(|texts| texts.what) {
        if let Some(service) = find(&text, defined, mistakes) {
            let ports = ports(&service);
            if ports.is_empty() {
                mistakes.add(text.at, || without_ports(&text.what));
            }
            let new = ports
                .into_iter()
                .filter(|it| !break_glass.ports.contains(it));
            let new: Vec<_> = new.collect();
            break_glass.ports.extend(new);
            break_glass.services.push(text.what.into());
        }
    }
    limit(&break_glass, raw.at, mistakes);
    break_glass
}

/// The ranges of ports of a service, each with its IP protocol.
#[must_use]
pub fn ports(service: &Service) -> Vec<(u8, u16, u16)> {
    let matches = service.matches.iter();
    let with_ports = matches.filter(|it| matches!(it, ServiceMatch::Ports { .. }));
    with_ports.map(|it| it.range()).collect()
}

fn find(text: &Text, defined: &Services, mistakes: &mut Mistakes) -> Option<Service> {
    let service = services::find(&text.what, defined);
    if service.is_none() {
        mistakes.add(text.at, || {
            let built_in = catalogue().iter().map(|entry| entry.name);
            let candidates = defined.keys().map(String::as_str).chain(built_in);
            let remedy = suggest::remedy(
                &text.what,
                candidates,
                "Define it under `services`, or choose one of the catalogue.",
            );
            (format!("there is no service `{}`", text.what), remedy)
        });
    }
    service
}

fn without_ports(name: &str) -> (String, String) {
    (
        format!("the service `{name}` has no ports, and `break_glass` opens ports alone"),
        "Choose a service of TCP, UDP or SCTP, for example `ssh`.".to_owned(),
    )
}

fn limit(break_glass: &BreakGlass, at: At, mistakes: &mut Mistakes) {
    let count = break_glass.addresses.len() * break_glass.ports.len();
    if count > BreakGlass::MOST {
        mistakes.add(at, || {
            let message = format!(
                "`break_glass` has {count} pairs of an address and a range of ports, and can have {}",
                BreakGlass::MOST
            );
            let remedy = "Name only what somebody needs to repair this host, such as one bastion and `ssh`.";
            (message, remedy.to_owned())
        });
    }
}
