//! The results of live traffic, as tables.

use std::fmt::{self, Display, Formatter};

use super::{Fate, Live, Measure, Rate};

impl Display for Live {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            rounds, addresses, ..
        } = self;
        writeln!(
            f,
            "\nLive, {rounds} rounds, {addresses} addresses; packets of changing sources on one core"
        )?;
        for (fate, title, bare) in [
            (Fate::Dropped, "dropped", "of bare XDP_DROP"),
            (Fate::Passed, "passed to a socket", "of bare XDP_PASS"),
        ] {
            writeln!(f, "\n{title:26} {:>8} {:>8} {bare:>18}", "Mpps", "best ¼")?;
            for rate in self.floods.iter().filter(|rate| rate.fate == fate) {
                let Rate {
                    contender, mpps, ..
                } = rate;
                writeln!(
                    f,
                    "{:26} {:>8.2} {:>8.2} {:>17.0}%",
                    contender.name(),
                    mpps.median,
                    mpps.high_quartile,
                    rate.of_bare * 100.0
                )?;
            }
        }
        measures(f, "request and response, µs", &self.round_trips)?;
        measures(f, "iperf3, Gbit/s", &self.throughput)
    }
}

fn measures(f: &mut Formatter<'_>, title: &str, measures: &[Measure]) -> fmt::Result {
    writeln!(f, "\n{title:26} {:>8} {:>27}", "median", "of no filter")?;
    for measure in measures {
        writeln!(
            f,
            "{:26} {:>8.2} {:>26.0}%",
            measure.contender.name(),
            measure.value.median,
            measure.of_unfiltered * 100.0
        )?;
    }
    Ok(())
}
