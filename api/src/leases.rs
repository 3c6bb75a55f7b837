//! `/v1/leases`: who has proven to be an endpoint, and `/v1/leases/revoke`, which ends that.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The leases in force, and what was refused.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LeaseList {
    /// By endpoint and address.
    pub leases: Vec<LeaseEntry>,
    /// Refused proofs since the agent started, by reason.
    pub refused: Vec<RefusedCount>,
    /// Whose leases were revoked, and who get no other yet, by identity.
    #[serde(default)]
    pub barred: Vec<BarEntry>,
}

/// One who gets no lease for some time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BarEntry {
    /// The identity.
    pub identity: String,
    /// Name of the endpoint that has it, if the policy has one.
    pub endpoint: Option<String>,
    /// Until when (RFC 3339); `None` is for good.
    pub until: Option<String>,
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
    /// Whether that is a router's, by the policy: the lease then proves that router, not the machine behind it.
    #[serde(default)]
    pub routed: bool,
    /// Index of the interface.
    pub ifindex: u32,
    /// Name of the interface, while it exists.
    pub interface: Option<String>,
    /// When its session began (RFC 3339); `None` if an earlier agent's session was granted it, and
    /// the endpoint is yet to come back.
    pub since: Option<String>,
    /// When the lease ends if it is not renewed, seconds from now.
    pub expires_in_seconds: u64,
    /// Serial number of the certificate that it rests on, hexadecimal.
    pub serial: String,
    /// SHA-256 of that certificate, hexadecimal.
    pub fingerprint: String,
    /// When that certificate ends (RFC 3339).
    pub not_after: String,
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
    /// Seconds in which its identity gets no other lease; 0 takes back what was said before.
    pub barred_seconds: u64,
}

/// What a revocation has done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Revoked {
    /// Leases that were ended.
    pub leases: usize,
}
