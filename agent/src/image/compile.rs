//! From a validated policy and the facts of the host to an image.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use thiserror::Error;
use verdict::{
    address::{Family, Ipv4, Ipv6},
    endpoint::{BOUND_INTERFACE, BOUND_MAC, BOUND_VLAN, INTERFACES_PER_SET, PER_LINE, Record},
    ethernet::{VlanTags, mac_word},
    image::{
        self, FILTER, FIXED_LINES, Flags, HEADER, LENGTHS, Line, OUTBOUND_UDP, PER_LINE_16, PORTS,
        PROTOCOLS, header,
    },
    judge::{PROTECTED_BROADCAST, PROTECTED_UNICAST},
    layout::{CHUNK_LINES, CHUNKS, LAYOUT_VERSION},
    service::{GOVERNING, LINES, MAX_SERVICES, Rule},
    table::Region,
    transport::IpProtocol,
};

use super::{
    Image, Numbers, RuleName,
    buckets::{self, Entry},
    prefixes::{self, Expanded},
};
use crate::policy::{
    Binding, Direction, Mode, Policy, Protect, ReferencePoint, ServiceMatch, Transport, Vlan,
};

/// What a policy needs to know of the host it is compiled for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Addresses of the policy's interfaces.
    pub addresses: Vec<IpAddr>,
    /// Broadcast addresses of the policy's interfaces.
    pub broadcasts: Vec<Ipv4Addr>,
    /// For each interface name that the policy uses, the indexes of the interfaces that its
    /// packets arrive on.
    pub arrivals: BTreeMap<String, Vec<u32>>,
}

/// Why a policy cannot be compiled for this host.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CompileError {
    /// `protect` names nothing that exists.
    #[error(
        "the policy protects no address: its interfaces hold none. Give an interface an address, or list addresses under `protect`"
    )]
    NothingProtected,
    /// An endpoint is bound to an interface that does not exist.
    #[error(
        "endpoint `{endpoint}` is bound to interface `{interface}`, which this host does not have"
    )]
    NoSuchInterface {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the interface.
        interface: String,
    },
    /// An endpoint is bound to an interface made of more parts than a set holds.
    #[error(
        "interface `{interface}` has {count} ports; a binding can name an interface of at most {INTERFACES_PER_SET}"
    )]
    TooManyArrivals {
        /// Name of the interface.
        interface: String,
        /// Number of its ports.
        count: usize,
    },
    /// More names than there are counters.
    #[error(
        "the policy has more endpoints, or more services at reference points, than there are counters"
    )]
    TooManyNames,
    /// More distinct prefix lengths than a lookup probes.
    #[error(
        "the policy uses too many different prefix lengths: use fewer, or list shorter prefixes as several longer ones"
    )]
    TooManyLengths,
    /// More lines than an image can have.
    #[error(
        "the policy needs {lines} lines of 64 bytes; an image has {MAX_LINES} at most. List fewer addresses"
    )]
    TooLarge {
        /// Lines that the policy needs.
        lines: usize,
    },
}

/// Most lines of an image.
const MAX_LINES: u32 = CHUNKS * CHUNK_LINES;

/// Seeds that are tried for a number of buckets.
const SEEDS: u64 = 8;

/// Compiles `policy` for a host with `facts`, with rules and endpoints under `numbers`.
///
/// The same input gives the same image.
pub fn compile(policy: &Policy, facts: &Facts, numbers: &Numbers) -> Result<Image, CompileError> {
    let roles = Roles::of(policy);
    let protected = protected_addresses(policy, facts)?;
    let mut builder = Builder::new();
    for (address, value) in &protected {
        builder.filter(*address);
        debug_assert!(*value != 0);
    }
    let services = builder.services(policy);
    let rules = builder.rules(policy, &services, &roles, numbers);
    let records = builder.records(policy, facts, &roles, numbers)?;
    builder.outbound(policy);
    builder.lines[HEADER as usize][header::RECORDS] = u64::from(rules) << 32 | u64::from(records);
    builder.lines[HEADER as usize][header::ROLES] = roles.inbound_mask(policy);
    builder.addresses(policy, &protected, numbers)?;
    if builder.lines.len() > MAX_LINES as usize {
        return Err(CompileError::TooLarge {
            lines: builder.lines.len(),
        });
    }
    Ok(Image {
        lines: builder.lines,
        digest: 0,
    })
}

