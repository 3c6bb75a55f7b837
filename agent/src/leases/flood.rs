//! Whether the port of enrolment is flooded: datagrams that the programs refuse before the agent sees them.

use std::time::{Duration, Instant};

/// So many refused datagrams a second are a flood. Endpoints that begin all at once cause some.
const FLOOD: u64 = 100;
/// How long a flood is told of after it was seen last.
const MEMORY: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Flood {
    /// When it was looked at last, and how many datagrams had been refused until then.
    last: Option<(Instant, u64)>,
    /// When there was a flood last, and of how many datagrams a second.
    seen: Option<(Instant, u64)>,
}

impl Flood {
    /// Notes that until `now` so many datagrams were `refused`.
    pub(super) fn look(&mut self, now: Instant, refused: u64) {
        if let Some((then, before)) = self.last.replace((now, refused)) {
            let passed = now.saturating_duration_since(then).as_millis().max(1) as u64;
            let rate = refused.saturating_sub(before).saturating_mul(1000) / passed;
            if rate >= FLOOD {
                self.seen = Some((now, rate));
            }
        }
    }

    /// What is wrong at `now`, if anything is.
    pub(super) fn problem(&self, now: Instant, port: u16) -> Option<String> {
        let (when, rate) = self.seen?;
        (now.saturating_duration_since(when) < MEMORY).then(|| {
            format!(
                "UDP port {port} is flooded: some {rate} datagrams a second that prove nothing are \
                 refused before the agent sees them. Leases in force go on, and so do the host's \
                 connections; new endpoints may have to try more than once. See from where: \
                 `tcpdump -eni INTERFACE udp dst port {port}`, and have the switch keep them out"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_until_a_while_after_it() {
        let mut flood = Flood::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        flood.look(after(0), 1_000_000);
        assert_eq!(flood.problem(after(0), 7443), None, "that was long ago");
        flood.look(after(5), 1_000_400);
        assert_eq!(flood.problem(after(5), 7443), None, "80 a second");
        flood.look(after(10), 1_010_400);
        let told = flood.problem(after(10), 7443).expect("a flood");
        assert!(told.contains("some 2000 datagrams"), "{told}");
        flood.look(after(15), 1_010_400);
        assert!(flood.problem(after(39), 7443).is_some());
        assert_eq!(flood.problem(after(40), 7443), None);
    }
}
