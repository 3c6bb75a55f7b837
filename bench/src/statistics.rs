//! Times of many rounds in two numbers.

use anyhow::{Result, ensure};
use serde::Serialize;

/// Nanoseconds per packet over all rounds.
///
/// What disturbs a round only ever makes it slower, so the low quartile says what a program costs
/// and the median how much the machine was disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// A quarter of the rounds were as fast or faster.
    pub low_quartile_ns: u32,
    /// Half of the rounds were as fast or faster.
    pub median_ns: u32,
}

impl Summary {
    /// Sums up the rounds.
    pub fn new(mut rounds: Vec<u32>) -> Result<Self> {
        ensure!(!rounds.is_empty(), "nothing was measured");
        rounds.sort_unstable();
        let last = rounds.len() - 1;
        Ok(Self {
            low_quartile_ns: rounds[last / 4],
            median_ns: rounds[last / 2],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_round_changes_nothing() {
        let summary = Summary::new(vec![31, 30, 900, 30, 32]).expect("there are rounds");
        assert_eq!(summary.low_quartile_ns, 30);
        assert_eq!(summary.median_ns, 31);
        assert!(Summary::new(Vec::new()).is_err());
    }
}
