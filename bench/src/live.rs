//! What traffic experiences: packets through native XDP on a veth, connections through sockets.

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

/// Addresses that all are told to allow.
pub const ADDRESSES: u32 = 1000;

/// Packets of one flood.
const PACKETS: u32 = 3_000_000;

/// What becomes of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is from sources that nobody knows.
    Dropped,
    /// It is from allowed sources, and meets a socket.
    Passed,
}

/// What was measured, of those that take part.
#[derive(Debug, Serialize, Deserialize)]
pub struct Live {
    /// How often.
    pub rounds: u32,
    /// Addresses that are allowed.
    pub addresses: u32,
    /// Floods.
    pub floods: Vec<Rate>,
    /// Requests and responses of one byte each over one TCP connection.
    pub round_trips: Vec<Measure>,
    /// TCP as fast as it gets.
    pub throughput: Vec<Measure>,
}

/// Packets that one core takes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rate {
    /// Who filters.
    pub contender: Contender,
    /// What becomes of the packets.
    pub fate: Fate,
    /// Million packets a second.
    #[serde(flatten)]
    pub mpps: Spread,
    /// The same as a part of what the cheapest program takes in the same rounds; the median of the
    /// ratios.
    pub of_bare: f64,
}

/// A measurement of connections.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measure {
    /// Who filters.
    pub contender: Contender,
    /// Microseconds, or Gbit/s.
    #[serde(flatten)]
    pub value: Spread,
    /// The same as a part of what there is without a filter; the median of the ratios.
    pub of_unfiltered: f64,
}

/// Measures everything in so many rounds, in each of which all take their turn.
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

/// One value of each round.
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
    if let Some((_, list)) = values.iter_mut().find(|(who, _)| *who == contender) {
        list.push(value);
    } else {
        values.push((contender, vec![value]));
    }
}

/// Everyone's spread, with the median of its ratios to those of `floor` in the same rounds.
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
