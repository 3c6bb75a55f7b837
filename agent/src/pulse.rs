//! Whether the parts of the agent that go on and on still do.
//!
//! Each part beats while it goes on. The service manager is told that the agent is well
//! (`WatchdogSec` of the unit) only while all have beaten lately; otherwise it starts the agent anew.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sd_notify::NotifyState;
use tracing::error;

/// The pulse of one part.
#[derive(Clone, Debug)]
pub struct Pulse {
    name: &'static str,
    start: Instant,
    /// Milliseconds from `start` to the last beat.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// How often a part beats at least, while nothing keeps it from going on.
    pub const BEAT: Duration = Duration::from_secs(2);

    fn new(name: &'static str) -> Self {
        Self {
            name,
            start: Instant::now(),
            last: Arc::default(),
        }
    }

    /// The part goes on.
    pub fn beat(&self) {
        let since = self.start.elapsed().as_millis() as u64;
        self.last.store(since, Ordering::Relaxed);
    }

    /// Time since the last beat.
    fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }
}

/// The pulses of all parts.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<Vec<Pulse>>>);

impl Pulses {
    /// A pulse for the part `name`, which beats from now on.
    #[must_use]
    pub fn part(&self, name: &'static str) -> Pulse {
        let pulse = Pulse::new(name);
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(pulse.clone());
        pulse
    }

    /// A part that has not beaten for `most`.
    fn silent(&self, most: Duration) -> Option<&'static str> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = parts.iter().find(|part| part.silence() > most);
        silent.map(|part| part.name)
    }

    /// Tells the service manager that the agent is well as long as it is; for ever. Where the service
    /// manager does not ask, nobody is told.
    pub async fn tell(self) {
        let Some(most) = sd_notify::watchdog_enabled() else {
            return std::future::pending().await;
        };
        // What is told must not come late itself: `sd_watchdog_enabled(3)` says half of the time.
        let mut tick = tokio::time::interval(most / 3);
        let mut told = None;
        loop {
            tick.tick().await;
            let silent = self.silent(most);
            match silent {
                None => {
                    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                }
                Some(part) if told != silent => {
                    error!(
                        part,
                        "does not go on: the service manager is to start the agent anew"
                    );
                }
                Some(_) => {}
            }
            told = silent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_does_not_beat_is_named() {
        let pulses = Pulses::default();
        let [one, other] = ["one", "other"].map(|name| pulses.part(name));
        let most = Duration::from_millis(50);
        assert_eq!(pulses.silent(most), None);
        std::thread::sleep(2 * most);
        one.beat();
        assert_eq!(pulses.silent(most), Some("other"));
        other.beat();
        assert_eq!(pulses.silent(most), None);
    }
}
