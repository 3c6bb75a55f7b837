//! `GET /v1/status`: what the agent does.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Mode, Outbound, RefusedCount, Trying};

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
    /// The candidate that judges beside it, and only counts.
    #[serde(default)]
    pub trying: Option<Trying>,
    /// Where the programs are attached.
    pub attachments: Vec<Attachment>,
    /// Addresses whose management traffic is enforced.
    pub protected: Vec<IpAddr>,
    /// Proofs of identity; `None` if this agent asks for none.
    pub enrolment: Option<EnrolmentStatus>,
    /// How each interface over which packets reach the host is covered.
    pub coverage: Vec<Coverage>,
    /// Protected addresses that no interface has: a guest's, or missing.
    pub elsewhere: Vec<IpAddr>,
    /// What the inner door does.
    pub door: Door,
    /// When the kernel confirmed last that all programs are attached (RFC 3339).
    pub verified: Option<String>,
    /// Whether that was within the last seconds.
    pub is_verified: bool,
    /// What is wrong or weaker than it should be; empty if nothing is.
    pub problems: Vec<Problem>,
}

/// How well the host is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// As the policy says, everywhere.
    Healthy,
    /// Not everywhere, or weaker or slower than it should be.
    Degraded,
    /// Not at all.
    NotEnforcing,
}

impl Status {
    /// How well the host is protected.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.policy.is_none() || self.attachments.is_empty() {
            return Health::NotEnforcing;
        }
        let degraded = self.attachments.iter().any(|at| at.degraded.is_some());
        let exposed = self.coverage.iter().any(|row| row.exposed.is_some());
        if degraded || exposed || !self.is_verified || !self.problems.is_empty() {
            return Health::Degraded;
        }
        Health::Healthy
    }
}

/// How an interface over which packets reach the host is covered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Coverage {
    /// Name of the interface.
    pub interface: String,
    /// Its index.
    pub ifindex: u32,
    /// The protected addresses that it has.
    pub addresses: Vec<IpAddr>,
    /// How packets in are judged; `None` if they are not.
    pub ingress: Option<HookMode>,
    /// How packets out are judged; `None` if they are not.
    pub egress: Option<HookMode>,
    /// Whether this leads to the host's own guests and containers, and is left alone (`inside` in agent.yaml).
    pub inside: bool,
    /// Whether it looks as if it led to guests or containers, and `inside` does not name it.
    pub seems_inside: bool,
    /// Whether only the inner door judges here, at the host's sockets.
    pub at_door: bool,
    /// Why packets pass unjudged here; `None` if they do not.
    pub exposed: Option<String>,
}

/// What the inner door does with packets that reach a socket unjudged.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// It drops what the policy does not permit.
    Enforce,
    /// It counts that, and lets it pass.
    Audit,
    /// There is none, as agent.yaml says.
    Off,
    /// There should be one; a problem says why there is none.
    Missing,
}

/// Something that is wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// What kind of problem; does not change between versions.
    pub code: String,
    /// What it is, in a sentence, with a remedy.
    pub message: String,
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
