//! The time to wait before the next attempt.

use std::time::Duration;

/// Longest first wait.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait.
const LONGEST: Duration = Duration::from_mins(1);
/// Shortest wait, so that immediate failures do not become a busy loop.
const SHORTEST: Duration = Duration::from_millis(50);

/// Exponential back-off with full jitter, so that thousands of endpoints do not come back at the
/// same time.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let longest = self.longest();
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(fastrand::f64()).max(SHORTEST)
    }

    /// The wait after the session was replaced by another holder of the same identity: long, 30 to
    /// 60 seconds.
    pub(super) fn give_way() -> Duration {
        LONGEST / 2 + within(LONGEST / 2)
    }

    /// Starts over, after a success.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    fn longest(&self) -> Duration {
        FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST)
    }
}

/// A random duration shorter than `span`.
pub(super) fn within(span: Duration) -> Duration {
    span.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_start_over() {
        let mut backoff = Backoff::default();
        let longest: Vec<_> = (0..8)
            .map(|_| {
                let longest = backoff.longest();
                let wait = backoff.next();
                assert!((SHORTEST..=longest).contains(&wait), "{wait:?}");
                longest.as_secs()
            })
            .collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.longest(), FIRST);
    }

    #[test]
    fn who_gives_way_does_not_come_back_soon() {
        for _ in 0..100 {
            assert!((LONGEST / 2..=LONGEST).contains(&Backoff::give_way()));
        }
    }
}
