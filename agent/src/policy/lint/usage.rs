//! Modes, roles and services: what is not enforced, not used, or used twice.

use std::collections::{BTreeMap, BTreeSet};

use verdict::frame::transport::IpProtocol;

use super::{Code, Lint};
use crate::policy::{
    ANYONE, Authenticate, Direction, ENROLMENT, Encryption, Mode, Object, Policy, Positions,
    catalogue::{self, Usual},
};

/// Port of SSH (RFC 4253).
const SSH: u16 = 22;

/// A lease at a router's MAC address proves less than one at the endpoint's own.
pub(super) fn routed(policy: &Policy, lints: &mut Vec<Lint>) {
    for (name, endpoint) in &policy.endpoints {
        if !matches!(endpoint.authenticate, Authenticate::Certificate { routed, .. } if routed) {
            continue;
        }
        let message = format!(
            "a router lies between the host and endpoint `{name}`: its lease is bound to the \
             router's MAC address, so while its session lives, whoever sends from its address \
             through that router, or relays its packets, is taken for it"
        );
        let subject = (Object::Endpoint, &**name);
        let remedy = "Have the routers refuse its address from elsewhere, and let it use encrypted \
            services only; remove `routed` if it shares a link with the host.";
        lints.push(Lint::new(Code::RoutedLease, subject, message, remedy));
    }
}

pub(super) fn modes(policy: &Policy, lints: &mut Vec<Lint>) {
    const REMEDY: &str = "Write `mode: enforce` once the reports show nothing legitimate.";
    let audited = policy
        .reference_points
        .iter()
        .filter(|point| point.mode == Mode::Audit);
    if policy.mode == Mode::Audit {
        // One remark for all of them: they have the mode from here.
        let others = match audited.count() {
            0 => String::new(),
            1 => ", and so is that of one reference point".to_owned(),
            count => format!(", and so is that of {count} reference points"),
        };
        let message = format!(
            "packets that no reference point governs are not dropped: the policy's mode is \
             audit{others}"
        );
        let subject = (Object::Policy, &*policy.name);
        lints.push(Lint::new(Code::NotEnforced, subject, message, REMEDY));
    } else {
        for point in audited {
            let message = format!(
                "reference point `{}` is not enforced: its mode is audit",
                point.name
            );
            let subject = (Object::ReferencePoint, &*point.name);
            lints.push(Lint::new(Code::NotEnforced, subject, message, REMEDY));
        }
    }
    let inbound = |direction| direction == Direction::Inbound;
    if !policy
        .reference_points
        .iter()
        .any(|point| inbound(point.direction))
    {
        let message = "no reference point has `from`: nobody can connect to the host, not even \
         to administer it";
        let subject = (Object::Policy, &*policy.name);
        let remedy = "Admit at least those who administer the host.";
        lints.push(Lint::new(
            Code::NothingAdmitted,
            subject,
            message.to_owned(),
            remedy,
        ));
    }
}

pub(super) fn roles(policy: &Policy, lints: &mut Vec<Lint>) {
    let carried: BTreeSet<&str> = policy
        .endpoints
        .values()
        .flat_map(|endpoint| endpoint.roles.iter())
        .collect();
    let points = &policy.reference_points;
    let mut named: BTreeSet<&str> = points
        .iter()
        .flat_map(|point| &point.roles)
        .map(String::as_str)
        .collect();
    if named.contains(ANYONE) {
        named.extend(&carried);
    }
    for role in carried.difference(&named) {
        let message =
            format!("no reference point names the role `{role}`: its endpoints may use no service");
        let remedy = "Name it in a reference point, or remove its endpoints.";
        lints.push(Lint::new(
            Code::UnusedRole,
            (Object::Role, role),
            message,
            remedy,
        ));
    }
    for point in points {
        for role in point
            .roles
            .iter()
            .filter(|role| !carried.contains(role.as_str()) && *role != ANYONE)
        {
            let message = format!(
                "reference point `{}` names the role `{role}`, which no endpoint has",
                point.name
            );
            let subject = (Object::ReferencePoint, &*point.name);
            let remedy = "Give the role to an endpoint when there is one.";
            lints.push(Lint::new(
                Code::RoleWithoutEndpoints,
                subject,
                message,
                remedy,
            ));
        }
    }
    admitted_twice(policy, lints);
}

