//! What the network stack would deliver and the policy does not permit is not delivered behind the
//! programs; what the policy permits is.
//!
//! `cargo xtask fuzz --target oracle` sends as many frames as one likes, and repeats a run by its
//! seed.

use anyhow::{Result, ensure};
use harness::judge::differential::policies;
use harness::judge::oracle::Oracle;
use harness::judge::oracle::families::FAMILIES;
use harness::judge::oracle::hosts::{Hosts, Stack};

/// Batches of frames of all families, and of the grammar.
const BATCHES: usize = 300;
/// Batches of each directed family.
const DIRECTED: usize = 25;

fn agree(stack: Stack) -> Result<()> {
    let hosts = Hosts::new(stack)?;
    let mut oracle = Oracle::new(&hosts, &policies::small_text())?;
    let seed = fastrand::u64(..);
    let mut families = oracle.families(seed);
    for family in 0..FAMILIES.len() {
        for _ in 0..DIRECTED {
            oracle.batch(|| families.directed(family))?;
        }
    }
    for _ in 0..BATCHES {
        oracle.batch(|| families.case())?;
    }
    let findings = oracle.findings();
    println!("seed {seed}: {findings:#?}");
    let differences = &findings.differences;
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    // The stack alone would have delivered something of each family that must not be.
    let kept_out = |family| {
        findings
            .families
            .get(family)
            .map_or(0, |counts| counts.kept_out)
    };
    for (family, _) in FAMILIES {
        // Of source routes only a credulous stack takes any.
        let any = family != "source-route" || stack == Stack::Credulous;
        ensure!(
            !any || kept_out(family) > 0,
            "{family}: nothing was kept out"
        );
    }
    let admitted: u64 = findings
        .families
        .values()
        .map(|counts| counts.admitted)
        .sum();
    ensure!(admitted > 1000, "{admitted} deliveries were admitted");
    Ok(())
}

#[test]
fn with_a_usual_stack() -> Result<()> {
    agree(Stack::Usual)
}

#[test]
fn with_a_credulous_stack() -> Result<()> {
    agree(Stack::Credulous)
}
