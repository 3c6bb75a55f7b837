//! Summaries of many rounds.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Nanoseconds per packet over all rounds.
///
/// Disturbances only make a round slower. So the low quartile is the cost of the program, and the
/// distance from there to the median shows how much the machine was disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// How much the machine was disturbed.
    pub const fn disturbance(self) -> u32 {
        self.median_ns - self.low_quartile_ns
    }
}

/// Any measure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// A quarter of the rounds were at most this.
    pub low_quartile: f64,
    /// Half of the rounds were at most this.
    pub median: f64,
    /// A quarter of the rounds were at least this.
    pub high_quartile: f64,
}

impl Spread {
    /// Sums up the rounds.
    pub fn new(mut rounds: Vec<f64>) -> Result<Self> {
        ensure!(!rounds.is_empty(), "nothing was measured");
        rounds.sort_unstable_by(f64::total_cmp);
        let last = rounds.len() - 1;
        Ok(Self {
            low_quartile: rounds[last / 4],
            median: rounds[last / 2],
            high_quartile: rounds[last - last / 4],
        })
    }
}

/// The median of the values. `NaN` for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 900.0]) - 3.0).abs() < 1e-9);
        assert!((median(vec![900.0, 2.0, 1.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn one_slow_round_changes_nothing() {
        let summary = Summary::new(vec![31, 30, 900, 30, 32]).expect("there are rounds");
        assert_eq!(summary.low_quartile_ns, 30);
        assert_eq!(summary.median_ns, 31);
        assert!(Summary::new(Vec::new()).is_err());
    }
}
