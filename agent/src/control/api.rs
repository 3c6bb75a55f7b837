//! The control API: what goes over the agent's socket, as JSON.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/stats` | | [`Stats`] |
//! | `GET /v1/endpoints` | | [`EndpointList`] |
//! | `GET /v1/flows` | [`FlowQuery`] as its query | [`FlowList`] |
//! | `GET /v1/policy` | | [`PolicyText`] |
//! | `POST /v1/policy/check` | [`Candidate`] | [`Report`] |
//! | `POST /v1/policy/diff` | [`Candidate`] | [`Difference`] |
//! | `POST /v1/policy/apply` | [`Candidate`] | [`Applied`] |
//! | `POST /v1/explain` | [`Question`] | [`Explanation`] |
//! | `POST /v1/detach` | | [`Detached`] |
//!
//! Whoever may open the socket may read; only root may `apply` and `detach`. A request that fails
//! is answered with a [`Failure`] and a status of 400 (the request is wrong), 403 (not allowed),
//! 409 (refused in this state) or 500.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use verdict::counters::Direction;

use crate::{
    datapath::{Attachment, Hook},
    policy::{Change, Lint, Mistake, Mode, Outbound},
};

/// What the agent does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// Version of the agent.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started (RFC 3339).
    pub started: String,
    /// Where the programs look at packets.
    pub hook: Hook,
    /// The policy in force; `None` before the first.
    pub policy: Option<PolicyInForce>,
    /// Where the programs are attached.
    pub attachments: Vec<Attachment>,
    /// Addresses whose management traffic is enforced.
    pub protected: Vec<IpAddr>,
    /// Proofs of identity; `None` if this agent asks for none.
    pub enrolment: Option<EnrolmentStatus>,
    /// What is wrong or weaker than it should be, in sentences; empty if all is well.
    pub problems: Vec<String>,
}

/// Where endpoints prove who they are, and what came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EnrolmentStatus {
    /// UDP port.
    pub port: u16,
    /// Leases in force.
    pub leases: usize,
    /// Refused proofs since the agent started, by reason.
    pub refused: Vec<RefusedCount>,
}

/// The policy in force.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PolicyInForce {
    /// Its name.
    pub name: String,
    /// Its serial.
    pub serial: u64,
    /// Mode of what no reference point governs.
    pub mode: Mode,
    /// What is done about connections that the host opens and no reference point permits.
    pub outbound: Outbound,
    /// When it was applied (RFC 3339).
    pub applied: String,
    /// Number of endpoints.
    pub endpoints: usize,
    /// Number of their addresses and prefixes.
    pub addresses: usize,
    /// Memory of its image in the kernel, bytes.
    pub image_bytes: u64,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
}

/// What happened to packets that were counted together.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// They passed.
    Passed,
    /// They were dropped.
    Dropped,
    /// They violated the policy, and passed because the mode is audit.
    Audited,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To the host.
    #[default]
    In,
    /// From the host.
    Out,
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::In => Self::In,
            Direction::Out => Self::Out,
        }
    }
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::In => Self::In,
            Way::Out => Self::Out,
        }
    }
}

/// What became of the packets of one direction.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fates {
    /// What passed, audited packets included.
    pub passed: Count,
    /// What was dropped.
    pub dropped: Count,
}

/// Exact counts since the programs were first attached.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Stats {
    /// When this was read (RFC 3339, with milliseconds).
    pub time: String,
    /// By service at a reference point and reason; never both zero.
    pub verdicts: Vec<VerdictCount>,
    /// By endpoint, also those without packets.
    pub endpoints: Vec<EndpointCount>,
}

/// A verdict counter.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct VerdictCount {
    /// Which way the packets went.
    pub direction: Way,
    /// Reference point that governs the packets; `None` if none does.
    pub reference_point: Option<String>,
    /// Service that they asked for; `None` if none.
    pub service: Option<String>,
    /// Name of the reason.
    pub reason: String,
    /// What happened to them.
    pub fate: Fate,
    /// How many.
    #[serde(flatten)]
    pub count: Count,
}

/// An endpoint counter.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EndpointCount {
    /// Name of the endpoint.
    pub name: String,
    /// Packets from it.
    pub received: Fates,
    /// Packets to it.
    pub sent: Fates,
}

/// The leases in force, and what was refused.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LeaseList {
    /// By endpoint and address.
    pub leases: Vec<LeaseEntry>,
    /// Refused proofs since the agent started, by reason.
    pub refused: Vec<RefusedCount>,
}