/// Numbers of roles, 1 to 63.
struct Roles<'a>(BTreeMap<&'a str, u8>);

impl<'a> Roles<'a> {
    fn of(policy: &'a Policy) -> Self {
        let named = policy
            .reference_points
            .iter()
            .flat_map(|point| &point.roles);
        let carried = policy.endpoints.values().map(|endpoint| &endpoint.role);
        let names: std::collections::BTreeSet<&str> =
            named.chain(carried).map(String::as_str).collect();
        Self(names.into_iter().zip(1..).collect())
    }

    fn number(&self, role: &str) -> u8 {
        self.0.get(role).copied().unwrap_or(GOVERNING)
    }

    fn inbound_mask(&self, policy: &Policy) -> u64 {
        inbound(policy)
            .flat_map(|point| &point.roles)
            .fold(0, |mask, role| mask | 1 << self.number(role))
    }
}

fn inbound(policy: &Policy) -> impl Iterator<Item = &ReferencePoint> {
    policy
        .reference_points
        .iter()
        .filter(|point| point.direction == Direction::Inbound)
}

/// Every protected address with its value in the region.
fn protected_addresses(
    policy: &Policy,
    facts: &Facts,
) -> Result<BTreeMap<IpAddr, u32>, CompileError> {
    let mut protected = BTreeMap::new();
    for protect in &policy.protect {
        match protect {
            Protect::Address(address) => {
                protected.insert(*address, PROTECTED_UNICAST);
            }
            Protect::InterfaceAddresses => {
                protected.extend(
                    facts
                        .addresses
                        .iter()
                        .map(|&address| (address, PROTECTED_UNICAST)),
                );
            }
        }
    }
    if protected.is_empty() {
        return Err(CompileError::NothingProtected);
    }
    for broadcast in &facts.broadcasts {
        protected
            .entry(IpAddr::V4(*broadcast))
            .or_insert(PROTECTED_BROADCAST);
    }
    Ok(protected)
}

struct Builder {
    lines: Vec<Line>,
}

impl Builder {
    fn new() -> Self {
        Self {
            lines: vec![Line::default(); FIXED_LINES as usize],
        }
    }

    /// Appends `count` lines and returns the number of the first.
    fn append(&mut self, count: usize) -> u32 {
        let first = self.lines.len() as u32;
        self.lines.resize(self.lines.len() + count, Line::default());
        first
    }

    fn set16(&mut self, base: u32, index: u32, value: u16) {
        let line = &mut self.lines[(base + index / PER_LINE_16) as usize];
        line[(index / 4 % 8) as usize] |= u64::from(value) << (16 * (index % 4));
    }

    fn set_bit(&mut self, base: u32, index: u32) {
        self.lines[(base + index / 512) as usize][(index / 64 % 8) as usize] |= 1 << (index % 64);
    }

    fn filter(&mut self, address: IpAddr) {
        let bit = match address {
            IpAddr::V4(address) => ipv4(address).filter_bit(),
            IpAddr::V6(address) => ipv6(address.to_bits()).filter_bit(),
        };
        self.set_bit(FILTER, bit);
    }

