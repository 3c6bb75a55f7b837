//! `/v1/policy/try`: a candidate that judges beside the policy in force, and only counts.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Claim, Place, Session, Way};

/// A candidate that is tried.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Trying {
    /// Its name.
    pub name: String,
    /// Its serial.
    pub serial: u64,
    /// The file that it was read from.
    pub file: String,
    /// Serial of the policy in force that it is compared with.
    pub beside: u64,
    /// Since when (RFC 3339). It begins anew when another policy is put in force.
    pub since: String,
    /// Whether its programs are yet to be loaded, by an agent that has just started: what was counted
    /// before is told, and nothing is added meanwhile.
    #[serde(default)]
    pub loading: bool,
    /// Packets that it would drop, and the policy in force does not.
    pub newly_dropped: u64,
    /// Packets that it would admit, and the policy in force does not.
    pub newly_admitted: u64,
    /// Packets of both that are in no row of the report, as there was no room for more.
    pub unrecorded: u64,
    /// Interfaces that only the candidate names: packets there are judged by it at the sockets alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
    /// Interfaces that only the policy in force names: packets there are judged by the candidate, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<String>,
}

/// What is tried, and what would become of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tried {
    /// The candidate.
    pub trying: Trying,
    /// Why `apply` would refuse it as things are, although it is valid. Sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apply_refuses: Vec<String>,
}

/// What a candidate would do otherwise.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ShadowReport {
    /// The candidate.
    pub trying: Trying,
    /// What it would do otherwise: what it would drop first, and of each kind what is most.
    pub rows: Vec<ShadowRow>,
}

/// What would become of packets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Newly {
    /// They pass, and the candidate would drop them.
    Dropped,
    /// They are dropped, and the candidate would let them pass.
    Admitted,
}

/// Packets that two policies do not do the same with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ShadowRow {
    /// What the candidate would do.
    pub newly: Newly,
    /// Where they were judged.
    pub place: Place,
    /// Which way they go.
    pub direction: Way,
    /// Name of the endpoint at their far end, if one of the policies has it.
    pub endpoint: Option<String>,
    /// Else the address there; absent for further addresses together.
    pub address: Option<IpAddr>,
    /// Name of the reference point, if a rule governs them.
    pub reference_point: Option<String>,
    /// Name of the service, if a rule governs them.
    pub service: Option<String>,
    /// Why one of the two policies drops them.
    pub reason: String,
    /// How many.
    pub packets: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
    /// When the first was seen (RFC 3339).
    pub first: String,
    /// When the last was (RFC 3339).
    pub last: String,
}

/// How a candidate is put in force.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Promotion {
    /// Apply it although it would cut `session`.
    #[serde(default)]
    pub force: bool,
    /// The session that it should not cut.
    #[serde(default)]
    pub session: Option<Session>,
    /// Seconds within which it is to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_seconds: Option<u64>,
    /// Whether it gets the next serial in place of its own.
    #[serde(default)]
    pub next_serial: bool,
    /// Who puts it in force, and why.
    #[serde(default)]
    pub by: Claim,
}

/// A candidate that is tried no more.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct StoppedTrying {
    /// Its serial.
    pub serial: u64,
}
