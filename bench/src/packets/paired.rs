//! Compares two builds of the kernel object in one process, over the same tables. Measuring them in
//! turns shows differences that are smaller than the machine's noise.

mod contest;
mod pair;
mod report;
mod selection;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::unistd::Pid;

use crate::machine::{last_core, pin, private_bpf_file_system};
use crate::packets::driver::{Driver, Kind as DriverKind};
use crate::packets::policy::Known;
use crate::packets::rounds::driver_of;
use crate::progress::Elimination;
use contest::Contest;
use pair::Pair;
use report::Compared;

pub use pair::Objects;
pub use report::{PairedReport, Verdict};
pub use selection::{Selection, USUAL};

/// Rounds that are measured even if the time is over.
const LEAST_ROUNDS: u32 = 8;

/// What is compared, and how.
#[derive(Debug)]
pub struct Options<'a> {
    /// The object with the driver.
    pub driver: &'a Path,
    /// The kernel objects.
    pub objects: &'a Objects,
    /// Numbers of addresses per IP version.
    pub counts: &'a [u32],
    /// Kinds of packets.
    pub selection: &'a Selection,
    /// Most rounds of a case.
    pub rounds: u32,
    /// No round begins after this time.
    pub time: Duration,
    /// Largest increase of a packet's cost that is accepted, ns.
    pub limit_ns: f64,
}

/// Measures each case until it is clear whether it has become slower, or until rounds or time run
/// out.
pub fn compare(options: &Options<'_>) -> Result<Vec<Compared>> {
    private_bpf_file_system()?;
    pin(Pid::from_raw(0), last_core()?)?;
    let kinds = [DriverKind::Frags, DriverKind::Out].into_iter();
    let drivers = kinds.map(|kind| Driver::load(options.driver, kind));
    let mut drivers = drivers.collect::<Result<Vec<_>>>()?;
    let pairs = pairs(options)?;
    let mut contests: Vec<_> = pairs
        .iter()
        .flat_map(|pair| Contest::all(pair, options.selection))
        .collect();
    ensure!(
        !contests.is_empty(),
        "no policy of these sizes has such packets"
    );
    eprintln!("Checking the verdicts of {} cases ...", contests.len());
    for contest in &mut contests {
        let driver = driver_of(&mut drivers, contest.driver())?;
        contest.check(driver).with_context(|| contest.describe())?;
    }
    let mut progress = Elimination::new(options.rounds);
    let started = Instant::now();
    for round in 1..=options.rounds {
        let open = |contest: &&mut Contest<'_>| !contest.is_decided(options.limit_ns);
        let mut undecided: Vec<_> = contests.iter_mut().filter(open).collect();
        let late = round > LEAST_ROUNDS && started.elapsed() > options.time;
        if undecided.is_empty() || late {
            break;
        }
        progress.round(round, undecided.len());
        for contest in &mut undecided {
            let driver = driver_of(&mut drivers, contest.driver())?;
            contest.round(driver).with_context(|| contest.describe())?;
        }
    }
    progress.end();
    let contests = contests.iter();
    contests
        .map(|contest| contest.conclude(options.limit_ns))
        .collect()
}

/// The programs of both builds, for every policy with a selected case.
fn pairs(options: &Options<'_>) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for &count in options.counts {
        eprintln!("Filling tables with {count} addresses per IP version ...");
        for known in Known::ALL {
            let mut cases = known.cases().iter();
            let selected = cases.find(|&&(kind, sources)| options.selection.has(kind, sources));
            if let Some(&(kind, _)) = selected
                && known.is_measured(count)
            {
                pairs.push(Pair::load(known, count, kind, options.objects)?);
            }
        }
    }
    Ok(pairs)
}
