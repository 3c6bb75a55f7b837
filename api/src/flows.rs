//! `GET /v1/flows`: the connections that the host, or a protected guest, opened.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Way;

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
    /// Who has begun it.
    #[serde(default)]
    pub direction: Option<Way>,
    /// Most flows that are listed; those of which the last packet is most recent.
    pub limit: Option<usize>,
}

/// Connections: those that the host, or a protected guest, opened, and those that peers have.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FlowList {
    /// Flows of the query, the most recent first.
    pub flows: Vec<FlowEntry>,
    /// How many match the query.
    pub matching: usize,
    /// How many there are.
    pub open: usize,
    /// Number of flows that the table is sized for.
    pub capacity: usize,
}

/// A flow.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FlowEntry {
    /// Who has begun it: `out` is the host.
    pub direction: Way,
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
    /// Seconds since the first packet; `None` if that was not seen.
    pub age_s: Option<f64>,
    /// Seconds since the last packet; of inbound TCP, since data last went either way. `None` if that is not
    /// known.
    pub idle_s: Option<f64>,
    /// Seconds until the flow ends without another packet; `None` of inbound ones.
    pub expires_s: Option<f64>,
    /// Bytes of whole frames to the peer; of inbound TCP, of data. `None` if that is not known.
    pub sent_bytes: Option<u64>,
    /// Bytes from the peer, likewise.
    pub received_bytes: Option<u64>,
}

/// What was cut.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FlowsCut {
    /// Those that were ended.
    pub cut: Vec<FlowEntry>,
    /// Those that could not be: the host has no TCP socket of them, and they are no flow.
    pub left: Vec<FlowEntry>,
}
