//! What a request is answered with that is not done.

use serde::{Deserialize, Serialize};

use crate::Report;

/// Why a request failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Failure {
    /// A sentence, with the remedy.
    pub message: String,
    /// What kind of failure: `invalid-policy`, `stale-serial`, `cuts-session`, `not-allowed`,
    /// `bad-request`, `disagreement`, `internal`.
    pub code: String,
    /// The mistakes of an invalid policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}
