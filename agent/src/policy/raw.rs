//! A policy as it was written: every scalar is still text, with its position.
//!
//! The JSON Schema is derived from these types, so that it accepts what the reader accepts. A field
//! that is absent, or whose mistake was reported already, is `None`.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{positions::At, schema};

/// The schema of a policy file, JSON Schema 2020-12.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<RawPolicy>();
    schema.insert("title".to_owned(), json!("manoward policy"));
    schema.to_value()
}

/// A value with its position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub what: T,
    /// Its position.
    pub at: At,
}

/// A scalar as written, without its quotes.
pub type Text = Located<Box<str>>;

/// A list of scalars, with the position of its beginning.
pub type Texts = Located<Vec<Text>>;

/// A mapping from names, in the order of the file.
pub type Named<T> = Vec<(Text, T)>;

/// Which management traffic one NFVI host admits, from whom, and to whom it connects.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Policy", deny_unknown_fields)]
pub struct RawPolicy {
    /// Version of the format: `manoward/v1`.
    #[schemars(rename = "apiVersion", required, schema_with = "schema::api_version")]
    pub api_version: Option<Text>,
    /// Name of the policy, usually the host's.
    #[schemars(required, schema_with = "schema::name")]
    pub name: Option<Text>,
    /// Number of the change; a policy with a lower one is never applied over a higher one.
    #[schemars(required, schema_with = "schema::serial")]
    pub serial: Option<Text>,
    /// Interfaces on which packets are judged, by name or pattern (`eth*`): NICs, bonds, bridges or VLAN
    /// devices; `all` for every one that can carry traffic from outside.
    #[schemars(required, schema_with = "schema::interfaces")]
    pub interfaces: Option<Texts>,
    /// Ids of the VLANs that carry the host's traffic on these interfaces, beside what is `untagged`; those of
    /// the host's VLAN devices and bridges if not given.
    #[schemars(default, schema_with = "schema::vlans")]
    pub vlans: Option<Texts>,
    /// Addresses whose traffic is enforced: IP addresses, or `interface-addresses` for every
    /// address of this host.
    #[schemars(required, schema_with = "schema::protect")]
    pub protect: Option<Texts>,
    /// What happens to a packet that no reference point governs, and the default of the
    /// reference points' own `mode`.
    #[schemars(default, schema_with = "schema::mode")]
    pub mode: Option<Text>,
    /// What happens to a connection that the host opens to a service that no reference point's `to`
    /// names; the policy's `mode` if not given.
    #[schemars(default, schema_with = "schema::outbound")]
    pub outbound: Option<Text>,
    /// How long flows last without a packet, by their state: a whole number and a unit, `s`,
    /// `m`, `h` or `d`. A duration that could not be read is `None`.
    #[schemars(default, schema_with = "schema::flow_timeouts")]
    pub flow_timeouts: Option<Named<Option<Text>>>,
    /// Peers, by name.
    #[schemars(required, schema_with = "schema::endpoints::<RawEndpoint>")]
    pub endpoints: Option<Named<RawEndpoint>>,
    /// Which roles may use which services, by name.
    #[schemars(
        required,
        schema_with = "schema::reference_points::<RawReferencePoint>"
    )]
    pub reference_points: Option<Named<RawReferencePoint>>,
    /// Who gets in whatever this policy says, also while it is broken or there is none.
    #[schemars(default, schema_with = "schema::part::<RawBreakGlass>")]
    pub break_glass: Option<RawBreakGlass>,
    /// Services in addition to the built-in catalogue, or replacing one of its services.
    #[schemars(default, schema_with = "schema::services::<RawMatch>")]
    pub services: Option<Named<Vec<RawMatch>>>,
    /// Remarks that are accepted, with the reason: by their code, or by their code and the name of what
    /// they are about. A reason that could not be read is `None`.
    #[schemars(default, schema_with = "schema::accept")]
    pub accept: Option<Named<Option<Text>>>,
}

/// A peer: its role, its addresses, and what its packets must have besides.
#[derive(Debug, Default, JsonSchema)]
#[schemars(
    rename = "Endpoint",
    deny_unknown_fields,
    extend("dependentRequired" = { "identity": ["authenticate"], "sessions": ["authenticate"], "routed": ["authenticate"] }),
    extend("oneOf" = [{ "required": ["role"] }, { "required": ["roles"] }])
)]
pub struct RawEndpoint {
    /// What the peer is: `vim`, `vnfm`, ... or a role of the operator's own.
    #[schemars(default, schema_with = "schema::name")]
    pub role: Option<Text>,
    /// What the peer is, if it is several things.
    #[schemars(default, schema_with = "schema::names")]
    pub roles: Option<Texts>,
    /// IP addresses and prefixes.
    #[schemars(required, schema_with = "schema::addresses")]
    pub addresses: Option<Texts>,
    /// How the peer proves its identity: by its `address` alone, or by a `certificate`, which it
    /// presents with `manoward join`.
    #[schemars(default, schema_with = "schema::authenticate")]
    pub authenticate: Option<Text>,
    /// A URI (`spiffe://...`) or DNS name that the certificate must have among its subject
    /// alternative names.
    #[schemars(default, schema_with = "schema::identity")]
    pub identity: Option<Text>,
    /// What happens when the identity is proven from another address while a session is open: the
    /// new session replaces it (`replace`) or is refused (`refuse`); a number, 2 to 64, lets that
    /// many addresses hold one.
    #[schemars(default, schema_with = "schema::sessions")]
    pub sessions: Option<Text>,
    /// Whether a router lies between the peer and the host, with a certificate: `true` accepts that its frames
    /// come from another MAC address than it sends from.
    #[schemars(default, schema_with = "schema::routed")]
    pub routed: Option<Text>,
    /// Source MAC address that its packets must have.
    #[schemars(default, schema_with = "schema::mac")]
    pub mac: Option<Text>,
    /// VLAN tags that its packets must have: an id, `untagged`, or `OUTER.INNER` in quotes.
    #[schemars(default, schema_with = "schema::vlan")]
    pub vlan: Option<Text>,
    /// Interface, or interfaces, on which its packets must arrive.
    #[schemars(default, schema_with = "schema::interfaces")]
    pub interface: Option<Texts>,
}

