//! `GET /v1/policy/history`: what was done to the policy in force, and by whom.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What is wanted of the history.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct HistoryQuery {
    /// Whether to look if it is as it was written.
    #[serde(default)]
    pub verify: bool,
}

/// What was done.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct History {
    /// The oldest first.
    pub entries: Vec<HistoryEntry>,
    /// Whether it is as it was written; `None` unless asked for.
    #[serde(default)]
    pub verification: Option<Verification>,
}

/// Whether the history is as it was written.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Verification {
    /// Number of lines that hold, from the first on.
    pub lines: u64,
    /// SHA-256 of the last line, if all hold: kept elsewhere, it shows later that nothing before it
    /// was changed.
    pub head: Option<String>,
    /// What is wrong, in sentences; empty if nothing is.
    pub flaws: Vec<String>,
}

/// What became of a policy once.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct HistoryEntry {
    /// Its number, from 1.
    pub number: u64,
    /// When (RFC 3339).
    pub time: String,
    /// What became of it.
    pub event: Event,
    /// Serial of the policy.
    pub serial: u64,
    /// SHA-256 of its text.
    pub digest: String,
    /// The file that it came from.
    pub file: String,
    /// Seconds within which it was to be confirmed.
    #[serde(default)]
    pub confirm_within_seconds: Option<u64>,
    /// Serial of the policy whose text it repeats.
    #[serde(default)]
    pub restores: Option<u64>,
    /// What a break-glass door lets in.
    #[serde(default)]
    pub door: Option<String>,
    /// Why, in the words of whoever did it.
    #[serde(default)]
    pub message: Option<String>,
    /// Who did it; `None` for the agent itself.
    #[serde(default)]
    pub who: Option<Who>,
}

/// What became of a policy.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It was enforced, for good.
    Applied,
    /// It was enforced, and was to be confirmed.
    Tried,
    /// It was confirmed.
    Confirmed,
    /// It was not confirmed in time.
    Lapsed,
    /// It was taken back.
    Cancelled,
    /// It was found in force, as after an upgrade.
    Found,
    /// A break-glass door was opened while it was in force.
    Opened,
    /// That door was closed, or its time was over.
    Closed,
}

impl Event {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Tried => "tried",
            Self::Confirmed => "confirmed",
            Self::Lapsed => "lapsed",
            Self::Cancelled => "cancelled",
            Self::Found => "found",
            Self::Opened => "opened",
            Self::Closed => "closed",
        }
    }
}

/// Who did something.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Who {
    /// User id.
    pub uid: Option<u32>,
    /// Process id.
    pub pid: Option<u32>,
    /// Terminal, such as `pts/0`.
    #[serde(default)]
    pub terminal: Option<String>,
    /// The far end of the session that the command came over.
    #[serde(default)]
    pub peer: Option<SocketAddr>,
}
