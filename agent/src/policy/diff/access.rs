//! Who may newly connect, and who may no longer: what a change of a policy comes to.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::super::{Direction, Policy};

/// Addresses that are named; the others are counted.
const NAMED: usize = 3;

/// A service that is used between some addresses of an endpoint and the host.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Access {
    /// Whether the endpoint connects to the host.
    pub inbound: bool,
    /// Name of the endpoint.
    pub endpoint: String,
    /// Name of the service.
    pub service: String,
    /// Its protocol and ports: `tcp 22`.
    pub ports: String,
    /// Some of the addresses and prefixes.
    pub addresses: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// What is used: direction, IP protocol, and ports (all where the protocol has none).
type Ports = (bool, u8, u16, u16);

/// A policy, by what is looked up in it.
struct Permissions<'a> {
    /// Endpoint and role of each prefix.
    prefixes: BTreeMap<IpNet, (&'a str, &'a str)>,
    /// Lengths of prefixes in use, for IPv4 and IPv6, the longest first.
    lengths: [Vec<u8>; 2],
    /// What each role may use, with the names of the services.
    roles: BTreeMap<&'a str, BTreeMap<Ports, &'a str>>,
}

impl<'a> Permissions<'a> {
    fn of(policy: Option<&'a Policy>) -> Self {
        let mut found = Self {
            prefixes: BTreeMap::new(),
            lengths: [Vec::new(), Vec::new()],
            roles: BTreeMap::new(),
        };
        let Some(policy) = policy else {
            return found;
        };
        let mut lengths = [BTreeSet::new(), BTreeSet::new()];
        for (name, endpoint) in &policy.endpoints {
            for &prefix in &endpoint.addresses {
                found.prefixes.insert(prefix, (name, &endpoint.role));
                lengths[family(prefix)].insert(prefix.prefix_len());
            }
        }
        found.lengths = lengths.map(|lengths| lengths.into_iter().rev().collect());
        for point in &policy.reference_points {
            let inbound = point.direction == Direction::Inbound;
            for (role, name) in point.roles.iter().flat_map(|role| {
                let services = point.services.iter();
                services.map(move |name| (role, name))
            }) {
                let service = policy.services.get(name).into_iter();
                for matched in service.flat_map(|service| &service.matches) {
                    let (protocol, first, last) = matched.range();
                    let ports = (inbound, protocol, first, last);
                    let of_role = found.roles.entry(role).or_default();
                    of_role.insert(ports, name);
                }
            }
        }
        found
    }

    /// The endpoint and the role of the addresses in `prefix`.
    fn covering(&self, prefix: IpNet) -> Option<(&'a str, &'a str)> {
        let lengths = self.lengths[family(prefix)].iter();
        let shorter = lengths.filter(|&&length| length <= prefix.prefix_len());
        shorter
            .filter_map(|&length| IpNet::new(prefix.addr(), length).ok())
            .find_map(|wider| self.prefixes.get(&wider.trunc()).copied())
    }

    /// What `role` may use.
    fn uses(&self, role: Option<&str>) -> impl Iterator<Item = (Ports, &'a str)> {
        let uses = role.and_then(|role| self.roles.get(role));
        uses.into_iter()
            .flatten()
            .map(|(&ports, &name)| (ports, name))
    }
}

const fn family(prefix: IpNet) -> usize {
    matches!(prefix, IpNet::V6(_)) as usize
}

/// What may be used by `new` and not by `old`. What an endpoint has to show besides its address is
/// not looked at.
#[must_use]
pub fn access(old: Option<&Policy>, new: Option<&Policy>) -> Vec<Access> {
    let (old, new) = (Permissions::of(old), Permissions::of(new));
    let mut groups: BTreeMap<(&str, &str, Option<&str>), Vec<IpNet>> = BTreeMap::new();
    let prefixes: BTreeSet<IpNet> = old
        .prefixes
        .keys()
        .chain(new.prefixes.keys())
        .copied()
        .collect();
    for prefix in prefixes {
        let Some((endpoint, role)) = new.covering(prefix) else {
            continue;
        };
        let before = old.covering(prefix).map(|(_, role)| role);
        groups
            .entry((endpoint, role, before))
            .or_default()
            .push(prefix);
    }
    let mut gained = Vec::new();
    for ((endpoint, role, before), prefixes) in groups {
        let known: Vec<Ports> = old.uses(before).map(|(ports, _)| ports).collect();
        for (ports, service) in new.uses(Some(role)) {
            for (first, last) in without(ports, &known) {
                gained.push(Access {
                    inbound: ports.0,
                    endpoint: endpoint.to_owned(),
                    service: service.to_owned(),
                    ports: described(ports.1, first, last),
                    addresses: prefixes.iter().take(NAMED).map(shortest).collect(),
                    count: prefixes.len(),
                });
            }
        }
    }
    gained.sort();
    gained
}

