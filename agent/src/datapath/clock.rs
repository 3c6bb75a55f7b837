//! The kernel's jiffies rate, and the clock of leases. A program reads jiffies without a helper
//! call.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    thread,
    time::Duration,
};

use verdict::{layout::FlowControl, state::clock::TICK_SHIFT};

/// Jiffies per second that kernels can be configured with (`kernel/Kconfig.hz`).
const RATES: [u32; 9] = [100, 128, 200, 250, 256, 300, 500, 1000, 1024];

/// The kernel's count starts 300 seconds before this value, where 32 bits overflow, so that code
/// which cannot handle that fails soon (`INITIAL_JIFFIES`, linux/jiffies.h).
const WRAP: i128 = 1 << 32;

/// Interval between two readings, long enough to tell candidate rates apart.
const SECOND_READING: Duration = Duration::from_secs(1);

/// Largest difference between jiffies and the monotonic clock, ns: they do not start at the same
/// time.
const TOLERANCE: i128 = 1_000_000_000;

/// Jiffies per second of this kernel; `None` if it does not show them in `/proc/timer_list`. May
/// sleep for a second.
#[must_use]
pub fn jiffies_per_second() -> Option<u32> {
    let first = Reading::take()?;
    match first.rates()[..] {
        [] => None,
        [rate] => Some(rate),
        // About 300 seconds after the start, several rates fit one reading: a second one is needed.
        ref rates => {
            thread::sleep(SECOND_READING);
            Reading::take()?.rate_since(first, rates)
        }
    }
}

/// Count of jiffies when the monotonic clock starts.
#[must_use]
pub const fn initial_jiffies(per_second: u32) -> u64 {
    WRAP as u64 - 300 * per_second as u64
}

/// Nanoseconds per jiffy, rounded as in the kernel (`TICK_NSEC`, linux/jiffies.h).
#[must_use]
pub const fn jiffy_nanoseconds(per_second: u32) -> u64 {
    let per_second = per_second as u64;
    (1_000_000_000 + per_second / 2) / per_second
}

/// The clock that the expiry of leases is measured by: jiffies if their rate is known, otherwise
/// ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeaseClock {
    /// Its value when the monotonic clock starts.
    start: u64,
    /// Nanoseconds per step.
    step: u64,
}

impl LeaseClock {
    /// The clock that programs with this `control` record use.
    #[must_use]
    pub const fn of(control: &FlowControl) -> Self {
        match control.jiffies_per_second {
            0 => Self {
                start: 0,
                step: 1 << TICK_SHIFT,
            },
            rate => Self {
                start: initial_jiffies(rate),
                step: jiffy_nanoseconds(rate),
            },
        }
    }

    /// Its value at the time `monotonic` of the monotonic clock.
    #[must_use]
    pub const fn at(self, monotonic: Duration) -> u64 {
        self.start + monotonic.as_nanos() as u64 / self.step
    }

    /// Steps after which at least `term` has passed: one more than it takes, as the current step
    /// has begun already.
    #[must_use]
    pub const fn steps(self, term: Duration) -> u64 {
        (term.as_nanos() as u64).div_ceil(self.step) + 1
    }

    /// Duration of `steps` steps.
    #[must_use]
    pub const fn duration(self, steps: u64) -> Duration {
        Duration::from_nanos(steps.saturating_mul(self.step))
    }
}

/// The values of two clocks at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Reading {
    /// The monotonic clock, ns.
    now: i128,
    jiffies: i128,
}

impl Reading {
    fn take() -> Option<Self> {
        Self::parse(BufReader::new(File::open("/proc/timer_list").ok()?))
    }

    /// Reads `list`, the text of `/proc/timer_list`.
    fn parse(list: impl BufRead) -> Option<Self> {
        let mut now = None;
        for line in list.lines() {
            let line = line.ok()?;
            if let Some(rest) = line.strip_prefix("now at ") {
                now = rest.split(' ').next()?.parse().ok();
            } else if let Some(jiffies) = line.strip_prefix("jiffies: ") {
                let jiffies = jiffies.parse().ok()?;
                return Some(Self { now: now?, jiffies });
            }
        }
        None
    }

