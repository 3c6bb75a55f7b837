//! Services and their rules: what a packet asks for, and which role may have it.

use std::collections::{BTreeMap, BTreeSet};

use verdict::{
    flow::{State, entry::ticks},
    image::{SERVICES, TIMEOUTS},
    service::{GOVERNING, LINES, LINES_PER_SERVICE, MAX_SERVICES, Place, Rule, Service},
    transport::IpProtocol,
};

use super::{Numbers, RuleName, compile::Roles, lines::Lines};
use crate::policy::{Direction, ENROLMENT, Mode, Policy, ReferencePoint, ServiceMatch, Transport};

/// What is served at one place: the names of the service of packets in, and of packets out.
type Pair<'a> = [Option<&'a str>; 2];

/// Everything that is served: at each place, and the numbers of all pairs that occur, from 1.
pub struct Served<'a> {
    places: BTreeMap<u32, Pair<'a>>,
    numbers: BTreeMap<Pair<'a>, u16>,
}

impl<'a> Served<'a> {
    /// What `policy` serves.
    pub fn of(policy: &'a Policy) -> Self {
        let mut places: BTreeMap<u32, Pair<'a>> = BTreeMap::new();
        for point in &policy.reference_points {
            for service in &point.services {
                for place in places_of(policy, service) {
                    places.entry(place).or_default()[side(point.direction)] = Some(service);
                }
            }
        }
        let pairs: BTreeSet<Pair<'a>> = places.values().copied().collect();
        Self {
            numbers: pairs.into_iter().zip(1..).collect(),
            places,
        }
    }

    /// Whether there are more pairs than numbers.
    pub fn is_too_much(&self) -> bool {
        self.numbers.len() >= MAX_SERVICES as usize
    }

    /// Writes which service a port or a protocol belongs to.
    pub fn write(&self, lines: &mut Lines) {
        for (&place, pair) in &self.places {
            let [inbound, outbound] = pair.map(|service| service.is_some());
            let number = self.numbers[pair];
            let service = if pair[0] == Some(ENROLMENT) {
                Service::enrolment(number, outbound)
            } else {
                Service::new(number, inbound, outbound)
            };
            lines.set16(SERVICES, place, service.0);
        }
    }

    /// Writes the rules of every service, and returns the line of the first.
    pub fn write_rules(
        &self,
        lines: &mut Lines,
        policy: &Policy,
        roles: &Roles<'_>,
        numbers: &Numbers,
    ) -> u32 {
        let count = (self.numbers.len() + 1) * LINES_PER_SERVICE as usize;
        let base = lines.append(count);
        for (pair, &number) in &self.numbers {
            let first = base + u32::from(number) * LINES_PER_SERVICE;
            for direction in [Direction::Inbound, Direction::Outbound] {
                let Some(service) = pair[side(direction)] else {
                    continue;
                };
                let by_role = rules_of(service, direction, policy, roles, numbers);
                let first = first + side(direction) as u32 * LINES;
                for (role, rule) in by_role {
                    lines.set16(first, u32::from(role), rule.0);
                }
            }
        }
        base
    }
}

const fn side(direction: Direction) -> usize {
    match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
    }
}

/// Where `service` is listed.
fn places_of<'a>(policy: &'a Policy, service: &str) -> impl Iterator<Item = u32> + use<'a> {
    policy.services[service]
        .matches
        .iter()
        .flat_map(|matched| match *matched {
            ServiceMatch::Ports {
                transport,
                first,
                last,
            } => {
                let place = move |port| Place::port(table_of(transport), port).index();
                place(first)..=place(last)
            }
            ServiceMatch::Protocol(protocol) => {
                let place = Place::protocol(IpProtocol(protocol)).index();
                place..=place
            }
        })
}

/// The rule of every role that may use `service` in this direction, and the one that governs all
/// others: of the first reference point that enforces, else of the first.
fn rules_of(
    service: &str,
    direction: Direction,
    policy: &Policy,
    roles: &Roles<'_>,
    numbers: &Numbers,
) -> BTreeMap<u8, Rule> {
    let points: Vec<&ReferencePoint> = policy
        .reference_points
        .iter()
        .filter(|point| point.direction == direction)
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

/// Writes how long each state of a flow lasts.
pub fn timeouts(lines: &mut Lines, policy: &Policy) {
    let line = lines.line(TIMEOUTS);
    for &state in State::ALL {
        let code = u32::from(state.code());
        let ticks = u64::from(ticks(policy.flow_timeouts.seconds(state)));
        line[(code / 2) as usize] |= ticks << (32 * (code % 2));
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
