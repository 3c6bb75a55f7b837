//! `GET /v1/status`: what the agent does.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Mode, Outbound, RefusedCount};

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
    /// Set while the policy in force waits to be confirmed.
    #[serde(default)]
    pub trial: Option<TrialStatus>,
    /// Where the programs are attached.
    pub attachments: Vec<Attachment>,
    /// Addresses whose management traffic is enforced.
    pub protected: Vec<IpAddr>,
    /// Proofs of identity; `None` if this agent asks for none.
    pub enrolment: Option<EnrolmentStatus>,
    /// What is wrong or weaker than it should be, in sentences; empty if all is well.
    pub problems: Vec<String>,
}

/// A policy that waits to be confirmed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct TrialStatus {
    /// Seconds until it is over.
    pub left_seconds: f64,
    /// Serial that is in force then; `None` if there was no policy before.
    pub goes_back_to: Option<u64>,
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

/// Where the programs look at packets in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// XDP: in the driver, before the kernel allocates anything for the packet.
    Xdp,
    /// TCX ingress (clsact before Linux 6.6).
    Tcx,
}

/// A program on an interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attachment {
    /// Name of the interface.
    pub interface: String,
    /// Its index.
    pub ifindex: u32,
    /// How the program is attached.
    pub mode: HookMode,
    /// The name in the policy that led here, where it is another.
    pub via: Option<String>,
    /// Why this is not what was asked for, if it is not.
    pub degraded: Option<String>,
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookMode {
    /// XDP in the driver.
    XdpNative,
    /// XDP behind the driver: works everywhere, at a fraction of the speed.
    XdpGeneric,
    /// TCX ingress.
    Tcx,
    /// TCX egress.
    TcxEgress,
    /// A filter of the clsact qdisc, ingress.
    Clsact,
    /// A filter of the clsact qdisc, egress.
    ClsactEgress,
}

impl HookMode {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::XdpNative => "xdp-native",
            Self::XdpGeneric => "xdp-generic",
            Self::Tcx => "tcx",
            Self::TcxEgress => "tcx-egress",
            Self::Clsact => "clsact",
            Self::ClsactEgress => "clsact-egress",
        }
    }

    /// Whether the program looks at packets out.
    #[must_use]
    pub const fn is_egress(self) -> bool {
        matches!(self, Self::TcxEgress | Self::ClsactEgress)
    }
}
