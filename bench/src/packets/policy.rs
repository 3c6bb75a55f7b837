//! The policies that packets are judged by, and what is measured with each.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result};
use harness::net::packet::Ethernet;
use ipnet::IpNet;
use manoward::enrolment::Identity;
use manoward::policy::{
    Authenticate, Binding, Direction, Encryption, Endpoint, FlowTimeouts, Mode, Outbound, Policy,
    Protect, ReferencePoint, Roles, Service, ServiceMatch, Sessions, Transport,
};

use crate::packets::case::{Kind, OTHER_PORT, PEER_PORT, PORT, Sources};
use crate::packets::family::Family;
use crate::packets::scale;

const ROLE: &str = "vim";
const SERVICE: &str = "libvirt-tls";
const PEER_SERVICE: &str = "amqps";

/// A role with a service of its own, and no endpoint.
const OTHER_ROLE: &str = "bastion";
const OTHER_SERVICE: &str = "ssh";
const OTHER_POINT: &str = "operations";

/// Most endpoints that have one address each.
pub const ENDPOINTS: u32 = 10_000;

/// Addresses of the policy under which connections are opened.
pub const PEERS: u32 = 1000;

/// How a policy identifies its endpoints. Each kind is measured with other packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By their addresses, of which a few endpoints have many each.
    Addresses,
    /// By prefixes of different lengths, of which a few endpoints have many each.
    Prefixes,
    /// Each by an address.
    Singles,
    /// Each by an address and a MAC address.
    Macs,
    /// Each by an address and a lease.
    Leases,
    /// By their addresses, while a candidate is tried.
    Tried,
    /// By their addresses, for a host that opens connections to them.
    Peers,
}

impl Known {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Addresses,
        Self::Prefixes,
        Self::Singles,
        Self::Macs,
        Self::Leases,
        Self::Tried,
        Self::Peers,
    ];

    /// Whether it is measured with `count` addresses.
    pub const fn is_measured(self, count: u32) -> bool {
        match self {
            Self::Addresses | Self::Prefixes | Self::Tried => true,
            Self::Singles | Self::Macs | Self::Leases => count <= ENDPOINTS,
            Self::Peers => count == PEERS,
        }
    }

    /// As a part of a file's name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Prefixes => "prefixes",
            Self::Singles => "singles",
            Self::Macs => "macs",
            Self::Leases => "leases",
            Self::Tried => "tried",
            Self::Peers => "peers",
        }
    }

    /// The kinds of packets that it is measured with, and where they come from.
    pub const fn cases(self) -> &'static [(Kind, Sources)] {
        match self {
            Self::Addresses => &[
                (Kind::Unprotected, Sources::Changing),
                (Kind::Unknown, Sources::Changing),
                (Kind::Unknown, Sources::Fixed),
                (Kind::Allowed, Sources::Changing),
                (Kind::Allowed, Sources::Fixed),
                (Kind::Request, Sources::Changing),
                (Kind::WrongRole, Sources::Changing),
                (Kind::Established, Sources::Changing),
                (Kind::Fragment, Sources::Changing),
                (Kind::Neighbour, Sources::Changing),
            ],
            Self::Prefixes => &[(Kind::Allowed, Sources::Prefixes)],
            Self::Singles => &[(Kind::Single, Sources::Changing)],
            Self::Macs => &[
                (Kind::Bound, Sources::Changing),
                (Kind::WrongBinding, Sources::Changing),
            ],
            Self::Leases => &[(Kind::Proven, Sources::Changing)],
            Self::Tried => &[
                (Kind::Tried, Sources::Changing),
                (Kind::TriedOther, Sources::Changing),
            ],
            Self::Peers => &[
                (Kind::Opening, Sources::Changing),
                (Kind::Sent, Sources::Changing),
                (Kind::Reply, Sources::Changing),
            ],
        }
    }
}

