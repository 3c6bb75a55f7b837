//! Observation: what the kernel has counted, and which flows it knows.
//!
//! Reads maps of the kernel by handles of its own, and files, so that it goes on beside every change.

use verdict::counters::EndpointCount;

use crate::{
    datapath::{CounterError, Counters, Pins, VerdictCounter},
    image::Numbers,
    store::Store,
};

/// Reads what the programs keep.
pub struct Observer {
    counters: Counters,
    pub(super) pins: Pins,
    pub(super) store: Store,
}

impl Observer {
    /// Opens what is pinned under `pins`, and the policies in `store`.
    ///
    /// # Errors
    ///
    /// Counters that are not there.
    pub fn open(pins: &Pins, store: Store) -> Result<Self, CounterError> {
        Ok(Self {
            counters: Counters::open(pins)?,
            pins: pins.clone(),
            store,
        })
    }

    /// The verdict counters that are not zero, of the rules in `numbers` and of what no rule
    /// governs.
    ///
    /// # Errors
    ///
    /// Counters that the kernel does not give.
    pub fn verdicts(&self, numbers: Option<&Numbers>) -> Result<Vec<VerdictCounter>, CounterError> {
        let rules = numbers
            .into_iter()
            .flat_map(|numbers| numbers.rules.values().copied());
        self.counters.verdicts(std::iter::once(0).chain(rules))
    }

    /// The endpoints in `numbers` by name, with what came from each and went to it.
    ///
    /// # Errors
    ///
    /// Counters that the kernel does not give.
    pub fn endpoints<'a>(
        &self,
        numbers: &'a Numbers,
    ) -> Result<Vec<(&'a str, EndpointCount)>, CounterError> {
        let counters = self
            .counters
            .endpoints(numbers.endpoints.values().copied())?;
        let names = numbers.endpoints.keys().map(String::as_str);
        Ok(names
            .zip(counters.into_iter().map(|counter| counter.count))
            .collect())
    }
}