/// A lease.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LeaseEntry {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Its role.
    pub role: String,
    /// What it has proven to be.
    pub identity: String,
    /// The address it has proven it from.
    pub address: IpAddr,
    /// The MAC address.
    pub mac: String,
    /// Index of the interface.
    pub ifindex: u32,
    /// Name of the interface, while it exists.
    pub interface: Option<String>,
    /// When its session began (RFC 3339); `None` if an earlier agent's session was granted it, and
    /// the endpoint is yet to come back.
    pub since: Option<String>,
    /// When the lease ends if it is not renewed, seconds from now.
    pub expires_in_seconds: u64,
    /// Serial number of the session's certificate, hexadecimal.
    pub serial: Option<String>,
    /// When that certificate ends (RFC 3339).
    pub not_after: Option<String>,
}

/// How many proofs were refused for one reason.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RefusedCount {
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Whose leases are to end.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Revocation {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Seconds in which it gets no other lease.
    pub barred_seconds: u64,
}

/// What a revocation has done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Revoked {
    /// Leases that were ended.
    pub leases: usize,
}

/// The endpoints of the policy in force.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EndpointList {
    /// By name.
    pub endpoints: Vec<EndpointEntry>,
}

/// An endpoint.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EndpointEntry {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its addresses and prefixes; the first 16.
    pub addresses: Vec<String>,
    /// How many there are.
    pub address_count: usize,
    /// What its certificate has to say, if it has to show one.
    pub identity: Option<String>,
    /// MAC address it is bound to.
    pub mac: Option<String>,
    /// VLAN it is bound to: an id, `untagged`, or `OUTER.INNER`.
    pub vlan: Option<String>,
    /// Interface it is bound to.
    pub interface: Option<String>,
    /// Packets from it.
    pub received: Fates,
    /// Packets to it.
    pub sent: Fates,
}

/// Which flows are asked for; what is not given does not matter.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct FlowQuery {
    /// Name of the remote endpoint.
    pub endpoint: Option<String>,
    /// Role of the remote endpoint.
    pub role: Option<String>,
    /// Reference point that permits the flow.
    pub reference_point: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Protocol, by name or number.
    pub protocol: Option<String>,
    /// Local or remote address, or a prefix that covers one of them.
    pub address: Option<String>,
    /// Local or remote port.
    pub port: Option<u16>,
    /// Name of the state.
    pub state: Option<String>,
    /// Most flows that are listed; those of which the last packet is most recent.
    pub limit: Option<usize>,
}

/// Flows: connections that the host, or a protected guest, opened.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FlowList {
    /// Flows of the query, the most recent first.
    pub flows: Vec<FlowEntry>,
    /// How many match the query.
    pub matching: usize,
    /// How many there are.
    pub open: usize,
    /// How many the table surely holds.
    pub capacity: usize,
}

/// A flow.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FlowEntry {
    /// Name of the protocol, or its number.
    pub protocol: String,
    /// Address of the host, or of the guest; the unspecified one if it had none yet.
    pub local: IpAddr,
    /// Its port; of echo, the identifier.
    pub local_port: u16,
    /// Address of the peer; the unspecified one if a group was asked.
    pub remote: IpAddr,
    /// Its port.
    pub remote_port: u16,
    /// Name of the state.
    pub state: String,
    /// Endpoint that the remote address belongs to.
    pub endpoint: Option<String>,
    /// Its role.
    pub role: Option<String>,
    /// Reference point that permits the flow.
    pub reference_point: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Seconds since the first packet.
    pub age_s: f64,
    /// Seconds since the last packet.
    pub idle_s: f64,
    /// Seconds until the flow ends without another packet.
    pub expires_s: f64,
    /// Bytes of whole frames to the peer.
    pub sent_bytes: u64,
    /// Bytes of whole frames from the peer.
    pub received_bytes: u64,
}

/// The text of the policy in force.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PolicyText {
    /// Its serial.
    pub serial: u64,
    /// The file that it was applied from.
    pub file: String,
    /// When (RFC 3339).
    pub applied: String,
    /// The YAML.
    pub text: String,
}

/// A policy that somebody wants checked, compared or applied.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Candidate {
    /// The YAML.
    pub text: String,
    /// Name of the file, for messages.
    pub file: String,
    /// Apply it although it would cut `session`.
    #[serde(default)]
    pub force: bool,
    /// The session that it is applied from, which it should not cut.
    #[serde(default)]
    pub session: Option<Session>,
}

