//! `GET /v1/endpoints`: who is known, and how much came from each and went to it.

use serde::{Deserialize, Serialize};

use crate::Fates;

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
    /// Interfaces that it is bound to; none if it may use any.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// Packets from it.
    pub received: Fates,
    /// Packets to it.
    pub sent: Fates,
}
