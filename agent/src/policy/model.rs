//! A policy that has been validated: every name resolves, every number is in range.
//!
//! These types carry no positions and no text; what a person wrote is
//! [`raw`](super::raw), and what the kernel reads is an image compiled from these.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{icmp::Codes, timeouts::FlowTimeouts};
use crate::enrolment::Identity;

/// Whether a violation is dropped, or only counted and reported.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Violations are dropped.
    #[default]
    Enforce,
    /// Violations are counted and reported, and pass.
    Audit,
}

/// What happens to a connection that the host opens to a service that no `to` names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outbound {
    /// It is dropped and counted.
    #[default]
    Enforce,
    /// It is counted and reported, and passes; so do its replies.
    Audit,
    /// It passes and is not reported. It is tracked, so that its replies pass.
    Any,
}

/// A validated policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Name of the policy, usually the host's.
    pub name: String,
    /// Raised with every change; a policy with a lower serial is never applied over one with a
    /// higher.
    pub serial: u64,
    /// Mode of packets that no reference point governs (no such service, malformed).
    pub mode: Mode,
    /// What happens to connections that the host opens to services that no `to` names.
    pub outbound: Outbound,
    /// Idle timeouts of flows.
    pub flow_timeouts: FlowTimeouts,
    /// Names and patterns of interfaces as written; they may be bonds, bridges or VLAN devices.
    pub interfaces: Vec<String>,
    /// Ids of the VLANs that carry the host's traffic on these interfaces; `None` if the host's devices tell.
    pub vlans: Option<BTreeSet<u16>>,
    /// Addresses whose management traffic is enforced.
    pub protect: Vec<Protect>,
    /// Peers, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Which roles may use which services, in the order of the file.
    pub reference_points: Vec<ReferencePoint>,
    /// Who gets in whatever the policy says.
    pub break_glass: Option<BreakGlass>,
    /// Every service that a reference point names, built-in or defined in the file.
    pub services: BTreeMap<String, Service>,
}

impl Policy {
    /// Outer VLANs that endpoints are bound to.
    pub fn bound_vlans(&self) -> impl Iterator<Item = u16> {
        let bound = self.endpoints.values();
        bound.filter_map(|endpoint| endpoint.binding.vlan?.outer())
    }

    /// Names of the interfaces that endpoints are bound to, and that reference points apply at.
    pub fn places(&self) -> impl Iterator<Item = &String> {
        let bound = self.endpoints.values();
        let bound = bound.flat_map(|endpoint| &endpoint.binding.interfaces);
        let at = self.reference_points.iter().flat_map(|point| &point.at);
        bound.chain(at.filter_map(|place| match place {
            Place::Interface(name) => Some(name),
            Place::Address(_) => None,
        }))
    }
}

/// Who gets in whatever the policy says, to which ports.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BreakGlass {
    /// Addresses and prefixes, host bits zero.
    pub addresses: Vec<IpNet>,
    /// Names of the services.
    pub services: Vec<String>,
    /// Their ports: IP protocol, first and last port. With each address an exemption of the kernel's.
    pub ports: Vec<(u8, u16, u16)>,
    /// Source MAC address.
    pub mac: Option<[u8; 6]>,
    /// Name of the interface on which its packets arrive.
    pub interface: Option<String>,
}

impl BreakGlass {
    /// Most pairs of an address and a range of ports.
    pub const MOST: usize = 8;
}

/// One entry of `protect`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protect {
    /// All addresses of this host, of all interfaces; changes are followed.
    InterfaceAddresses,
    /// One address, the host's or a guest's.
    Address(IpAddr),
}

/// A peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Its roles; at most 63 roles are in use in one policy.
    pub roles: Roles,
    /// Addresses and prefixes, host bits zero, no duplicates within the endpoint.
    pub addresses: Vec<IpNet>,
    /// How it proves its identity.
    pub authenticate: Authenticate,
    /// What its packets must have besides its address.
    pub binding: Binding,
}

/// Roles of one endpoint, without duplicates; it may use what any of them may.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Roles(pub Vec<String>);

impl Roles {
    /// Whether `role` is among them.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.0.iter().any(|own| own == role)
    }

    /// Their names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// The role that everyone has, also who is no endpoint.
pub const ANYONE: &str = "anyone";

/// How an endpoint proves its identity.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Authenticate {
    /// By its address alone.
    #[default]
    Address,
    /// By a certificate, over the service [`ENROLMENT`].
    Certificate {
        /// The identity in the certificate; unique in the policy.
        identity: Identity,
        /// Whether it may be used from several addresses.
        sessions: Sessions,
        /// Whether a router lies between it and the host: frames then come from the router.
        routed: bool,
    },
}

