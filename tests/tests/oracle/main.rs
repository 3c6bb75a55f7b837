//! What the network stack would deliver and the policy does not permit is not delivered behind the
//! programs; what the policy permits is.
//!
//! `cargo xtask fuzz --target oracle` sends as many frames as one likes, and repeats a run by its
//! seed.

use anyhow::{Result, ensure};
use harness::differential::policies;
use harness::oracle::Oracle;
use harness::oracle::families::FAMILIES;
use harness::oracle::scene::{Scene, Stack};

/// Batches of frames of the grammar.
const BATCHES: usize = 300;
/// Batches of each directed family.
const DIRECTED: usize = 25;

fn agree(stack: Stack) -> Result<()> {
    let scene = Scene::new(stack)?;
    let mut oracle = Oracle::new(&scene, &policies::small_text())?;
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