    /// Numbers the inbound services and writes what belongs to them.
    fn services<'a>(&mut self, policy: &'a Policy) -> BTreeMap<&'a str, u16> {
        let names: std::collections::BTreeSet<&str> = inbound(policy)
            .flat_map(|point| &point.services)
            .map(String::as_str)
            .collect();
        let numbers: BTreeMap<&str, u16> = names.into_iter().zip(1..).collect();
        debug_assert!(numbers.len() < MAX_SERVICES as usize);
        for (name, &number) in &numbers {
            for matched in &policy.services[*name].matches {
                match *matched {
                    ServiceMatch::Ports {
                        transport,
                        first,
                        last,
                    } => {
                        for port in first..=last {
                            let index = table_of(transport) * 65_536 + u32::from(port);
                            self.set16(PORTS, index, number);
                        }
                    }
                    ServiceMatch::Protocol(protocol) => {
                        self.set16(PROTOCOLS, u32::from(protocol), number);
                    }
                }
            }
        }
        numbers
    }

    /// Writes, for each service, the rule of every role and the rule that governs all others:
    /// the first reference point that enforces, else the first.
    fn rules(
        &mut self,
        policy: &Policy,
        services: &BTreeMap<&str, u16>,
        roles: &Roles<'_>,
        numbers: &Numbers,
    ) -> u32 {
        let base = self.append((services.len() + 1) * LINES as usize);
        for (service, &number) in services {
            let points: Vec<&ReferencePoint> = inbound(policy)
                .filter(|point| point.services.iter().any(|s| s == service))
                .collect();
            let rule = |point: &ReferencePoint| {
                let name = RuleName {
                    reference_point: point.name.clone(),
                    service: (*service).to_owned(),
                };
                Rule::new(numbers.rules[&name], point.mode == Mode::Audit)
            };
            let governing = points
                .iter()
                .find(|point| point.mode == Mode::Enforce)
                .or(points.first());
            let mut by_role: BTreeMap<u8, Rule> = governing
                .map(|point| (GOVERNING, rule(point)))
                .into_iter()
                .collect();
            for point in &points {
                for role in &point.roles {
                    by_role
                        .entry(roles.number(role))
                        .or_insert_with(|| rule(point));
                }
            }
            for (role, rule) in by_role {
                self.set16(base + u32::from(number) * LINES, u32::from(role), rule.0);
            }
        }
        base
    }

    /// Writes the record of every endpoint under its number.
    fn records(
        &mut self,
        policy: &Policy,
        facts: &Facts,
        roles: &Roles<'_>,
        numbers: &Numbers,
    ) -> Result<u32, CompileError> {
        let highest = numbers.endpoints.values().max().copied().unwrap_or(0);
        let base = self.append((highest / PER_LINE + 1) as usize);
        let mut sets = BTreeMap::new();
        for (name, endpoint) in &policy.endpoints {
            let interfaces = match &endpoint.binding.interface {
                None => 0,
                Some(interface) => match sets.get(interface) {
                    Some(&set) => set,
                    None => {
                        let set = self.interface_set(name, interface, facts)?;
                        sets.insert(interface, set);
                        set
                    }
                },
            };
            let record = record(roles.number(&endpoint.role), &endpoint.binding, interfaces);
            let number = numbers.endpoints[name];
            let line = &mut self.lines[(base + number / PER_LINE) as usize];
            let at = (number % PER_LINE * 2) as usize;
            line[at..at + 2].copy_from_slice(&record.to_words());
        }
        Ok(base)
    }

    fn interface_set(
        &mut self,
        endpoint: &str,
        interface: &str,
        facts: &Facts,
    ) -> Result<u32, CompileError> {
        let arrivals = facts
            .arrivals
            .get(interface)
            .filter(|arrivals| !arrivals.is_empty());
        let Some(arrivals) = arrivals else {
            return Err(CompileError::NoSuchInterface {
                endpoint: endpoint.to_owned(),
                interface: interface.to_owned(),
            });
        };
        if arrivals.len() > INTERFACES_PER_SET {
            let interface = interface.to_owned();
            return Err(CompileError::TooManyArrivals {
                interface,
                count: arrivals.len(),
            });
        }
        let set = self.append(1);
        for (at, &ifindex) in arrivals.iter().enumerate() {
            self.lines[set as usize][at / 2] |= u64::from(ifindex) << (32 * (at % 2));
        }
        Ok(set)
    }

    /// Marks the UDP ports that answers to outbound services come from.
    fn outbound(&mut self, policy: &Policy) {
        let points = policy.reference_points.iter();
        let services = points
            .filter(|point| point.direction == Direction::Outbound)
            .flat_map(|point| &point.services);
        for service in services {
            for matched in &policy.services[service].matches {
                if let ServiceMatch::Ports {
                    transport: Transport::Udp,
                    first,
                    last,
                } = *matched
                {
                    for port in first..=last {
                        self.set_bit(OUTBOUND_UDP, u32::from(port));
                    }
                }
            }
        }
    }

    /// Places protected addresses and endpoints, under one seed for all regions.
    fn addresses(
        &mut self,
        policy: &Policy,
        protected: &BTreeMap<IpAddr, u32>,
        numbers: &Numbers,
    ) -> Result<(), CompileError> {
        let (mut hosts4, mut hosts6) = (Vec::new(), Vec::new());
        for (&address, &value) in protected {
            match address {
                IpAddr::V4(a) => hosts4.push(Entry {
                    address: ipv4(a),
                    length: 32,
                    value,
                }),
                IpAddr::V6(a) => hosts6.push(Entry {
                    address: ipv6(a.to_bits()),
                    length: 128,
                    value,
                }),
            }
        }
        let (mut peers4, mut peers6) = (Vec::new(), Vec::new());
        for (name, endpoint) in &policy.endpoints {
            let value = numbers.endpoints[name];
            for prefix in &endpoint.addresses {
                let length = prefix.prefix_len();
                match prefix {
                    IpNet::V4(p) => peers4.push(Entry {
                        address: ipv4(p.network()),
                        length,
                        value,
                    }),
                    IpNet::V6(p) => {
                        peers6.push(Entry {
                            address: ipv6(p.network().to_bits()),
                            length,
                            value,
                        });
                    }
                }
            }
        }
        let peers4 = prefixes::expand(peers4).ok_or(CompileError::TooManyLengths)?;
        let peers6 = prefixes::expand(peers6).ok_or(CompileError::TooManyLengths)?;
        self.place_all(policy, &hosts4, &hosts6, &peers4, &peers6)
    }

    fn place_all(
        &mut self,
        policy: &Policy,
        hosts4: &[Entry<Ipv4>],
        hosts6: &[Entry<Ipv6>],
        peers4: &Expanded<Ipv4>,
        peers6: &Expanded<Ipv6>,
    ) -> Result<(), CompileError> {
        let mut grown = 1;
        let (seed, regions) = loop {
            let mut tries = (1..=SEEDS).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let found = tries.find_map(|seed| {
                Some((
                    seed,
                    [
                        place(hosts4, seed, grown)?,
                        place(hosts6, seed, grown)?,
                        place(&peers4.entries, seed, grown)?,
                        place(&peers6.entries, seed, grown)?,
                    ],
                ))
            });
            match found {
                Some(found) => break found,
                None if grown < 16 => grown *= 2,
                None => return Err(CompileError::TooLarge { lines: usize::MAX }),
            }
        };
        for (word, lines) in [
            header::PROTECTED,
            header::PROTECTED + 1,
            header::ENDPOINTS,
            header::ENDPOINTS + 1,
        ]
        .into_iter()
        .zip(regions)
        {
            let region = Region {
                base: self.lines.len() as u32,
                mask: lines.len() as u32 - 1,
            };
            self.lines.extend(lines);
            self.lines[HEADER as usize][word] = region.to_word();
        }
        self.lines[HEADER as usize][header::SEED] = seed;
        let longest = [&peers4.lengths, &peers6.lengths].map(|l| l.first().copied().unwrap_or(0));
        let counts = [
            self.lengths::<Ipv4>(&peers4.lengths),
            self.lengths::<Ipv6>(&peers6.lengths),
        ];
        self.lines[HEADER as usize][header::FLAGS] =
            Flags::new(LAYOUT_VERSION, policy.mode == Mode::Audit, counts, longest).0;
        Ok(())
    }

    fn lengths<A: Family>(&mut self, lengths: &[u8]) -> u8 {
        let line = &mut self.lines[LENGTHS as usize + image::family::<A>()];
        for (at, &length) in lengths.iter().enumerate() {
            line[at / 8] |= u64::from(length) << (8 * (at % 8));
        }
        lengths.len() as u8
    }
}

