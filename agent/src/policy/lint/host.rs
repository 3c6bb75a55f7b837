//! How a policy fits the host that it is for.

use super::{Code, HostFacts, Lint};
use crate::policy::{Direction, Object, Policy, Protect, Service, ServiceMatch, Transport};

pub(super) fn compare(policy: &Policy, host: &HostFacts, lints: &mut Vec<Lint>) {
    absent_addresses(policy, host, lints);
    absent_interfaces(policy, host, lints);
    if let Some(range) = host.ephemeral_ports {
        ephemeral_ports(policy, range, &host.reserved_ports, lints);
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
    for (name, endpoint) in &policy.endpoints {
        if let Some(interface) = endpoint.binding.interface.as_ref().filter(absent) {
            let message = format!(
                "endpoint `{name}` is bound to the interface `{interface}`, which the host \
                 does not have: none of its \
                 packets will be admitted"
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

/// A reply to such a port would be judged as a request to the service.
fn ephemeral_ports(
    policy: &Policy,
    range: (u16, u16),
    reserved: &[(u16, u16)],
    lints: &mut Vec<Lint>,
) {
    let inbound = |name: &String| {
        let mut points = policy.reference_points.iter();
        points.any(|point| point.direction == Direction::Inbound && point.services.contains(name))
    };
    for (name, service) in policy.services.iter().filter(|(name, _)| inbound(name)) {
        let open = unreserved(service, range, reserved);
        if open.is_empty() {
            continue;
        }
        let ports = open.iter().map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        });
        let ports = ports.collect::<Vec<_>>().join(",");
        let message = format!(
            "the host may use ports of `{name}` ({ports}) for connections of its own, as they \
             are in its ephemeral \
             range {}-{}: their replies would be judged as requests",
            range.0, range.1
        );
        let remedy = format!("Add `{ports}` to net.ipv4.ip_local_reserved_ports (sysctl).");
        lints.push(Lint::new(
            Code::EphemeralPorts,
            (Object::Service, name),
            message,
            &remedy,
        ));
    }
}

/// The TCP and UDP ports of a service that are in `range` and not in `reserved`, in ranges.
fn unreserved(service: &Service, range: (u16, u16), reserved: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut open: Vec<(u16, u16)> = Vec::new();
    for matches in &service.matches {
        let ServiceMatch::Ports {
            transport: Transport::Tcp | Transport::Udp,
            first,
            last,
        } = *matches
        else {
            continue;
        };
        let ports = first.max(range.0)..=last.min(range.1);
        for port in ports.filter(|port| {
            !reserved
                .iter()
                .any(|(first, last)| (first..=last).contains(&port))
        }) {
            match open.last_mut() {
                Some((_, last)) if *last + 1 == port => *last = port,
                _ => open.push((port, port)),
            }
        }
    }
    open
}
