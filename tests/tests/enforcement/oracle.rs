//! Of what the network stack would deliver, the programs drop what the policy does not permit, and
//! pass what it permits.
//!
//! `cargo xtask fuzz --target oracle` sends any number of frames, and repeats a run by its seed.

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
    // Of each family the stack alone delivered something that is not permitted.
    let kept_out = |family| {
        findings
            .families
            .get(family)
            .map_or(0, |counts| counts.kept_out)
    };
    for (family, _) in FAMILIES {
        // Only a permissive stack accepts source routes.
        let any = family != "source-route" || stack == Stack::Permissive;
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
fn with_a_permissive_stack() -> Result<()> {
    agree(Stack::Permissive)
}
