//! `GET /v1/break-glass`, `POST /v1/break-glass/open`, `POST /v1/break-glass/close`: who gets in whatever
//! the policy says.

use serde::{Deserialize, Serialize};

use crate::{Claim, Who};

/// Who gets in whatever the policy says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct BreakGlass {
    /// Who always gets in.
    pub standing: Vec<StandingAccess>,
    /// The doors that are open for a time.
    pub doors: Vec<OpenDoor>,
    /// Packets that got in because of either, and only because of that.
    pub packets: u64,
}

/// Whom break glass lets in, to what.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GlassAccess {
    /// Addresses and prefixes.
    pub from: Vec<String>,
    /// Names of services.
    pub services: Vec<String>,
    /// Source MAC address; any if `None`.
    #[serde(default)]
    pub mac: Option<String>,
    /// Interface on which packets arrive; any if `None`.
    #[serde(default)]
    pub interface: Option<String>,
}

/// Somebody who always gets in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StandingAccess {
    /// Who, and to what.
    #[serde(flatten)]
    pub access: GlassAccess,
    /// What says so: `agent.yaml`, `policy`, `confirmed policy` or `last policy`.
    pub source: String,
}

/// A door that is open for a time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OpenDoor {
    /// Whom it lets in, to what.
    #[serde(flatten)]
    pub access: GlassAccess,
    /// When it was opened (RFC 3339).
    pub opened: String,
    /// Seconds until the kernel closes it.
    pub left_seconds: f64,
    /// Who opened it.
    #[serde(default)]
    pub who: Option<Who>,
}

/// A door that is to be opened, from the console of the host.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DoorOrder {
    /// For how many seconds.
    pub for_seconds: u64,
    /// Name of the service that it opens.
    pub service: String,
    /// Address or prefix that it opens to.
    pub from: String,
    /// Source MAC address of the packets.
    #[serde(default)]
    pub mac: Option<String>,
    /// Interface on which they arrive.
    #[serde(default)]
    pub interface: Option<String>,
    /// Why, and from where.
    #[serde(default)]
    pub by: Claim,
}

/// Doors that were closed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct DoorsClosed {
    /// How many were open.
    pub closed: usize,
}
