//! Services and their rules: which service a port or protocol belongs to, and which roles may use
//! it.

use std::collections::{BTreeMap, BTreeSet};

use verdict::{
    frame::{
        address::{Ipv4, Ipv6},
        transport::IpProtocol,
    },
    image::{
        fixed::TIMEOUTS,
        place::CHOICES,
        service::{
            GOVERNING, ICMP_CODES, LINES, LINES_PER_SERVICE, MAX_SERVICES, Rule, Service,
            ServiceKey,
        },
    },
    reason::Outcome,
    state::{clock::ticks, flow::State},
};

use super::{Numbers, RuleName, lines::Lines, places::Places, roles::Roles};
use crate::policy::{
    ANYONE, Direction, ENROLMENT, Mode, Policy, ReferencePoint, ServiceMatch, Transport,
    icmp::{self, Codes},
};

/// The services at one index of the service table: the name of the inbound one, and of the outbound
/// one.
type Pair<'a> = [Option<&'a str>; 2];

/// All pairs of services: by index of the service table, and the number of each distinct pair, from
/// 1.
pub struct Served<'a> {
    indexes: BTreeMap<u32, Pair<'a>>,
    numbers: BTreeMap<Pair<'a>, u16>,
}

impl<'a> Served<'a> {
    /// The services that the reference points of `policy` offer.
    pub fn of(policy: &'a Policy) -> Self {
        let mut indexes: BTreeMap<u32, Pair<'a>> = BTreeMap::new();
        for point in &policy.reference_points {
            for service in &point.services {
                for index in indexes_of(policy, service) {
                    indexes.entry(index).or_default()[side(point.direction)] = Some(service);
                }
            }
        }
        let pairs: BTreeSet<Pair<'a>> = indexes.values().copied().collect();
        Self {
            numbers: pairs.into_iter().zip(1..).collect(),
            indexes,
        }
    }

    /// Whether there are more pairs than numbers.
    pub fn is_too_much(&self) -> bool {
        self.numbers.len() >= MAX_SERVICES as usize
    }

    /// Writes the service table: the service of each port and protocol.
    pub fn write(&self, lines: &mut Lines, policy: &Policy, numbers: &Numbers) {
        let service = |(pair, &number)| {
            let &[inbound, outbound]: &Pair<'_> = pair;
            let is_outbound = outbound.is_some();
            let governing =
                inbound.and_then(|name| governing(name, Direction::Inbound, policy, numbers));
            let service = match governing {
                Some(rule) if inbound == Some(ENROLMENT) => {
                    Service::enrolment(number, rule, is_outbound)
                }
                _ => Service::new(number, governing, is_outbound),
            };
            let of_anyone = |name: Option<&str>, direction| {
                name.is_some_and(|name| is_of_anyone(name, direction, policy))
            };
            let service = service.of_anyone(
                of_anyone(inbound, Direction::Inbound),
                of_anyone(outbound, Direction::Outbound),
            );
            (pair, service)
        };
        let services: BTreeMap<&Pair<'_>, Service> = self.numbers.iter().map(service).collect();
        for (&index, pair) in &self.indexes {
            lines.set32(index, services[pair].0);
        }
    }

    /// Writes the rules of each service, and returns the line of the first, and how many lines the rules
    /// of one choice take.
    pub fn write_rules(&self, lines: &mut Lines, rules: &Permissions<'_>) -> (u32, u32) {
        let stride = (self.numbers.len() + 1) * LINES_PER_SERVICE as usize;
        let mut written = Vec::new();
        for (pair, &number) in &self.numbers {
            for direction in [Direction::Inbound, Direction::Outbound] {
                let Some(service) = pair[side(direction)] else {
                    continue;
                };
                let first = u32::from(number) * LINES_PER_SERVICE + side(direction) as u32 * LINES;
                let of_roles = rules.of(service, direction);
                written.extend(
                    of_roles
                        .into_iter()
                        .map(|(role, rules)| (first, role, rules)),
                );
            }
        }
        let choices = written.iter().map(|(.., rules)| rules.len()).max();
        let base = lines.append(stride * choices.unwrap_or(1).max(1));
        for (first, role, rules) in written {
            for (choice, rule) in (0..).zip(rules) {
                let first = base + choice * stride as u32 + first;
                lines.set16(first, u32::from(role), rule.0);
            }
        }
        // Without a further choice, the next one is the same: it is asked only where a rule is limited.
        (base, if choices > Some(1) { stride as u32 } else { 0 })
    }
}

const fn side(direction: Direction) -> usize {
    match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
    }
}

