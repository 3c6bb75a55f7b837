//! Live traffic: packets through native XDP on a veth, connections through sockets.

mod contender;
mod exchange;
mod flood;
mod scene;
mod table;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use contender::Contender;
pub use flood::Flood;
pub use scene::{RECEIVER_V4, Scene};

use crate::progress::Progress;
use crate::statistics::Spread;
use contender::Guard;

/// Addresses that every contender is configured to allow.
pub const ADDRESSES: u32 = 1000;

/// Packets of one flood.
const PACKETS: u32 = 3_000_000;

/// What becomes of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It comes from sources that are not allowed.
    Dropped,
    /// It comes from allowed sources, and reaches a socket.
    Passed,
}

/// The results of all contenders.
#[derive(Debug, Serialize, Deserialize)]
pub struct Live {
    /// Number of rounds.
    pub rounds: u32,
    /// Addresses that are allowed.
    pub addresses: u32,
    /// Floods.
    pub floods: Vec<Rate>,
    /// Requests and responses of one byte each over one TCP connection.
    pub round_trips: Vec<Measure>,
    /// TCP throughput.
    pub throughput: Vec<Measure>,
}

/// A packet rate on one core.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rate {
    /// The filter.
    pub contender: Contender,
    /// What becomes of the packets.
    pub fate: Fate,
    /// Million packets a second.
    #[serde(flatten)]
    pub mpps: Spread,
    /// Ratio to the bare program's rate in the same round; the median over the rounds.
    pub of_bare: f64,
}

/// A measurement of connections.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measure {
    /// The filter.
    pub contender: Contender,
    /// Microseconds, or Gbit/s.
    #[serde(flatten)]
    pub value: Spread,
    /// Ratio to the value without a filter in the same round; the median over the rounds.
    pub of_unfiltered: f64,
}

/// Measures `rounds` rounds; in each, every contender takes its turn. `peers` adds other filters.
pub fn measure(driver: &Path, rounds: u32, peers: bool) -> Result<Live> {
    let contenders = Contender::all(peers);
    eprintln!("Building {} scenes for live traffic ...", contenders.len());
    let scenes = contenders
        .iter()
        .map(|&contender| Scene::new(contender))
        .collect::<Result<Vec<_>>>()?;
    let mut guards = Vec::new();
    for scene in &scenes {
        let guard = Guard::start(scene, driver);
        guards.push(guard.with_context(|| scene.contender.name().to_owned())?);
    }
    let mut flood = Flood::load(driver)?;
    let mut samples = Samples::default();
    let progress = Progress::new(rounds);
    for round in 1..=rounds {
        progress.round(round);
        for scene in &scenes {
            samples.take(scene, &mut flood)?;
        }
    }
    samples.conclude(rounds)
}

/// For each contender, one value per round.
type Values = Vec<(Contender, Vec<f64>)>;

#[derive(Default)]
struct Samples {
    dropped: Values,
    passed: Values,
    round_trips: Values,
    throughput: Values,
}

impl Samples {
    fn take(&mut self, scene: &Scene, flood: &mut Flood) -> Result<()> {
        let contender = scene.contender;
        let name = contender.name();
        for fate in contender.fates() {
            let mpps = flood.run(scene, *fate, PACKETS);
            let mpps = mpps.with_context(|| format!("{name}, {fate:?}"))?;
            let values = match fate {
                Fate::Dropped => &mut self.dropped,
                Fate::Passed => &mut self.passed,
            };
            push(values, contender, mpps);
        }
        if contender.connects() {
            let time = exchange::round_trip(scene).with_context(|| format!("{name}: round trip"));
            push(&mut self.round_trips, contender, time?);
            let rate = exchange::throughput(scene).with_context(|| format!("{name}: iperf3"));
            push(&mut self.throughput, contender, rate?);
        }
        Ok(())
    }

    fn conclude(&self, rounds: u32) -> Result<Live> {
        let rates = |values: &Values, floor, fate| {
            let rate = move |(contender, ratio, mpps): (_, _, _)| Rate {
                contender,
                fate,
                mpps,
                of_bare: ratio,
            };
            Ok::<_, anyhow::Error>(compared(values, floor)?.into_iter().map(rate))
        };
        let measures = |values: &Values| {
            let measure = |(contender, ratio, value): (_, _, _)| Measure {
                contender,
                value,
                of_unfiltered: ratio,
            };
            let compared = compared(values, Contender::Unfiltered)?;
            Ok::<_, anyhow::Error>(compared.into_iter().map(measure).collect())
        };
        let dropped = rates(&self.dropped, Contender::BareDrop, Fate::Dropped)?;
        let passed = rates(&self.passed, Contender::BarePass, Fate::Passed)?;
        Ok(Live {
            rounds,
            addresses: ADDRESSES,
            floods: dropped.chain(passed).collect(),
            round_trips: measures(&self.round_trips)?,
            throughput: measures(&self.throughput)?,
        })
    }
}

fn push(values: &mut Values, contender: Contender, value: f64) {
    if let Some((_, list)) = values.iter_mut().find(|(known, _)| *known == contender) {
        list.push(value);
    } else {
        values.push((contender, vec![value]));
    }
}

/// For each contender: the median of its ratios to `floor` in the same rounds, and its spread.
fn compared(values: &Values, floor: Contender) -> Result<Vec<(Contender, f64, Spread)>> {
    let mut found = values.iter();
    let (_, floor) = found
        .find(|(contender, _)| *contender == floor)
        .context("there is nothing to compare with")?;
    let compare = |(contender, list): &(Contender, Vec<f64>)| {
        let ratios = list.iter().zip(floor).map(|(value, floor)| value / floor);
        Ok((
            *contender,
            Spread::new(ratios.collect())?.median,
            Spread::new(list.clone())?,
        ))
    };
    values.iter().map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_rounds() {
        let values = vec![
            (Contender::BareDrop, vec![10.0, 5.0, 2.0]),
            (Contender::Manoward, vec![9.0, 4.5, 1.8]),
        ];
        let compared = compared(&values, Contender::BareDrop).unwrap();
        assert!((compared[1].1 - 0.9).abs() < 1e-9);
        assert!((compared[1].2.median - 4.5).abs() < 1e-9);
        assert!(super::compared(&values, Contender::BarePass).is_err());
    }
}
