//! What the agent costs, as a table.

use std::fmt::{self, Display, Formatter};

use super::AgentCosts;
use crate::words::grouped;

impl Display for AgentCosts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:>9} {:>9} {:>9} {:>11} {:>10}",
            "addresses", "start, s", "apply, s", "agent, MiB", "maps, MiB"
        )?;
        for policy in &self.policies {
            writeln!(
                f,
                "{:>9} {:>9.2} {:>9.2} {:>11.1} {:>10.1}",
                grouped(policy.addresses),
                policy.start_s,
                policy.apply_s,
                policy.agent_mib,
                policy.maps_mib
            )?;
        }
        writeln!(
            f,
            "the agent's part of a core: {:.2} % at rest, {:.2} % while {:.1} Mpps are dropped",
            self.processor_at_rest * 100.0,
            self.processor_in_flood * 100.0,
            self.flood_mpps
        )
    }
}
