//! All that was measured.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::agent::AgentCosts;
use crate::live::Live;
use crate::machine::Machine;
use crate::packets::Costs;

/// All that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The machine that measured.
    pub machine: Machine,
    /// What a packet costs.
    pub packets: Option<Costs>,
    /// Live traffic.
    pub live: Option<Live>,
    /// What the agent costs.
    pub agent: Option<AgentCosts>,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.machine)?;
        if let Some(costs) = &self.packets {
            write!(f, "{costs}")?;
        }
        if let Some(live) = &self.live {
            write!(f, "{live}")?;
        }
        if let Some(agent) = &self.agent {
            write!(f, "{agent}")?;
        }
        Ok(())
    }
}
