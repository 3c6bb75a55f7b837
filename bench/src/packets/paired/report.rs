//! The result of a comparison of two builds.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::interval::Interval;
use crate::machine::Machine;
use crate::packets::family::Family;
use crate::words::grouped;

/// Confidence of the reported interval.
pub const CONFIDENCE: f64 = 0.95;

/// Two builds, compared.
#[derive(Debug, Serialize)]
pub struct PairedReport {
    /// The machine that measured.
    pub machine: Machine,
    /// The earlier revision, as it was named.
    pub revision: String,
    /// Its commit.
    pub commit: String,
    /// Largest increase of a packet's cost that is accepted, ns.
    pub limit_ns: f64,
    /// The kinds of packets.
    pub cases: Vec<Compared>,
}

/// One kind of packets.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// The kind.
    pub case: String,
    /// Number of addresses per IP version that are allowed.
    pub addresses: u32,
    /// The IP version.
    pub family: Family,
    /// How many rounds it took.
    pub rounds: usize,
    /// Nanoseconds per packet with the earlier build, driver included; the median of all rounds.
    pub base_ns: f64,
    /// Nanoseconds per packet with this build, driver included; the median of all rounds.
    pub now_ns: f64,
    /// How much more a packet costs with this build, ns: the mean of the differences within a
    /// round.
    pub difference_ns: Interval,
    /// Whether this build is slower.
    pub verdict: Verdict,
}

/// Whether a build is slower; the worst comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is not: the whole interval is below the limit.
    Within,
    /// The limit is within the interval.
    Unclear,
    /// It is: the whole interval is above the limit.
    Slower,
}

impl Verdict {
    /// The verdict of an interval about a limit.
    pub fn new(difference: Interval, limit: f64) -> Self {
        if difference.high < limit {
            Self::Within
        } else if difference.low > limit {
            Self::Slower
        } else {
            Self::Unclear
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Slower => "slower",
            Self::Unclear => "unclear",
        }
    }
}

impl PairedReport {
    /// What follows from all cases: the worst verdict.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.cases.iter().map(|case| case.verdict);
        verdicts.max().unwrap_or(Verdict::Unclear)
    }

    fn count(&self, verdict: Verdict) -> usize {
        let like = |case: &&Compared| case.verdict == verdict;
        self.cases.iter().filter(like).count()
    }
}

impl Display for PairedReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            machine,
            revision,
            commit,
            limit_ns,
            cases,
        } = self;
        writeln!(
            f,
            "\n{machine}\n\
             This source tree compared with {revision} ({commit}), ns per packet with what drives it:\n\
             medians of the rounds; the mean of the differences within a round, with its {:.0} % confidence\n\
             interval (paired t). within: the whole interval is below {limit_ns} ns; slower: the whole\n\
             interval is above.\n",
            CONFIDENCE * 100.0
        )?;
        writeln!(
            f,
            "{:21} {:>9}  family {:>8} {:>8} {:>11} {:>17} {:>7}",
            "packets", "addresses", "before", "now", "difference", "interval", "rounds"
        )?;
        for case in cases {
            writeln!(f, "{case}")?;
        }
        writeln!(
            f,
            "\n{} cases: {} within {limit_ns} ns, {} slower, {} unclear",
            cases.len(),
            self.count(Verdict::Within),
            self.count(Verdict::Slower),
            self.count(Verdict::Unclear)
        )?;
        if self.count(Verdict::Unclear) > 0 {
            writeln!(
                f,
                "For unclear cases, measure more rounds (--rounds, --minutes), or use a less busy machine."
            )?;
        }
        Ok(())
    }
}

impl Display for Compared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Interval { mean, low, high } = self.difference_ns;
        write!(
            f,
            "{:21} {:>9}  {:6} {:>8.1} {:>8.1} {mean:>+11.2} {:>17} {:>7}  {}",
            self.case,
            grouped(self.addresses),
            self.family.name(),
            self.base_ns,
            self.now_ns,
            format!("{low:+.2} to {high:+.2}"),
            self.rounds,
            self.verdict.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_to_leave_the_limit_out() {
        let verdict = |low, high| {
            let mean = f64::midpoint(low, high);
            Verdict::new(Interval { mean, low, high }, 2.0)
        };
        assert_eq!(verdict(-1.0, 1.9), Verdict::Within);
        assert_eq!(verdict(2.1, 5.0), Verdict::Slower);
        assert_eq!(verdict(1.9, 2.1), Verdict::Unclear);
        assert_eq!(verdict(1.0, 2.0), Verdict::Unclear);
    }

    #[test]
    fn a_slower_case_is_worse_than_an_unclear_one() {
        assert!(Verdict::Within < Verdict::Unclear);
        assert!(Verdict::Unclear < Verdict::Slower);
    }
}