    /// The rates that fit this reading.
    fn rates(self) -> Vec<u32> {
        let fits = |&rate: &u32| {
            let rate = i128::from(rate);
            let then = (self.jiffies - WRAP) * 1_000_000_000 / rate + 300 * 1_000_000_000;
            (then - self.now).abs() < TOLERANCE
        };
        RATES.into_iter().filter(fits).collect()
    }

    /// The one of `rates` that fits the time since the reading `before`.
    fn rate_since(self, before: Self, rates: &[u32]) -> Option<u32> {
        let time = self.now - before.now;
        let count = (self.jiffies - before.jiffies) * 1_000_000_000;
        // Any two rates differ by more than two percent.
        let fits = |&rate: &u32| {
            let expected = i128::from(rate) * time;
            (count - expected).abs() * 100 < expected
        };
        rates.iter().copied().find(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "Timer List Version: v0.10\nHRTIMER_MAX_CLOCK_BASES: 8\n\
        now at 30082575963889 nsecs\n\ncpu: 0\nactive timers:\n #0: <0>, tick, S:01\n\
        jiffies: 4302412904\n";

    #[test]
    fn the_list_of_timers_is_read() {
        let reading = Reading::parse(LIST.as_bytes()).expect("both clocks");
        assert_eq!(reading.rates(), [250]);
        assert_eq!(Reading::parse(&LIST.as_bytes()[..80]), None);
        assert_eq!(Reading::parse("jiffies: 1\n".as_bytes()), None);
    }

    /// A reading `seconds` after the start.
    fn reading(rate: u32, seconds: i128) -> Reading {
        Reading {
            now: seconds * 1_000_000_000 + 144_000_000,
            jiffies: i128::from(initial_jiffies(rate)) + seconds * i128::from(rate),
        }
    }

    #[test]
    fn every_rate_is_found_at_any_time() {
        for wanted in RATES {
            for seconds in [
                1,
                100,
                200,
                280,
                299,
                300,
                301,
                400,
                1000,
                1_000_000,
                100_000_000,
            ] {
                let first = reading(wanted, seconds);
                let mut rates = first.rates();
                if (290..310).contains(&seconds) {
                    assert!(rates.len() > 1, "they are alike then");
                }
                if rates.len() > 1 {
                    let mut second = reading(wanted, seconds + 1);
                    // The clocks are not read at quite the same time.
                    second.now += 3_000_000;
                    rates = Vec::from_iter(second.rate_since(first, &rates));
                }
                assert_eq!(rates, [wanted], "after {seconds} s");
            }
        }
    }

    #[test]
    fn another_rate_is_not_recognised() {
        let (first, second) = (reading(250, 300), reading(250, 301));
        assert_eq!(second.rate_since(first, &[100, 300, 1000]), None);
        assert_eq!(first.rate_since(first, &RATES), None);
    }

    #[test]
    fn leases_end_when_their_term_is_over() {
        for jiffies_per_second in [0, 100, 250, 300, 1000] {
            let clock = LeaseClock::of(&FlowControl {
                jiffies_per_second,
                ..FlowControl::default()
            });
            let now = Duration::from_hours(24_000);
            let term = Duration::from_mins(1);
            let until = clock.at(now) + clock.steps(term);
            assert!(until > clock.at(now + term), "{clock:?}: not before");
            let late = Duration::from_millis(600);
            assert!(
                until <= clock.at(now + term + late),
                "{clock:?}: soon after"
            );
            let left = clock.duration(until - clock.at(now));
            assert!(left >= term && left < term + late, "{clock:?}: {left:?}");
            assert!(until < 1 << 48);
        }
    }

    #[test]
    fn this_kernel_shows_its_rate() {
        if File::open("/proc/timer_list").is_ok() {
            assert!(jiffies_per_second().is_some());
        }
    }
}
