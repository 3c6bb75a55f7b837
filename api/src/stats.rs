//! `GET /v1/stats`: how many packets passed, were dropped, and why.

use serde::{Deserialize, Serialize};

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
    /// Where they were judged.
    #[serde(default)]
    pub place: Place,
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

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
}

/// What became of the packets of one direction.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fates {
    /// What passed, audited packets included.
    pub passed: Count,
    /// What was dropped.
    pub dropped: Count,
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

/// Where packets are judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// At an interface.
    #[default]
    Wire,
    /// At the host's sockets.
    Door,
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
