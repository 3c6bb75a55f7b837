//! `/v1/policy`: the policy in force, and what becomes of another one.

use std::{fmt, net::SocketAddr, ops::Range};

use serde::{Deserialize, Serialize};

use crate::Way;

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
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
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
    /// Seconds within which it is to be confirmed; otherwise the one that was confirmed last is in
    /// force again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_seconds: Option<u64>,
    /// Its Ed25519 signature, 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Vec<u8>>,
    /// Whether it gets the next serial in place of its own.
    #[serde(default)]
    pub next_serial: bool,
    /// Who applies it, and why.
    #[serde(default)]
    pub by: Claim,
}

/// Which policy to show.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct PolicyQuery {
    /// Its serial; the one in force if this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
}

/// Which policy to go back to, and how.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RollBack {
    /// Its serial; the one in force before if this is absent.
    #[serde(default)]
    pub serial: Option<u64>,
    /// Apply it although it would cut `session`.
    #[serde(default)]
    pub force: bool,
    /// The session that it should not cut.
    #[serde(default)]
    pub session: Option<Session>,
    /// Seconds within which it is to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_seconds: Option<u64>,
    /// Who goes back, and why.
    #[serde(default)]
    pub by: Claim,
}

/// What somebody tells of a change. Who it is, the kernel tells.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Claim {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Connections that the command may have come over. The agent asks the kernel itself where it may
    /// look into other processes.
    #[serde(default)]
    pub came_over: Vec<Session>,
}

/// A policy that was confirmed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Confirmed {
    /// Its serial.
    pub serial: u64,
}

/// A change of addresses of the policy in force.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Patch {
    /// What is added to endpoints.
    #[serde(default)]
    pub add: Vec<PatchedAddress>,
    /// What is removed from endpoints.
    #[serde(default)]
    pub remove: Vec<PatchedAddress>,
    /// Whether it is applied although it would cut the session.
    #[serde(default)]
    pub force: bool,
    /// The session that it is applied from.
    #[serde(default)]
    pub session: Option<Session>,
    /// Seconds within which it is to be confirmed.
    #[serde(default)]
    pub confirm_within_seconds: Option<u64>,
    /// Why, and from where.
    #[serde(default)]
    pub by: Claim,
}

/// An address or prefix of an endpoint.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PatchedAddress {
    /// Name of the endpoint.
    pub endpoint: String,
    /// The address or prefix.
    pub address: String,
}

/// A policy that was taken back.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Cancelled {
    /// Serial that is in force again; `None` if there was no policy before.
    pub serial: Option<u64>,
}

/// A TCP connection to the host, as `SSH_CONNECTION` names it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
    /// Remarks: what is valid, and probably not intended.
    pub lints: Vec<Lint>,
    /// Why `apply` would refuse it as things are, although it is valid: that it would cut the session which
    /// asks, or a serial that is not newer. Sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apply_refuses: Vec<String>,
}

/// A mistake of a policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mistake {
    /// The file, if the policy has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Bytes of the text that the mistake concerns, counted behind a byte order mark.
    pub span: Range<usize>,
    /// What is wrong: a sentence without its first capital and its full stop.
    pub message: String,
    /// What to do about it: whole sentences.
    pub remedy: String,
}

/// A remark on a policy that is valid.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lint {
    /// The file, if the policy has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What it is about; docs/policy.md lists the codes.
    pub code: String,
    /// The kind of thing that it concerns.
    pub object: Object,
    /// The name of that thing.
    pub subject: String,
    /// The remark: a sentence without its first capital and its full stop.
    pub message: String,
    /// What to do about it: whole sentences.
    pub remedy: String,
    /// Line where the subject is written, from 1, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column where the subject is written, from 1, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
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
    /// Who may newly connect.
    #[serde(default)]
    pub gained: Vec<Access>,
    /// Who may no longer connect.
    #[serde(default)]
    pub lost: Vec<Access>,
    /// Why `apply` would refuse it as things are, although it is valid: that it would cut the session which
    /// asks, or a serial that is not newer. Sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apply_refuses: Vec<String>,
}

/// A service that is used between some addresses of an endpoint and the host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Access {
    /// Which way the connection is opened.
    pub direction: Way,
    /// Name of the endpoint.
    pub endpoint: String,
    /// Name of the service.
    pub service: String,
    /// Its protocol and ports, such as `tcp 22`.
    pub ports: String,
    /// Some of the addresses and prefixes.
    pub addresses: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// One difference between two policies.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// What kind of thing.
    pub object: Object,
    /// Its name.
    pub name: String,
    /// What exactly, for a person; empty if there is nothing to add.
    pub detail: String,
}

/// How something differs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only the new policy has it.
    Added,
    /// Only the old policy has it.
    Removed,
    /// Both have it, not the same.
    Changed,
}

/// Kinds of thing that a policy consists of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Object {
    /// The policy itself: its name, serial number, mode, and `outbound`.
    Policy,
    /// An entry of `flow_timeouts`, by the name of its state.
    FlowTimeout,
    /// An entry of `interfaces`.
    Interface,
    /// An entry of `protect`.
    Protect,
    /// A role.
    Role,
    /// An endpoint.
    Endpoint,
    /// A reference point.
    ReferencePoint,
    /// A service that the file defines.
    Service,
    /// `break_glass`.
    BreakGlass,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "policy",
            Self::FlowTimeout => "flow timeout",
            Self::Interface => "interface",
            Self::Protect => "protected address",
            Self::Role => "role",
            Self::Endpoint => "endpoint",
            Self::ReferencePoint => "reference point",
            Self::Service => "service",
            Self::BreakGlass => "emergency access",
        })
    }
}

/// What was applied.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Applied {
    /// Its serial.
    pub serial: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// Remarks: what is valid, and probably not intended.
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
    /// Seconds within which it is to be confirmed; `None` if it is in force for good.
    #[serde(default)]
    pub confirm_within_seconds: Option<u64>,
    /// Serial that was in force before; `None` if there was no policy.
    #[serde(default)]
    pub replaces: Option<u64>,
    /// Serial that is in force again if it is not confirmed; `None` if there was no policy.
    #[serde(default)]
    pub goes_back_to: Option<u64>,
}

/// Whether a violation is dropped, or only counted and reported.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Violations are dropped.
    Enforce,
    /// Violations are counted and reported, and pass.
    Audit,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        })
    }
}

/// What happens to a connection that the host opens for a service that no `to` names.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outbound {
    /// It is dropped and counted.
    Enforce,
    /// It is counted and reported, and passes; so do its replies.
    Audit,
    /// It passes and is not reported.
    Any,
}

impl fmt::Display for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
            Self::Any => "any",
        })
    }
}
