//! The short form of `cargo xtask soak`.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::agent::soak::{Plan, run};

const PLAN: Plan = Plan {
    changes: 16,
    kills: 2,
    restarts: 1,
    packets: 20_000,
    pause: Duration::from_millis(2),
    most: Duration::from_secs(25),
    seed: 7,
};

#[test]
fn no_packet_is_lost_or_let_through_while_policies_change_and_agents_end() -> Result<()> {
    let outcome = run(&PLAN, |_| {})?;
    ensure!(
        outcome.flaws().is_empty(),
        "{:?}: {outcome:?}",
        outcome.flaws()
    );
    ensure!(
        outcome.changed() > 0 && outcome.exchanges[1] > 0,
        "{outcome:?}"
    );
    Ok(())
}
