//! The decision on the host and the programs in the kernel reach the same outcomes for generated
//! frames, in both directions.
//!
//! `cargo xtask fuzz --target differential` compares any number of frames, and repeats a run by its
//! seed.

mod regressions;

use std::collections::BTreeMap;
use std::env;

use anyhow::{Result, ensure};
use harness::judge::differential::{Comparison, policies};
use manoward::policy::Policy;
use verdict::reason::Reason;

/// Frames under each policy.
const FRAMES: u64 = 30_000;

/// Overrides [`FRAMES`], for emulated machines.
const FRAMES_ENV: &str = "MANOWARD_FRAMES";

fn frames() -> u64 {
    let set = env::var(FRAMES_ENV).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(FRAMES)
}

/// Compares the outcomes for frames under `policy`, and returns the reasons that occurred.
fn compare(policy: &Policy) -> Result<BTreeMap<&'static str, u64>> {
    let (frames, seed) = (frames(), fastrand::u64(..));
    let mut comparison = Comparison::new(policy, seed)?;
    for _ in 0..frames {
        comparison.frame()?;
    }
    let reasons = comparison.reasons();
    println!("{frames} frames, {} reasons, seed {seed}", reasons.len());
    Ok(reasons.clone())
}

#[test]
fn under_a_small_policy() -> Result<()> {
    compare(&policies::small()?).map(drop)
}

#[test]
fn under_a_hundred_thousand_addresses() -> Result<()> {
    let policy = policies::large()?;
    compare(&policy).map(drop)
}

#[test]
fn under_a_policy_that_audits() -> Result<()> {
    compare(&policies::audited()?).map(drop)
}

#[test]
fn under_a_policy_for_anyone_and_for_places() -> Result<()> {
    compare(&policies::places()?).map(drop)
}

#[test]
fn under_a_policy_of_bindings_every_reason_is_given() -> Result<()> {
    let seen = compare(&policies::bound()?)?;
    if frames() < FRAMES {
        // Some reasons are too rare.
        return Ok(());
    }
    // A frame always has an Ethernet header, a policy is loaded, the few flows fit the table, and
    // no endpoint needs a certificate. Segments outside their flow's window are rare; other tests
    // send them.
    let never = [
        Reason::EthernetTruncated,
        Reason::NoPolicy,
        Reason::FlowTableFull,
        Reason::TcpFlags,
        Reason::OutOfWindow,
        Reason::NoLease,
        Reason::LeaseExpired,
        Reason::RateLimited,
        Reason::NotInitial,
        // Nothing is audited.
        Reason::Answer,
        // There are no exemptions.
        Reason::BreakGlass,
        // Only at a socket.
        Reason::BindingUnseen,
        Reason::WrongPlace,
    ];
    let missing: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !never.contains(reason) && !seen.contains_key(reason.name()))
        .collect();
    ensure!(missing.is_empty(), "no frame led to {missing:?}");
    Ok(())
}
