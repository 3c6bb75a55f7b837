//! Remarks on addresses and interfaces that the host does not have.

use super::{Code, HostFacts, Lint};
use crate::policy::{Object, Place, Policy, Protect};

pub(super) fn compare(policy: &Policy, host: &HostFacts, lints: &mut Vec<Lint>) {
    absent_addresses(policy, host, lints);
    absent_interfaces(policy, host, lints);
    unenforced_interfaces(policy, host, lints);
}

fn unenforced_interfaces(policy: &Policy, host: &HostFacts, lints: &mut Vec<Lint>) {
    for (interface, address) in &host.unenforced {
        let protected = policy.protect.iter().find(|protect| match protect {
            Protect::InterfaceAddresses => true,
            Protect::Address(listed) => listed == address,
        });
        let subject = match protected {
            Some(Protect::Address(listed)) => listed.to_string(),
            Some(Protect::InterfaceAddresses) => "interface-addresses".to_owned(),
            None => continue,
        };
        let message = format!(
            "the protected address `{address}` is on the interface `{interface}`, where packets \
             are not judged"
        );
        lints.push(Lint::new(
            Code::UnenforcedInterface,
            (Object::Protect, &subject),
            message,
            "Name the interface in `interfaces`, unless only trusted neighbours are there.",
        ));
    }
}

fn absent_addresses(policy: &Policy, host: &HostFacts, lints: &mut Vec<Lint>) {
    for protect in &policy.protect {
        let Protect::Address(address) = protect else {
            continue;
        };
        if !host.addresses.contains(address) {
            let message = format!("the host does not have the protected address `{address}`");
            let remedy = "Correct it, unless it is a guest's.";
            let name = address.to_string();
            lints.push(Lint::new(
                Code::AbsentAddress,
                (Object::Protect, &name),
                message,
                remedy,
            ));
        }
    }
}

fn absent_interfaces(policy: &Policy, host: &HostFacts, lints: &mut Vec<Lint>) {
    let absent = |name: &&String| !host.interfaces.contains(name);
    for name in policy.interfaces.iter().filter(absent) {
        let message = format!("the host does not have the interface `{name}`");
        let subject = (Object::Interface, &**name);
        lints.push(Lint::new(
            Code::AbsentInterface,
            subject,
            message,
            "Correct it, or create the interface.",
        ));
    }
    for point in &policy.reference_points {
        let places = point.at.iter();
        let absent = places.filter_map(|place| match place {
            Place::Interface(name) if !host.interfaces.contains(name) => {
                Some((Code::AbsentInterface, format!("interface `{name}`")))
            }
            Place::Address(address) if !host.addresses.contains(address) => {
                Some((Code::AbsentAddress, format!("address `{address}`")))
            }
            _ => None,
        });
        for (code, what) in absent {
            let message = format!(
                "reference point `{}` applies at the {what}, which the host does not have",
                point.name
            );
            let subject = (Object::ReferencePoint, &*point.name);
            lints.push(Lint::new(
                code,
                subject,
                message,
                "Correct it, unless it is a guest's.",
            ));
        }
    }
    for (name, endpoint) in &policy.endpoints {
        for interface in endpoint.binding.interfaces.iter().filter(absent) {
            let message = format!(
                "endpoint `{name}` is bound to the interface `{interface}`, which the host \
                 does not have: none of its \
                 packets will be admitted there"
            );
            let subject = (Object::Endpoint, &**name);
            lints.push(Lint::new(
                Code::AbsentInterface,
                subject,
                message,
                "Correct it, or create the interface.",
            ));
        }
    }
}