/// Who gets in whatever the policy says.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "BreakGlass", deny_unknown_fields)]
pub struct RawBreakGlass {
    /// IP addresses and prefixes.
    #[schemars(required, schema_with = "schema::addresses")]
    pub addresses: Option<Texts>,
    /// Services with ports, of the catalogue or of this file.
    #[schemars(required, schema_with = "schema::names")]
    pub services: Option<Texts>,
    /// Source MAC address that its packets must have.
    #[schemars(default, schema_with = "schema::mac")]
    pub mac: Option<Text>,
    /// Interface on which its packets must arrive.
    #[schemars(default, schema_with = "schema::interface")]
    pub interface: Option<Text>,
    /// Where it is written.
    #[schemars(skip)]
    pub at: At,
}

/// Roles and the services they may use.
#[derive(Debug, Default, JsonSchema)]
#[schemars(
    rename = "ReferencePoint",
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["from"] }, { "required": ["to"] }])
)]
pub struct RawReferencePoint {
    /// Roles that connect to the host; `anyone` for everyone.
    #[schemars(default, schema_with = "schema::names")]
    pub from: Option<Texts>,
    /// Roles that the host connects to; `anyone` for everyone.
    #[schemars(default, schema_with = "schema::names")]
    pub to: Option<Texts>,
    /// Services, of the catalogue or of this file.
    #[schemars(required, schema_with = "schema::names")]
    pub services: Option<Texts>,
    /// Protected addresses and interfaces where it applies; everywhere if not given.
    #[schemars(default, schema_with = "schema::places")]
    pub at: Option<Texts>,
    /// What happens to a violation; the policy's `mode` if not given.
    #[schemars(default, schema_with = "schema::mode")]
    pub mode: Option<Text>,
}

/// A protocol and, for TCP, UDP and SCTP, its ports; for ICMP and ICMPv6, its types.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "ServiceMatch", deny_unknown_fields, transform = schema::ports_by_protocol)]
pub struct RawMatch {
    /// `tcp`, `udp`, `sctp`, another protocol's name, or an IP protocol number.
    #[schemars(required, schema_with = "schema::protocol")]
    pub protocol: Option<Text>,
    /// Ports and ranges of ports, `FIRST-LAST`.
    #[schemars(default, schema_with = "schema::ports")]
    pub ports: Option<Texts>,
    /// Types of ICMP or ICMPv6 messages, by name or number; every type that asks for something if not
    /// given. What answers them passes with them.
    #[schemars(default, schema_with = "schema::types")]
    pub types: Option<Texts>,
    /// Codes of these types; every code if not given.
    #[schemars(default, schema_with = "schema::codes")]
    pub codes: Option<Texts>,
    /// Whether the service's traffic is encrypted; `unknown` if not given.
    #[schemars(default, schema_with = "schema::encryption")]
    pub encryption: Option<Text>,
    /// Whether ports are written, also if they cannot be read.
    #[schemars(skip)]
    pub has_ports: bool,
    /// Where the mapping, or the name it belongs to, is written.
    #[schemars(skip)]
    pub at: At,
}

impl RawPolicy {
    /// Fields, in the order in which they are documented.
    pub const FIELDS: &[&str] = &[
        "apiVersion",
        "name",
        "serial",
        "interfaces",
        "vlans",
        "protect",
        "mode",
        "outbound",
        "flow_timeouts",
        "endpoints",
        "reference_points",
        "break_glass",
        "services",
        "accept",
    ];
}

impl RawEndpoint {
    /// Fields, in the order in which they are documented.
    pub const FIELDS: &[&str] = &[
        "role",
        "roles",
        "addresses",
        "authenticate",
        "identity",
        "sessions",
        "routed",
        "mac",
        "vlan",
        "interface",
    ];
}

impl RawBreakGlass {
    /// Fields, in the order in which they are documented.
    pub const FIELDS: &[&str] = &["addresses", "services", "mac", "interface"];
}

impl RawReferencePoint {
    /// Fields, in the order in which they are documented.
    pub const FIELDS: &[&str] = &["from", "to", "services", "at", "mode"];
}

impl RawMatch {
    /// Fields, in the order in which they are documented.
    pub const FIELDS: &[&str] = &["protocol", "ports", "types", "codes", "encryption"];
}