/// An address, or a prefix.
fn shortest(prefix: &IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

/// The ranges of ports of `wanted` that none of `known` has.
fn without(wanted: Ports, known: &[Ports]) -> Vec<(u16, u16)> {
    let (inbound, protocol, first, last) = wanted;
    let mut left = vec![(u32::from(first), u32::from(last))];
    for &(.., from, to) in known
        .iter()
        .filter(|other| (other.0, other.1) == (inbound, protocol))
    {
        let (from, to) = (u32::from(from), u32::from(to));
        left = left
            .into_iter()
            .flat_map(|(first, last)| {
                let below = (first, last.min(from.wrapping_sub(1)));
                let above = (first.max(to + 1), last);
                let below = (first < from).then_some(below);
                let above = (last > to).then_some(above);
                [below, above]
            })
            .flatten()
            .collect();
    }
    let narrowed = |port: u32| u16::try_from(port).unwrap_or(u16::MAX);
    let ranges = left.into_iter();
    ranges
        .map(|(first, last)| (narrowed(first), narrowed(last)))
        .collect()
}

fn described(protocol: u8, first: u16, last: u16) -> String {
    let name = super::super::protocol::name(protocol);
    match (first, last) {
        (0, u16::MAX) => name,
        (first, last) if first == last => format!("{name} {first}"),
        (first, last) => format!("{name} {first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::read;

    const BASE: &str = "\
apiVersion: manoward/v1
name: n
serial: 1
interfaces: [eth0]
protect: [interface-addresses]
endpoints:
  vim-1: { role: vim, addresses: [192.0.2.10, 192.0.2.11] }
  lab: { role: lab, addresses: [198.51.100.0/24] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, mine] }
  lab: { to: [lab], services: [ntp] }
services:
  mine: { protocol: tcp, ports: [7100-7103] }
";

    /// What is gained and what is lost if one part is replaced.
    fn changed(old: &str, new: &str) -> [Vec<String>; 2] {
        assert!(BASE.contains(old), "{old}");
        let before = read(BASE, "p.yaml").unwrap().policy;
        let after = read(&BASE.replace(old, new), "p.yaml").unwrap().policy;
        let told = |access: Vec<Access>| {
            let one = |access: &Access| {
                let way = if access.inbound { "from" } else { "to" };
                let addresses = access.addresses.join(" ");
                format!(
                    "{} {} {way} {} {addresses}",
                    access.service, access.ports, access.endpoint
                )
            };
            access.iter().map(one).collect()
        };
        [
            told(access(Some(&before), Some(&after))),
            told(access(Some(&after), Some(&before))),
        ]
    }

    #[test]
    fn what_means_the_same_changes_nothing() {
        assert_eq!(
            changed("vim-1", "vim-2"),
            [vec![], vec![]] as [Vec<String>; 2]
        );
        let roles = changed("serial: 1", "serial: 2");
        assert_eq!(roles, [vec![], vec![]] as [Vec<String>; 2]);
    }

    #[test]
    fn addresses_services_and_ports() {
        let [gained, lost] = changed("192.0.2.11", "192.0.2.12");
        assert_eq!(
            gained,
            [
                "mine tcp 7100-7103 from vim-1 192.0.2.12",
                "ssh tcp 22 from vim-1 192.0.2.12"
            ]
        );
        assert_eq!(
            lost,
            [
                "mine tcp 7100-7103 from vim-1 192.0.2.11",
                "ssh tcp 22 from vim-1 192.0.2.11"
            ]
        );
        let [gained, lost] = changed("7100-7103", "7102-7105");
        let who = "from vim-1 192.0.2.10 192.0.2.11";
        assert_eq!(gained, [format!("mine tcp 7104-7105 {who}")]);
        assert_eq!(lost, [format!("mine tcp 7100-7101 {who}")]);
    }

    #[test]
    fn an_address_within_a_prefix_is_compared_with_that() {
        let narrower = "lab: { role: lab, addresses: [198.51.100.0/24] }\n  \
                        one: { role: vim, addresses: [198.51.100.7] }";
        let [gained, lost] = changed("lab: { role: lab, addresses: [198.51.100.0/24] }", narrower);
        assert_eq!(
            gained,
            [
                "mine tcp 7100-7103 from one 198.51.100.7",
                "ssh tcp 22 from one 198.51.100.7"
            ]
        );
        assert_eq!(lost, ["ntp udp 123 to lab 198.51.100.7"]);
    }

    #[test]
    fn without_a_policy_before_all_is_new() {
        let policy = read(BASE, "p.yaml").unwrap().policy;
        assert_eq!(access(None, Some(&policy)).len(), 3);
        assert!(access(Some(&policy), None).is_empty());
    }
}
