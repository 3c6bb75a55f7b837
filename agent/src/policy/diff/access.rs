//! Who may newly connect, and who may no longer: what a change of a policy comes to.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    super::{ANYONE, Direction, Place, Policy, ReferencePoint, Roles, protocol::shortest},
    reference_points::places,
};

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
    /// Its protocol and ports, and where: `tcp 22`, `tcp 22 at 192.0.2.17`.
    pub ports: String,
    /// Some of the addresses and prefixes.
    pub addresses: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// What is used: direction, IP protocol, and ports (all where the protocol has none).
type Ports = (bool, u8, u16, u16);

/// A permission: what is used, where, and the name of the service.
type Use<'a> = (Ports, &'a [Place], &'a str);

/// A policy, by what is looked up in it.
struct Permissions<'a> {
    policy: Option<&'a Policy>,
    /// Endpoint and roles of each prefix.
    prefixes: BTreeMap<IpNet, (&'a str, &'a Roles)>,
    /// Lengths of prefixes in use, for IPv4 and IPv6, the longest first.
    lengths: [Vec<u8>; 2],
}

/// The roles of who is no endpoint.
static NONE: Roles = Roles(Vec::new());

impl<'a> Permissions<'a> {
    fn of(policy: Option<&'a Policy>) -> Self {
        let mut found = Self {
            policy,
            prefixes: BTreeMap::new(),
            lengths: [Vec::new(), Vec::new()],
        };
        let mut lengths = [BTreeSet::new(), BTreeSet::new()];
        for (name, endpoint) in policy.iter().flat_map(|policy| &policy.endpoints) {
            for &prefix in &endpoint.addresses {
                found.prefixes.insert(prefix, (name, &endpoint.roles));
                lengths[family(prefix)].insert(prefix.prefix_len());
            }
        }
        found.lengths = lengths.map(|lengths| lengths.into_iter().rev().collect());
        found
    }

    /// The endpoint and the roles of the addresses in `prefix`.
    fn covering(&self, prefix: IpNet) -> (&'a str, &'a Roles) {
        let lengths = self.lengths[family(prefix)].iter();
        let shorter = lengths.filter(|&&length| length <= prefix.prefix_len());
        let found = shorter
            .filter_map(|&length| IpNet::new(prefix.addr(), length).ok())
            .find_map(|wider| self.prefixes.get(&wider.trunc()).copied());
        found.unwrap_or((ANYONE, &NONE))
    }

    /// What who has these `roles` may use; the services of who has none are those of everyone.
    fn uses(&self, roles: &Roles) -> Vec<Use<'a>> {
        let Some(policy) = self.policy else {
            return Vec::new();
        };
        let names = |point: &&ReferencePoint| {
            let mut named = point.roles.iter();
            named.any(|role| role == ANYONE || roles.contains(role))
        };
        let mut uses = Vec::new();
        for point in policy.reference_points.iter().filter(names) {
            let inbound = point.direction == Direction::Inbound;
            for name in &point.services {
                let service = policy.services.get(name).into_iter();
                for matched in service.flat_map(|service| &service.matches) {
                    let (protocol, first, last) = matched.range();
                    uses.push(((inbound, protocol, first, last), &*point.at, &**name));
                }
            }
        }
        uses.sort_unstable();
        uses.dedup();
        uses
    }
}

/// Every address, for what everyone may use.
fn everyone() -> [IpNet; 2] {
    [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]
}

const fn family(prefix: IpNet) -> usize {
    matches!(prefix, IpNet::V6(_)) as usize
}

/// What may be used by `new` and not by `old`. What an endpoint has to show besides its address is
/// not looked at.
#[must_use]
pub fn access(old: Option<&Policy>, new: Option<&Policy>) -> Vec<Access> {
    let (old, new) = (Permissions::of(old), Permissions::of(new));
    let mut groups: BTreeMap<(&str, &Roles, &Roles), Vec<IpNet>> = BTreeMap::new();
    let prefixes: BTreeSet<IpNet> = old
        .prefixes
        .keys()
        .chain(new.prefixes.keys())
        .copied()
        .chain(everyone())
        .collect();
    for prefix in prefixes {
        let (endpoint, roles) = new.covering(prefix);
        let (_, before) = old.covering(prefix);
        groups
            .entry((endpoint, roles, before))
            .or_default()
            .push(prefix);
    }
    let mut gained = Vec::new();
    for ((endpoint, roles, before), prefixes) in groups {
        let known = old.uses(before);
        for (ports, at, service) in new.uses(roles) {
            let same = |use_: &&Use<'_>| use_.1.is_empty() || use_.1 == at;
            let known: Vec<Ports> = known.iter().filter(same).map(|use_| use_.0).collect();
            for (first, last) in without(ports, &known) {
                let ports_text = described(ports.1, first, last);
                gained.push(Access {
                    inbound: ports.0,
                    endpoint: endpoint.to_owned(),
                    service: service.to_owned(),
                    ports: match at {
                        [] => ports_text,
                        at => format!("{ports_text} at {}", places(at)),
                    },
                    addresses: prefixes.iter().take(NAMED).map(shortest).collect(),
                    count: prefixes.len(),
                });
            }
        }
    }
    gained.sort();
    gained
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
    fn everyone_roles_and_places() {
        let [gained, lost] = changed("from: [vim], services", "from: [anyone], services");
        let anyone = "from anyone 0.0.0.0/0 ::/0";
        assert!(
            gained.contains(&format!("ssh tcp 22 {anyone}")),
            "{gained:?}"
        );
        assert!(gained.contains(&"ssh tcp 22 from lab 198.51.100.0/24".to_owned()));
        assert_eq!(lost, Vec::<String>::new());
        let [gained, lost] = changed("role: lab", "roles: [lab, vim]");
        assert_eq!(gained.len(), 2, "{gained:?}");
        assert_eq!(lost, Vec::<String>::new());
        let [gained, lost] = changed("[ssh, mine]", "[ssh, mine], at: [192.0.2.1]");
        assert_eq!(gained, Vec::<String>::new().into_iter().collect::<Vec<_>>());
        assert_eq!(lost.len(), 2, "{lost:?}");
    }

    #[test]
    fn without_a_policy_before_all_is_new() {
        let policy = read(BASE, "p.yaml").unwrap().policy;
        assert_eq!(access(None, Some(&policy)).len(), 3);
        assert!(access(Some(&policy), None).is_empty());
    }
}
