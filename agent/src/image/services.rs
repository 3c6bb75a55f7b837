//! Services and their rules: what a packet asks for, and which role may have it.

use std::collections::{BTreeMap, BTreeSet};

use verdict::{
    image::{OUTBOUND_UDP, PORTS, PROTOCOLS},
    service::{GOVERNING, LINES, MAX_SERVICES, Rule},
    transport::IpProtocol,
};

use super::{
    Numbers, RuleName,
    compile::{Roles, inbound},
    lines::Lines,
};
use crate::policy::{Direction, Mode, Policy, ReferencePoint, ServiceMatch, Transport};

/// The inbound services of `policy` and their numbers, from 1.
pub fn number(policy: &Policy) -> BTreeMap<&str, u16> {
    let names: BTreeSet<&str> = inbound(policy)
        .flat_map(|point| &point.services)
        .map(String::as_str)
        .collect();
    debug_assert!(names.len() < MAX_SERVICES as usize);
    names.into_iter().zip(1..).collect()
}

/// Writes which service a port or a protocol belongs to.
pub fn write(lines: &mut Lines, policy: &Policy, services: &BTreeMap<&str, u16>) {
    for (name, &number) in services {
        for matched in &policy.services[*name].matches {
            match *matched {
                ServiceMatch::Ports {
                    transport,
                    first,
                    last,
                } => {
                    for port in first..=last {
                        let index = table_of(transport) * 65_536 + u32::from(port);
                        lines.set16(PORTS, index, number);
                    }
                }
                ServiceMatch::Protocol(protocol) => {
                    lines.set16(PROTOCOLS, u32::from(protocol), number);
                }
            }
        }
    }
}

/// Writes the rules of every service, and returns the line of the first.
pub fn rules(
    lines: &mut Lines,
    policy: &Policy,
    services: &BTreeMap<&str, u16>,
    roles: &Roles<'_>,
    numbers: &Numbers,
) -> u32 {
    let base = lines.append((services.len() + 1) * LINES as usize);
    for (service, &number) in services {
        for (role, rule) in rules_of(service, policy, roles, numbers) {
            lines.set16(base + u32::from(number) * LINES, u32::from(role), rule.0);
        }
    }
    base
}

/// The rule of every role that may use `service`, and the one that governs all others: of the
/// first reference point that enforces, else of the first.
fn rules_of(
    service: &str,
    policy: &Policy,
    roles: &Roles<'_>,
    numbers: &Numbers,
) -> BTreeMap<u8, Rule> {
    let points: Vec<&ReferencePoint> = inbound(policy)
        .filter(|point| point.services.iter().any(|s| s == service))
        .collect();
    let rule = |point: &ReferencePoint| {
        let name = RuleName {
            reference_point: point.name.clone(),
            service: service.to_owned(),
        };
        Rule::new(numbers.rules[&name], point.mode == Mode::Audit)
    };
    let governing = points
        .iter()
        .find(|point| point.mode == Mode::Enforce)
        .or(points.first());
    let mut by_role = BTreeMap::new();
    if let Some(point) = governing {
        by_role.insert(GOVERNING, rule(point));
    }
    for point in &points {
        for role in &point.roles {
            by_role
                .entry(roles.number(role))
                .or_insert_with(|| rule(point));
        }
    }
    by_role
}

/// Marks the UDP ports that answers to outbound services come from.
pub fn outbound(lines: &mut Lines, policy: &Policy) {
    let points = policy.reference_points.iter();
    let services = points
        .filter(|point| point.direction == Direction::Outbound)
        .flat_map(|point| &point.services);
    for matched in services.flat_map(|service| &policy.services[service].matches) {
        if let ServiceMatch::Ports {
            transport: Transport::Udp,
            first,
            last,
        } = *matched
        {
            for port in first..=last {
                lines.set_bit(OUTBOUND_UDP, u32::from(port));
            }
        }
    }
}

fn table_of(transport: Transport) -> u32 {
    let protocol = match transport {
        Transport::Tcp => IpProtocol::TCP,
        Transport::Udp => IpProtocol::UDP,
        Transport::Sctp => IpProtocol::SCTP,
    };
    protocol
        .port_table()
        .expect("TCP, UDP and SCTP have a table by port")
}
