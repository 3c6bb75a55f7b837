//! The decision on the host against the programs in the kernel, about generated frames in both
//! directions.
//!
//! Frames come from a grammar, so that most reach the depths of the decision, and half of them are
//! damaged. The same policy and seed always give the same frames.

pub mod grammar;
pub(crate) mod mutation;
pub mod policies;
pub mod reversal;
mod values;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use manoward::explain::to_hex;
use manoward::policy::Policy;

use crate::judge::{Judges, Pooled, facts};
use grammar::Grammar;
use reversal::reversed;

/// Frames after which the flow tables are cleared.
const FRAMES_UNTIL_CLEARED: u64 = 250;

/// A comparison under one policy.
pub struct Comparison {
    judges: Pooled,
    grammar: Grammar,
    seed: u64,
    frames: u64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Comparison {
    /// Puts `policy` in force; `seed` decides which frames are compared.
    pub fn new(policy: &Policy, seed: u64) -> Result<Self> {
        Ok(Self {
            judges: Judges::with(policy, &facts())?,
            grammar: Grammar::new(policy, seed),
            seed,
            frames: 0,
            reasons: BTreeMap::new(),
        })
    }

    /// Compares the verdicts on the next frame: on ingress, reversed on egress, and on ingress
    /// again. Fails if host and kernel differ.
    pub fn frame(&mut self) -> Result<()> {
        // A full table evicts the oldest flow, and host and kernel read their clocks at different
        // times. So the tables must not fill up.
        if self.frames.is_multiple_of(FRAMES_UNTIL_CLEARED) {
            self.judges.forget_flows()?;
        }
        let frame = self.grammar.frame();
        let (index, seed) = (self.frames, self.seed);
        let context = || format!("frame {index} of seed {seed}: {}", to_hex(&frame));
        let judges = &mut self.judges;
        // On egress it may open the flow that it then belongs to on ingress.
        let before = judges.outcome(&frame).with_context(context)?;
        let out = judges
            .outcome_out(&reversed(&frame))
            .with_context(context)?;
        let after = judges.outcome(&frame).with_context(context)?;
        for outcome in [before, out, after] {
            *self.reasons.entry(outcome.reason().name()).or_default() += 1;
        }
        self.frames += 1;
        Ok(())
    }

    /// Frames so far.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// How often each reason was given, by its name.
    #[must_use]
    pub const fn reasons(&self) -> &BTreeMap<&'static str, u64> {
        &self.reasons
    }
}