fn place<A: Family>(entries: &[Entry<A>], seed: u64, grown: u32) -> Option<Vec<Line>> {
    let buckets = buckets::buckets_for::<A>(entries.len()).saturating_mul(grown);
    buckets::place(entries, buckets.min(Region::MAX_BUCKETS), seed)
}

fn record(role: u8, binding: &Binding, interfaces: u32) -> Record {
    let mut bound = 0;
    if binding.mac.is_some() {
        bound |= BOUND_MAC;
    }
    if binding.vlan.is_some() {
        bound |= BOUND_VLAN;
    }
    if interfaces != 0 {
        bound |= BOUND_INTERFACE;
    }
    let tags = match binding.vlan {
        None | Some(Vlan::Untagged) => VlanTags::NONE,
        Some(Vlan::Tagged(id)) => VlanTags::single(id),
        Some(Vlan::Stacked { outer, inner }) => VlanTags::stacked(outer, inner),
    };
    Record::new(
        role,
        bound,
        binding.mac.map_or(0, mac_word),
        tags.0,
        interfaces,
    )
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

fn ipv4(address: Ipv4Addr) -> Ipv4 {
    Ipv4(address.to_bits())
}

fn ipv6(bits: u128) -> Ipv6 {
    Ipv6 {
        high: (bits >> 64) as u64,
        low: bits as u64,
    }
}
