//! What fails around the agent, and what is enforced all the same. `docs/faults.md` is the table of
//! it; rows that are not tested here name the test that they rest on.

mod clock;
mod files;
mod interfaces;
mod kernel;
mod processes;
mod readers;
mod resources;
mod storage;

use std::time::Duration;

use harness::Policy;
use harness::agent::policy::crowd;

/// Longest time for the agent to react.
const PATIENCE: Duration = Duration::from_secs(10);

/// Addresses of a policy that takes a while to apply.
const CROWD: u32 = 100_000;

/// The usual endpoints, and a crowd.
fn many_endpoints() -> String {
    let usual = Policy::default().endpoints;
    let usual = usual.trim().trim_end_matches('}').trim_end();
    format!("{usual},\n  {} }}", crowd(CROWD))
}