/// A TCP connection to the host, as `SSH_CONNECTION` names it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Session {
    /// The far end.
    pub peer: SocketAddr,
    /// This host's end.
    pub local: SocketAddr,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// Whether it can be applied.
    pub valid: bool,
    /// What makes it invalid; the first hundred.
    pub mistakes: Vec<Mistake>,
    /// How many there are.
    pub mistake_count: usize,
    /// What is valid, but hardly meant.
    pub lints: Vec<Lint>,
}

/// How a policy differs from the one in force.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Difference {
    /// Serial in force.
    pub from: u64,
    /// Serial of the candidate.
    pub to: u64,
    /// What changes.
    pub changes: Vec<Change>,
}

/// What was applied.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Applied {
    /// Its serial.
    pub serial: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// What is valid, but hardly meant.
    pub lints: Vec<Lint>,
    /// Number of addresses and prefixes.
    pub addresses: usize,
    /// Memory of its image in the kernel, bytes.
    pub image_bytes: u64,
    /// Time to read and validate, milliseconds.
    pub read_ms: u64,
    /// Time to compile, milliseconds.
    pub compile_ms: u64,
    /// Time until every packet was judged by it, milliseconds.
    pub publish_ms: u64,
}

/// A packet whose verdict somebody asks for: a frame, or what to make one of.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// A frame in hexadecimal, from the destination MAC address on.
    Frame {
        /// The digits; white space and colons are skipped.
        hex: String,
        /// Name of the interface that it arrives on, or leaves by; the first attached one if not
        /// given.
        #[serde(default)]
        interface: Option<String>,
        /// Which way it goes.
        #[serde(default)]
        direction: Way,
    },
    /// A packet that opens a connection. What an endpoint is bound to and is not given here is
    /// taken from its lease or its binding.
    Packet {
        /// Source address.
        from: IpAddr,
        /// Destination address.
        to: IpAddr,
        /// `tcp`, `udp`, `sctp`, another protocol's name, or its number.
        protocol: String,
        /// Destination port, for protocols that have ports.
        #[serde(default)]
        port: Option<u16>,
        /// Source port; 50000 if not given.
        #[serde(default)]
        source_port: Option<u16>,
        /// Source MAC address.
        #[serde(default)]
        mac: Option<String>,
        /// VLAN: an id, `untagged`, or `OUTER.INNER`.
        #[serde(default)]
        vlan: Option<String>,
        /// Name of the interface that it arrives on, or leaves by; the first attached one if not
        /// given.
        #[serde(default)]
        interface: Option<String>,
        /// Which way it goes.
        #[serde(default)]
        direction: Way,
    },
}

/// A verdict with what led to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Explanation {
    /// Whether the packet passes.
    pub fate: Fate,
    /// Name of the reason.
    pub reason: String,
    /// Reference point that governs the packet.
    pub reference_point: Option<String>,
    /// Service that it asks for.
    pub service: Option<String>,
    /// Endpoint that it comes from, or goes to.
    pub endpoint: Option<String>,
    /// Role of the endpoint.
    pub role: Option<String>,
    /// Prefix of the endpoint that covers the peer's address.
    pub prefix: Option<String>,
    /// A sentence.
    pub because: String,
    /// The frame that was judged, in hexadecimal.
    pub frame: String,
    /// Name of the interface that it was judged on.
    pub interface: Option<String>,
    /// What the program in the kernel says.
    pub kernel: Kernel,
}

/// What the program in the kernel says about a packet that is explained; a disagreement is a
/// [`Failure`].
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// The same.
    Agrees,
    /// The same as the host about this frame on the loopback interface: the kernel cannot be told
    /// of another one (before Linux 5.15).
    AgreesOnLoopback,
    /// Nothing: it runs no program on a frame of this length.
    #[default]
    NotAsked,
}

/// What was detached.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Detached {
    /// The interfaces that are no longer enforced.
    pub interfaces: Vec<String>,
}

/// Why a request failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Failure {
    /// A sentence, with the remedy.
    pub message: String,
    /// What kind of failure: `invalid-policy`, `stale-serial`, `cuts-session`, `not-allowed`,
    /// `bad-request`, `disagreement`, `internal`.
    pub code: String,
    /// The mistakes of an invalid policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}
