//! Reading the counters that the programs keep.

use aya::maps::{MapData, MapError, PerCpuArray, PerCpuValues};
use thiserror::Error;
use verdict::{
    counters::{Count, Direction, EndpointCount, Fates, VERDICT_CELLS, of_cell},
    decision::exempt::EXEMPT,
    reason::{Outcome, Reason},
};

use super::{
    LoadError, Pins,
    maps::{EndpointValue, VerdictValue, name},
    pinned::pinned_map,
};

/// Why counters cannot be read or cleared.
#[derive(Debug, Error)]
pub enum CounterError {
    /// The map cannot be opened.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel refused.
    #[error("cannot {operation} counters: {source}")]
    Map {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: MapError,
    },
}

/// Where packets were judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// At an interface.
    Wire,
    /// At the sockets.
    Door,
}

/// A verdict counter, summed over all CPUs.
#[derive(Clone, Copy, Debug)]
pub struct VerdictCounter {
    /// Where they were judged.
    pub place: Place,
    /// Direction of the packets.
    pub direction: Direction,
    /// The rule, reason and mode that are counted; the endpoint in it is 0.
    pub outcome: Outcome,
    /// How many.
    pub count: Count,
}

/// An endpoint counter, summed over all CPUs.
#[derive(Clone, Copy, Debug)]
pub struct EndpointCounter {
    /// Number of the endpoint.
    pub endpoint: u32,
    /// How many.
    pub count: EndpointCount,
}

/// The counters, opened from their pins.
pub struct Counters {
    verdicts: PerCpuArray<MapData, VerdictValue>,
    door: PerCpuArray<MapData, VerdictValue>,
    endpoints: PerCpuArray<MapData, EndpointValue>,
}

impl Counters {
    /// Opens the counters pinned under `pins`.
    pub fn open(pins: &Pins) -> Result<Self, CounterError> {
        let open = |name| pinned_map(pins, name).map(aya::maps::Map::PerCpuArray);
        Ok(Self {
            verdicts: open(name::VERDICTS)?.try_into().map_err(failed("open"))?,
            door: open(name::DOOR_VERDICTS)?
                .try_into()
                .map_err(failed("open"))?,
            endpoints: open(name::ENDPOINTS)?.try_into().map_err(failed("open"))?,
        })
    }

    /// The counters of `rules` that are not zero. Rule 0 stands for packets that no rule governs.
    pub fn verdicts(
        &self,
        rules: impl Iterator<Item = u16>,
    ) -> Result<Vec<VerdictCounter>, CounterError> {
        let mut counters = Vec::new();
        for cell in rules.flat_map(cells) {
            let Some((direction, rule, audited, reason)) = of_cell(cell) else {
                continue;
            };
            for (place, map) in [(Place::Wire, &self.verdicts), (Place::Door, &self.door)] {
                let values = map.get(&cell, 0).map_err(failed("read"))?;
                let count = values
                    .iter()
                    .fold(Count::default(), |sum, value| add(sum, value.0));
                if count.packets != 0 {
                    let outcome = Outcome::new(reason, audited, rule, 0);
                    counters.push(VerdictCounter {
                        place,
                        direction,
                        outcome,
                        count,
                    });
                }
            }
        }
        Ok(counters)
    }

    /// Packets in that an exemption has let pass.
    pub fn exempted(&self) -> Result<u64, CounterError> {
        let cell = Direction::In.cell(EXEMPT);
        let mut packets = 0;
        for map in [&self.verdicts, &self.door] {
            let values = map.get(&cell, 0).map_err(failed("read"))?;
            packets += values.iter().map(|value| value.0.packets).sum::<u64>();
        }
        Ok(packets)
    }

    /// The counters of `endpoints`, also those that are zero.
    pub fn endpoints(
        &self,
        endpoints: impl Iterator<Item = u32>,
    ) -> Result<Vec<EndpointCounter>, CounterError> {
        endpoints
            .map(|endpoint| {
                let values = self.endpoints.get(&endpoint, 0).map_err(failed("read"))?;
                let count =
                    values
                        .iter()
                        .fold(EndpointCount::default(), |sum, value| EndpointCount {
                            received: add_fates(sum.received, value.0.received),
                            sent: add_fates(sum.sent, value.0.sent),
                        });
                Ok(EndpointCounter { endpoint, count })
            })
            .collect()
    }

    /// Sets the counters of `rules` to zero.
    pub fn clear_rules(&mut self, rules: impl Iterator<Item = u16>) -> Result<(), CounterError> {
        for cell in rules
            .flat_map(cells)
            .filter(|&cell| of_cell(cell).is_some())
        {
            for map in [&mut self.verdicts, &mut self.door] {
                map.set(cell, zeros()?, 0).map_err(failed("clear"))?;
            }
        }
        Ok(())
    }

    /// Sets the counters of `endpoints` to zero.
    pub fn clear_endpoints(
        &mut self,
        endpoints: impl Iterator<Item = u32>,
    ) -> Result<(), CounterError> {
        for endpoint in endpoints {
            self.endpoints
                .set(endpoint, zeros()?, 0)
                .map_err(failed("clear"))?;
        }
        Ok(())
    }
}

/// Indexes of the counters of one rule.
fn cells(rule: u16) -> impl Iterator<Item = u32> {
    let first = Outcome::new(Reason::ALL[0], false, rule, 0);
    Direction::ALL.into_iter().flat_map(move |direction| {
        let first = direction.cell(first);
        (first..first + 2 * Reason::SPACE).filter(|&cell| cell < VERDICT_CELLS)
    })
}

fn zeros<V: aya::Pod + Default>() -> Result<PerCpuValues<V>, CounterError> {
    let cpus =
        aya::util::nr_cpus().map_err(|(_, error)| failed("clear")(MapError::IoError(error)))?;
    PerCpuValues::try_from(vec![V::default(); cpus])
        .map_err(|error| failed("clear")(MapError::IoError(error)))
}

fn add_fates(a: Fates, b: Fates) -> Fates {
    Fates {
        passed: add(a.passed, b.passed),
        dropped: add(a.dropped, b.dropped),
    }
}

fn add(a: Count, b: Count) -> Count {
    Count {
        packets: a.packets + b.packets,
        bytes: a.bytes + b.bytes,
    }
}

fn failed(operation: &'static str) -> impl Fn(MapError) -> CounterError {
    move |source| CounterError::Map { operation, source }
}
