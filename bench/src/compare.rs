//! What has changed since an earlier result.

use std::fmt::{self, Display, Formatter};

use crate::report::Report;
use crate::words::grouped;

/// Changes of a packet's cost up to this are noise, ns; the larger disturbance of the two
/// measurements is added.
const NOISE_NS: u32 = 2;
/// Relative changes of anything else up to this are noise.
const NOISE: f64 = 0.05;

/// Two results, the earlier one first.
pub struct Comparison<'a> {
    /// The earlier result.
    pub base: &'a Report,
    /// The later one.
    pub now: &'a Report,
}

impl Display for Comparison<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (base, now) = (&self.base.machine, &self.now.machine);
        if (&base.processor, &base.kernel) != (&now.processor, &now.kernel) {
            writeln!(f, "\nThe earlier result comes from another machine: {base}")?;
        }
        let rows = rows(self.base, self.now);
        let changed: Vec<_> = rows.iter().filter(|row| row.is_change()).collect();
        writeln!(
            f,
            "\nOf {} values in both results {} have changed by more than noise ({NOISE_NS} ns of a \
             packet plus the distance from its quartile to its median, {:.0} % of anything else)",
            rows.len(),
            changed.len(),
            NOISE * 100.0
        )?;
        for row in changed {
            writeln!(
                f,
                "{:60} {:>9.2} {:>9.2} {:>+8.0}%",
                row.what,
                row.base,
                row.now,
                row.change() * 100.0
            )?;
        }
        Ok(())
    }
}

struct Row {
    what: String,
    base: f64,
    now: f64,
    noise: f64,
}

impl Row {
    fn new(what: String, base: f64, now: f64) -> Self {
        let noise = base.abs() * NOISE;
        Self {
            what,
            base,
            now,
            noise,
        }
    }

    fn is_change(&self) -> bool {
        (self.now - self.base).abs() > self.noise
    }

    fn change(&self) -> f64 {
        self.now / self.base - 1.0
    }
}

fn rows(base: &Report, now: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    if let (Some(base), Some(now)) = (&base.packets, &now.packets) {
        for case in &now.cases {
            let earlier = base.cases.iter().find(|earlier| case.is_like(earlier));
            rows.extend(earlier.map(|earlier| Row {
                what: format!(
                    "{}, {} addresses, {} {}, ns above bare",
                    case.program,
                    grouped(case.addresses),
                    case.family.name(),
                    case.name()
                ),
                base: earlier.above_bare_ns.into(),
                now: case.above_bare_ns.into(),
                noise: f64::from(NOISE_NS + case.ns.disturbance().max(earlier.ns.disturbance())),
            }));
        }
    }
    if let (Some(base), Some(now)) = (&base.live, &now.live) {
        for rate in &now.floods {
            let mut earlier = base.floods.iter();
            let earlier = earlier
                .find(|earlier| (earlier.contender, earlier.fate) == (rate.contender, rate.fate));
            let what = format!("{}, {:?}, part of bare", rate.contender.name(), rate.fate);
            rows.extend(earlier.map(|earlier| Row::new(what, earlier.of_bare, rate.of_bare)));
        }
        for (what, base, now) in [
            ("round trip", &base.round_trips, &now.round_trips),
            ("throughput", &base.throughput, &now.throughput),
        ] {
            for measure in now {
                let mut earlier = base.iter();
                let earlier = earlier.find(|earlier| earlier.contender == measure.contender);
                let what = format!("{}, {what}, part of unfiltered", measure.contender.name());
                rows.extend(
                    earlier.map(|earlier| {
                        Row::new(what, earlier.of_unfiltered, measure.of_unfiltered)
                    }),
                );
            }
        }
    }
    if let (Some(base), Some(now)) = (&base.agent, &now.agent) {
        for policy in &now.policies {
            let mut earlier = base.policies.iter();
            let Some(earlier) = earlier.find(|earlier| earlier.addresses == policy.addresses)
            else {
                continue;
            };
            for (what, base, now) in [
                ("start, s", earlier.start_s, policy.start_s),
                ("apply, s", earlier.apply_s, policy.apply_s),
                ("agent, MiB", earlier.agent_mib, policy.agent_mib),
                ("maps, MiB", earlier.maps_mib, policy.maps_mib),
            ] {
                let what = format!("{} addresses, {what}", grouped(policy.addresses));
                rows.push(Row::new(what, base, now));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_change() {
        assert!(!Row::new(String::new(), 100.0, 104.0).is_change());
        let slower = Row::new(String::new(), 100.0, 110.0);
        assert!(slower.is_change());
        assert!((slower.change() - 0.1).abs() < 1e-9);
    }
}