/// What happens when an identity is proven from another address while it holds a lease. IPv4 and
/// IPv6 are counted separately, so that an endpoint may use both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sessions {
    /// The new one replaces the old.
    #[default]
    Replace,
    /// The new one is refused.
    Refuse,
    /// This many addresses, 2 to [`MOST`](Self::MOST), may hold leases; further ones are refused.
    Allow(u8),
}

impl Sessions {
    /// Most addresses of an endpoint that hold leases at once.
    pub const MOST: u8 = 64;
}

impl fmt::Display for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace => f.write_str("replace"),
            Self::Refuse => f.write_str("refuse"),
            Self::Allow(number) => number.fmt(f),
        }
    }
}

/// Name of the service, and of the reference point, for enrolment.
pub const ENROLMENT: &str = "enrolment";

/// What an endpoint is bound to; `None` binds nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Binding {
    /// Source MAC address, in network byte order.
    pub mac: Option<[u8; 6]>,
    /// VLAN tags.
    pub vlan: Option<Vlan>,
    /// Names of interfaces; packets must arrive on one of them.
    pub interfaces: Vec<String>,
}

/// The VLAN tags that a bound endpoint's frames carry (IEEE 802.1Q, 802.1ad); ids 1 to 4094.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vlan {
    /// No tag, or a priority tag (VLAN id 0).
    Untagged,
    /// One tag.
    Tagged(u16),
    /// Two tags.
    Stacked {
        /// The tag nearest to the MAC addresses (S-tag).
        outer: u16,
        /// The tag nearest to the payload (C-tag).
        inner: u16,
    },
}

impl Vlan {
    /// Id of the outer tag.
    #[must_use]
    pub const fn outer(self) -> Option<u16> {
        match self {
            Self::Untagged => None,
            Self::Tagged(id) | Self::Stacked { outer: id, .. } => Some(id),
        }
    }
}

/// Roles and the services they may use, under one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReferencePoint {
    /// For example `Nf-Vi`.
    pub name: String,
    /// Who opens the connection.
    pub direction: Direction,
    /// Roles at the far end, or [`ANYONE`]; never empty, no duplicates.
    pub roles: Vec<String>,
    /// Services, each a key of [`Policy::services`]; never empty, no duplicates.
    pub services: Vec<String>,
    /// Where it applies; everywhere if it is empty.
    pub at: Vec<Place>,
    /// What happens to a violation.
    pub mode: Mode,
}

impl ReferencePoint {
    /// Whether it names a role of `endpoint`, or everyone; `None` is who is no endpoint.
    #[must_use]
    pub fn names(&self, endpoint: Option<&Endpoint>) -> bool {
        let mut roles = self.roles.iter();
        roles.any(|role| {
            role == ANYONE || endpoint.is_some_and(|endpoint| endpoint.roles.contains(role))
        })
    }
}

/// Where a reference point applies.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// At this protected address.
    Address(IpAddr),
    /// To what arrives over this interface, or leaves over it.
    Interface(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

/// Who opens the connections of a reference point.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// `from`: the peers connect to a protected address.
    Inbound,
    /// `to`: the host connects to the peers.
    Outbound,
}

/// A service: the protocols and ports of its packets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Never empty; ranges of one service may not overlap those of another that is in use.
    pub matches: Vec<ServiceMatch>,
    /// Whether its traffic is protected against reading and tampering.
    pub encryption: Encryption,
}

/// One protocol, and one range of ports where the protocol has ports.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ServiceMatch {
    /// Ports `first..=last` of TCP, UDP or SCTP.
    Ports {
        /// The transport protocol.
        transport: Transport,
        /// Lowest port, 1 or more.
        first: u16,
        /// Highest port, `first` or more.
        last: u16,
    },
    /// A whole IP protocol (IANA protocol number), for protocols without ports. Of ICMP and ICMPv6,
    /// every type that asks for something.
    Protocol(u8),
    /// A type of ICMP or ICMPv6, and what answers it.
    Icmp {
        /// IP protocol number, 1 or 58.
        protocol: u8,
        /// The type.
        kind: u8,
        /// Its codes.
        codes: Codes,
    },
}

/// A transport protocol that has ports.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
    /// SCTP (RFC 9260).
    Sctp,
}

/// Whether a service's traffic is encrypted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Always: the protocol has no plaintext form (SSH, TLS, ESP).
    Encrypted,
    /// Never: anyone on the path reads and alters it.
    Plaintext,
    /// Depends on how the deployment configures it, or is not known.
    #[default]
    Unknown,
}
