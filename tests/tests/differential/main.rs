//! The decision on the host and the programs in the kernel say the same about generated frames, in
//! both directions.
//!
//! Frames come from a grammar, so that most reach the depths of the decision, and half of them are
//! damaged. `MANOWARD_FRAMES` sets how many there are, `MANOWARD_SEED` repeats a run.

mod grammar;
mod mutation;
mod policies;
mod regressions;
mod turning;
mod words;

use std::collections::BTreeSet;
use std::env;

use anyhow::{Context, Result, ensure};
use harness::kernel::{Judges, facts, hex};
use manoward::policy::Policy;
use verdict::reason::{Outcome, Reason};

use grammar::Grammar;
use turning::turned;

/// Frames under all policies, where the environment does not say otherwise.
const FRAMES: u64 = 120_000;
/// Frames after which the flows are forgotten.
const FORGOTTEN_AFTER: u64 = 250;
/// Policies that share them.
const POLICIES: u64 = 4;

/// A number that the environment sets.
fn setting(name: &str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(name) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let number = text.parse().with_context(|| format!("{name}={text}"))?;
    Ok(Some(number))
}

/// Compares what all say about frames under `policy`, and returns the reasons that were given.
fn compare(policy: &Policy) -> Result<BTreeSet<u8>> {
    let frames = setting("MANOWARD_FRAMES")?.unwrap_or(FRAMES) / POLICIES;
    let seed = setting("MANOWARD_SEED")?.unwrap_or_else(|| fastrand::u64(..));
    let mut judges = Judges::with(policy, &facts())?;
    let mut grammar = Grammar::new(policy, seed);
    let mut reasons = BTreeSet::new();
    for index in 0..frames {
        let frame = grammar.frame();
        let told = || format!("frame {index} of MANOWARD_SEED={seed}: {}", hex(&frame));
        // A full table gives up what has waited longest, by clocks that are read one after another.
        if index % FORGOTTEN_AFTER == 0 {
            judges.forget_flows()?;
        }
        // Out, it opens what it may belong to when it comes in again.
        let before = judges.outcome(&frame).with_context(told)?;
        let out = judges.outcome_out(&turned(&frame)).with_context(told)?;
        let after = judges.outcome(&frame).with_context(told)?;
        reasons.extend([before, out, after].map(Outcome::code));
    }
    println!(
        "{frames} frames, {} reasons, MANOWARD_SEED={seed}",
        reasons.len()
    );
    Ok(reasons)
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
fn under_a_policy_of_bindings_every_reason_is_given() -> Result<()> {
    let seen = compare(&policies::bound()?)?;
    // A frame always has an Ethernet header, the policy is whole, there is room for few flows, and
    // nobody has to prove who it is.
    // Segments that do not fit their flow are seldom; they have tests of their own.
    let never = [
        Reason::EthernetTruncated,
        Reason::NoPolicy,
        Reason::FlowTableFull,
        Reason::TcpFlags,
        Reason::OutOfWindow,
        Reason::NoLease,
        Reason::LeaseExpired,
        Reason::RateLimited,
    ];
    let missing: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !never.contains(reason) && !seen.contains(&reason.code()))
        .collect();
    // A short run, asked for by whoever repeats one, need not be complete.
    let complete = setting("MANOWARD_FRAMES")?.is_none_or(|frames| frames >= FRAMES);
    ensure!(
        missing.is_empty() || !complete,
        "no frame led to {missing:?}"
    );
    Ok(())
}