/// A policy for `count` addresses or prefixes of each IP version: one service that they may use,
/// one that only another role may use, and one that the host may use at them.
pub fn policy(known: Known, count: u32) -> Result<Policy> {
    let endpoints = endpoints(known, count)?;
    let service = |port| Service {
        matches: vec![ServiceMatch::Ports {
            transport: Transport::Tcp,
            first: port,
            last: port,
        }],
        encryption: Encryption::Encrypted,
    };
    let reference_point = |name: &str, direction, role: &str, service: &str| ReferencePoint {
        name: name.to_owned(),
        direction,
        roles: vec![role.to_owned()],
        services: vec![service.to_owned()],
        at: Vec::new(),
        mode: Mode::Enforce,
    };
    Ok(Policy {
        vlans: None,
        name: "bench".to_owned(),
        serial: 1,
        mode: Mode::Enforce,
        outbound: Outbound::default(),
        flow_timeouts: FlowTimeouts::default(),
        break_glass: None,
        interfaces: Vec::new(),
        protect: Family::ALL
            .map(|family| Protect::Address(family.protected()))
            .to_vec(),
        endpoints: (1..).map(name).zip(endpoints).collect(),
        reference_points: vec![
            reference_point("Nf-Vi", Direction::Inbound, ROLE, SERVICE),
            reference_point(OTHER_POINT, Direction::Inbound, OTHER_ROLE, OTHER_SERVICE),
            reference_point("Nf-Vi-out", Direction::Outbound, ROLE, PEER_SERVICE),
        ],
        services: BTreeMap::from([
            (SERVICE.to_owned(), service(PORT)),
            (OTHER_SERVICE.to_owned(), service(OTHER_PORT)),
            (PEER_SERVICE.to_owned(), service(PEER_PORT)),
        ]),
    })
}

/// A candidate beside `policy`, which lets everybody use the service of another role, too.
pub fn candidate(policy: &Policy) -> Policy {
    let mut candidate = policy.clone();
    for point in &mut candidate.reference_points {
        if point.name == OTHER_POINT {
            point.roles = vec![ROLE.to_owned()];
        }
    }
    candidate
}

/// The endpoints of a policy.
fn endpoints(known: Known, count: u32) -> Result<Vec<Endpoint>> {
    let shared = scale::endpoints(count);
    let each = (0..count).map(|number| number..number + 1);
    match known {
        Known::Addresses | Known::Tried | Known::Peers => {
            Ok(shared.map(|numbers| addressed(&numbers)).collect())
        }
        Known::Prefixes => shared.map(|numbers| prefixed(&numbers)).collect(),
        Known::Singles => Ok(each.map(|numbers| addressed(&numbers)).collect()),
        Known::Macs => Ok(each.map(bound).collect()),
        Known::Leases => each.map(proving).collect(),
    }
}

/// An endpoint of the addresses of these numbers.
fn addressed(numbers: &Range<u32>) -> Endpoint {
    let addresses = Family::ALL
        .iter()
        .flat_map(|family| numbers.clone().map(|number| family.allowed(number)));
    endpoint(addresses.map(IpNet::from).collect())
}

/// An endpoint of the prefixes of these numbers.
fn prefixed(numbers: &Range<u32>) -> Result<Endpoint> {
    let prefixes = Family::ALL
        .iter()
        .flat_map(|family| numbers.clone().map(|number| family.allowed_prefix(number)));
    Ok(endpoint(prefixes.collect::<Result<_>>()?))
}

/// An endpoint of the addresses of these numbers that needs a lease.
fn proving(numbers: Range<u32>) -> Result<Endpoint> {
    let identity = format!("vim-{}.example", numbers.start);
    let identity = Identity::parse(&identity).context("an identity")?;
    Ok(Endpoint {
        authenticate: Authenticate::Certificate {
            identity,
            sessions: Sessions::default(),
            routed: false,
        },
        ..addressed(&numbers)
    })
}

/// An endpoint of the addresses of these numbers, bound to the MAC address of the measured frames.
fn bound(numbers: Range<u32>) -> Endpoint {
    let binding = Binding {
        mac: Some(Ethernet::default().source.0),
        ..Binding::default()
    };
    Endpoint {
        binding,
        ..addressed(&numbers)
    }
}

fn endpoint(addresses: Vec<IpNet>) -> Endpoint {
    Endpoint {
        roles: Roles(vec![ROLE.to_owned()]),
        authenticate: Authenticate::Address,
        addresses,
        binding: Binding::default(),
    }
}

/// The name of an endpoint; the first has the number 1.
pub fn name(number: u32) -> String {
    format!("vim-{number}")
}