fn admitted_twice(policy: &Policy, lints: &mut Vec<Lint>) {
    let mut first = BTreeMap::new();
    for point in &policy.reference_points {
        for (role, service) in point
            .roles
            .iter()
            .flat_map(|role| point.services.iter().map(move |s| (role, s)))
        {
            let key = (point.direction == Direction::Inbound, role, service);
            let earlier = *first.entry(key).or_insert(point);
            // One that is limited to places leaves the others to those that follow.
            if std::ptr::eq(earlier, point) || !earlier.at.is_empty() && earlier.at != point.at {
                continue;
            }
            let message = format!(
                "the role `{role}` may use `{service}` by `{}` already; only that applies, not `{}`",
                earlier.name, point.name
            );
            let remedy = "Remove the role or the service from one of the two.";
            let subject = (Object::ReferencePoint, &*point.name);
            lints.push(Lint::new(Code::AdmittedTwice, subject, message, remedy));
        }
    }
}

pub(super) fn services(policy: &Policy, lints: &mut Vec<Lint>) {
    for point in policy
        .reference_points
        .iter()
        .filter(|point| point.direction == Direction::Inbound)
    {
        let plaintext = |name: &&String| {
            let service = policy.services.get(*name);
            service.is_some_and(|service| service.encryption == Encryption::Plaintext)
        };
        for service in point.services.iter().filter(plaintext) {
            let message = format!(
                "reference point `{}` admits `{service}`, which anyone on the path can read \
                 and alter",
                point.name
            );
            let remedy = "Prefer an encrypted service, or keep the path to trusted networks.";
            let subject = (Object::ReferencePoint, &*point.name);
            lints.push(Lint::new(Code::PlaintextService, subject, message, remedy));
        }
    }
    for (name, service) in &policy.services {
        let Some(entry) = catalogue::find(name).filter(|entry| entry.service() != *service) else {
            continue;
        };
        let text = |matches: &[crate::policy::ServiceMatch]| {
            matches
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let message = format!(
            "`{name}` is {} ({}) here and {} ({}) in the catalogue",
            text(&service.matches),
            service.encryption,
            text(entry.matches),
            entry.encryption
        );
        let remedy = "Choose another name if another service is meant.";
        lints.push(Lint::new(
            Code::CatalogueRedefined,
            (Object::Service, name),
            message,
            remedy,
        ));
    }
}

/// Remarks on SSH that nobody may use.
pub(super) fn ssh(policy: &Policy, lints: &mut Vec<Lint>) {
    let mut inbound = policy
        .reference_points
        .iter()
        .filter(|point| point.direction == Direction::Inbound && point.name != ENROLMENT)
        .peekable();
    let is_ssh = |name: &String| {
        let service = policy.services.get(name);
        name == "ssh"
            || service.is_some_and(|service| {
                let mut ranges = service.matches.iter().map(|matched| matched.range());
                ranges.any(|(protocol, first, last)| {
                    protocol == IpProtocol::TCP.0 && (first..=last).contains(&SSH)
                })
            })
    };
    if inbound.peek().is_some() && !inbound.any(|point| point.services.iter().any(is_ssh)) {
        let message = "nobody may use SSH to the host: if it is administered by SSH, nobody can";
        lints.push(Lint::new(
            Code::NoSsh,
            (Object::Policy, &*policy.name),
            message.to_owned(),
            "Admit `ssh` to those who administer the host.",
        ));
    }
}

/// Remarks on services that are used against their usual direction.
pub(super) fn directions(policy: &Policy, lints: &mut Vec<Lint>) {
    for point in &policy.reference_points {
        for name in &point.services {
            let usual = catalogue::find(name).map(|entry| entry.usual);
            let message = match (usual, point.direction) {
                (Some(Usual::Outbound), Direction::Inbound) => format!(
                    "reference point `{}` lets peers use `{name}` of this host, which hosts \
                     usually use of their peers",
                    point.name
                ),
                (Some(Usual::Inbound), Direction::Outbound) => format!(
                    "reference point `{}` lets this host use `{name}` of its peers, which peers \
                     usually use of a host",
                    point.name
                ),
                _ => continue,
            };
            let remedy = "If the other direction is meant, write `to` in place of `from`, or \
                          `from` in place of `to`.";
            let subject = (Object::ReferencePoint, &*point.name);
            lints.push(Lint::new(Code::UnusualDirection, subject, message, remedy));
        }
    }
}

pub(super) fn unused_services(policy: &Policy, positions: &Positions, lints: &mut Vec<Lint>) {
    for name in positions.names(Object::Service) {
        let mut break_glass = policy.break_glass.iter().flat_map(|it| &it.services);
        if !policy.services.contains_key(name) && !break_glass.any(|used| used == name) {
            let message = format!("no reference point names the service `{name}`");
            let remedy = "Name it in a reference point, or remove it.";
            lints.push(Lint::new(
                Code::UnusedService,
                (Object::Service, name),
                message,
                remedy,
            ));
        }
    }
}
