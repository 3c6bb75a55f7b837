//! `POST /v1/detach`: the end of enforcement.

use serde::{Deserialize, Serialize};

/// What was detached.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Detached {
    /// The interfaces that are no longer enforced.
    pub interfaces: Vec<String>,
}