/// The indexes of `service` in the service table.
fn indexes_of(policy: &Policy, service: &str) -> Vec<u32> {
    let mut indexes = Vec::new();
    for matched in &policy.services[service].matches {
        match *matched {
            ServiceMatch::Ports {
                transport,
                first,
                last,
            } => {
                let table = table_of(transport);
                indexes.extend((first..=last).map(|port| ServiceKey::port(table, port).word()));
            }
            ServiceMatch::Protocol(protocol) if icmp::is_icmp(protocol) => {
                let types = (0..=u8::MAX).flat_map(|kind| icmp_keys(protocol, kind, Codes::ALL));
                indexes.extend(types.map(ServiceKey::word));
            }
            ServiceMatch::Protocol(protocol) => {
                indexes.push(ServiceKey::protocol(IpProtocol(protocol)).word());
            }
            ServiceMatch::Icmp {
                protocol,
                kind,
                codes,
            } => {
                let requests = icmp_keys(protocol, kind, codes);
                // A reply may have any code.
                let reply = icmp::reply_to(protocol, kind).into_iter();
                let replies = reply.flat_map(|kind| icmp_keys(protocol, kind, Codes::ALL));
                indexes.extend(requests.chain(replies).map(ServiceKey::word));
            }
        }
    }
    indexes
}

/// Where messages of this type and of these codes are listed.
fn icmp_keys(protocol: u8, kind: u8, codes: Codes) -> impl Iterator<Item = ServiceKey> {
    let listed = (0..ICMP_CODES as u8).filter(move |&code| codes.has(code));
    listed.map(move |code| {
        if protocol == IpProtocol::ICMPV6.0 {
            ServiceKey::icmp::<Ipv6>(kind, code)
        } else {
            ServiceKey::icmp::<Ipv4>(kind, code)
        }
    })
}

/// The reference points that offer `service` in this direction.
fn points<'a>(
    service: &str,
    direction: Direction,
    policy: &'a Policy,
) -> impl Iterator<Item = &'a ReferencePoint> {
    policy
        .reference_points
        .iter()
        .filter(move |point| point.direction == direction)
        .filter(move |point| point.services.iter().any(|s| s == service))
}

/// The rule of `service` at a reference point.
fn rule(point: &ReferencePoint, service: &str, numbers: &Numbers) -> Rule {
    let name = RuleName {
        reference_point: point.name.clone(),
        service: service.to_owned(),
    };
    Rule::new(numbers.rules[&name], point.mode == Mode::Audit)
}

/// The rule for peers whose role may not use `service` in this direction. It is the rule of the
/// first reference point that offers the service and enforces; if none enforces, of the first that
/// offers it.
fn governing(
    service: &str,
    direction: Direction,
    policy: &Policy,
    numbers: &Numbers,
) -> Option<Rule> {
    points(service, direction, policy)
        .find(|point| point.mode == Mode::Enforce)
        .or_else(|| points(service, direction, policy).next())
        .map(|point| rule(point, service, numbers))
}

/// What the rules of a policy are found by.
pub struct Permissions<'a> {
    pub policy: &'a Policy,
    pub roles: &'a Roles<'a>,
    pub places: &'a Places<'a>,
    pub numbers: &'a Numbers,
}

impl Permissions<'_> {
    /// The rules of each set of roles that may use `service` in this direction: those limited to places,
    /// in the order of the file, up to the first that is not.
    ///
    /// What anyone may use is there for [`GOVERNING`], too, and outbound otherwise what governs who may
    /// not be connected to.
    fn of(&self, service: &str, direction: Direction) -> BTreeMap<u8, Vec<Rule>> {
        let mut by_role: BTreeMap<u8, Vec<Rule>> = BTreeMap::new();
        for point in points(service, direction, self.policy) {
            let rule = self.rule(point, service);
            for role in self.roles.named_by(point) {
                let known = by_role.entry(role).or_default();
                if known.last().is_none_or(|last| last.is_placed()) {
                    known.push(rule);
                }
            }
        }
        if direction == Direction::Outbound && !is_of_anyone(service, direction, self.policy) {
            // To a group, whoever of the right role listens may answer: any rule permits that.
            let (enforced, audited): (Vec<_>, Vec<_>) = points(service, direction, self.policy)
                .map(|point| self.rule(point, service))
                .partition(|rule| rule.0 & Outcome::AUDITED == 0);
            let mut rules: Vec<Rule> = Vec::new();
            for rule in enforced.into_iter().chain(audited) {
                if rules.last().is_none_or(|last| last.is_placed()) {
                    rules.push(rule);
                }
            }
            rules.truncate(CHOICES as usize);
            by_role.insert(GOVERNING, rules);
        }
        by_role
    }
}

impl Permissions<'_> {
    fn rule(&self, point: &ReferencePoint, service: &str) -> Rule {
        rule(point, service, self.numbers).at(self.places.number(&point.at))
    }
}

/// Whether a reference point lets everyone use `service`, or lets it be used of everyone.
fn is_of_anyone(service: &str, direction: Direction, policy: &Policy) -> bool {
    let mut points = points(service, direction, policy);
    points.any(|point| point.roles.iter().any(|role| role == ANYONE))
}

/// Writes the timeout of each state of a flow, in ticks.
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
