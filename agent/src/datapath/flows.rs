//! The table of flows, seen from user space.

use std::{fs::File, io, io::Read as _, time::Duration};

use aya::maps::{Array, Map, MapData};
use nix::time::{ClockId, clock_gettime};
use thiserror::Error;
use verdict::{
    flow::{
        Entry, Flow, FlowSet, Flows, Key,
        entry::{tick, ticks},
        table::{self, WAYS},
    },
    image::Tables,
    layout::FlowControl,
};

use super::{
    Datapath, LoadError, Pins,
    load::{map_failed, pinned_map},
    maps::{FlowControlValue, FlowSetValue, name},
};

/// Why the flows cannot be read.
#[derive(Debug, Error)]
pub enum FlowError {
    /// A map cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is no clock.
    #[error("cannot read the clock: {0}")]
    Clock(io::Error),
}

/// The tick of now.
pub fn now() -> Result<u32, FlowError> {
    let time =
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|error| FlowError::Clock(error.into()))?;
    Ok(tick(Duration::from(time).as_nanos() as u64))
}

/// The flows at one moment. In memory, and as good a table as the kernel's.
#[derive(Debug)]
pub struct Snapshot {
    sets: Vec<FlowSet>,
    control: FlowControl,
    now: u32,
    writable: bool,
}

impl Snapshot {
    /// An empty table of `sets` sets, a power of two, in which flows can be opened.
    #[must_use]
    pub fn empty(sets: u32, control: FlowControl, now: u32) -> Self {
        Self {
            sets: (0..sets).map(|_| FlowSet::default()).collect(),
            control,
            now,
            writable: true,
        }
    }

    /// Reads the table pinned under `pins`.
    pub fn read(pins: &Pins) -> Result<Self, FlowError> {
        let map = set_map(pins)?;
        let mut sets = Vec::with_capacity(map.len() as usize);
        for index in 0..map.len() {
            let set = map.get(&index, 0).map_err(map_failed(name::FLOWS))?;
            sets.push(set.0.map(Entry::from_words));
        }
        Ok(Self {
            sets,
            control: control(pins)?,
            now: now()?,
            writable: false,
        })
    }

    /// The same table at another time.
    pub const fn at(&mut self, now: u32) {
        self.now = now;
    }

    /// The same table after the programs were told something else about it.
    #[doc(hidden)]
    pub const fn tell(&mut self, control: FlowControl) {
        self.control = control;
    }

    /// Places for flows.
    #[must_use]
    pub fn places(&self) -> usize {
        self.sets.len() * WAYS as usize
    }

    /// The flows that have not outlived their state by the image in `tables`, and how many ticks
    /// each has been idle. Fragments are none.
    pub fn alive<'a, T: Tables>(&'a self, tables: &'a T) -> impl Iterator<Item = (Flow, u32)> + 'a {
        self.sets.iter().flatten().filter_map(|entry| {
            let flow = entry.read()?;
            let idle = flow.idle(self.now);
            let lasts = table::timeout(tables, flow.state.code()).ok()?;
            (flow.is_connection() && idle <= lasts).then_some((flow, idle))
        })
    }

    /// Ticks since the first packet of `flow`.
    #[must_use]
    pub const fn age(&self, flow: &Flow) -> u32 {
        self.now.wrapping_sub(flow.opened)
    }

    /// The table as a decision by the image in `tables` uses it.
    #[must_use]
    pub const fn by<'a, T: Tables>(&'a self, tables: &'a T) -> ByImage<'a, T> {
        ByImage {
            snapshot: self,
            tables,
        }
    }
}

/// A table of flows with the image that says how long they last.
#[derive(Debug)]
pub struct ByImage<'a, T> {
    snapshot: &'a Snapshot,
    tables: &'a T,
}

impl<T: Tables> Flows for ByImage<'_, T> {
    fn entry(&self, index: u32) -> Option<&Entry> {
        let set = self.snapshot.sets.get((index / WAYS) as usize)?;
        set.get((index % WAYS) as usize)
    }

    fn mask(&self) -> u32 {
        (self.snapshot.sets.len() as u32).saturating_sub(1)
    }

    fn seed(&self) -> u64 {
        self.snapshot.control.seed
    }

    fn now(&self) -> u32 {
        self.snapshot.now
    }

    fn adopting(&self) -> bool {
        self.snapshot.now < self.snapshot.control.adopting_until
    }

    fn writable(&self) -> bool {
        self.snapshot.writable
    }

    fn search(&self, key: &Key) -> u32 {
        table::search(self, key)
    }

    fn choose(&self, key: &Key) -> u32 {
        table::choose(self, self.tables, key)
    }
}

/// The table pinned under `pins`.
fn set_map(pins: &Pins) -> Result<Array<MapData, FlowSetValue>, LoadError> {
    let map = pinned_map(pins, name::FLOWS)?;
    Map::Array(map).try_into().map_err(map_failed(name::FLOWS))
}

type ControlMap = Array<MapData, FlowControlValue>;

fn control_map(pins: &Pins) -> Result<ControlMap, LoadError> {
    let map = pinned_map(pins, name::FLOW_CONTROL)?;
    Map::Array(map)
        .try_into()
        .map_err(map_failed(name::FLOW_CONTROL))
}

/// What the programs were told about the flows pinned under `pins`.
pub fn control(pins: &Pins) -> Result<FlowControl, LoadError> {
    let value = control_map(pins)?.get(&0, 0);
    Ok(value.map_err(map_failed(name::FLOW_CONTROL))?.0)
}

fn set_control(pins: &Pins, control: FlowControl) -> Result<(), LoadError> {
    control_map(pins)?
        .set(0, FlowControlValue(control), 0)
        .map_err(map_failed(name::FLOW_CONTROL))
}

impl Datapath {
    /// Gives a new table its seed.
    pub(super) fn prepare_flows(&mut self) -> Result<(), LoadError> {
        let mut control = control(&self.pins)?;
        if control.seed != 0 {
            return Ok(());
        }
        let mut seed = [0; 8];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut seed))
            .map_err(LoadError::Seed)?;
        // 0 stands for none.
        control.seed = u64::from_ne_bytes(seed) | 1;
        set_control(&self.pins, control)
    }

    /// Forgets every flow.
    #[doc(hidden)]
    pub fn forget_flows(&mut self) -> Result<(), FlowError> {
        let mut map = set_map(&self.pins)?;
        for index in 0..map.len() {
            map.set(index, FlowSetValue::default(), 0)
                .map_err(map_failed(name::FLOWS))?;
        }
        Ok(())
    }

    /// Lets TCP connections between guests and permitted peers be taken over in their midst for so
    /// many seconds from now.
    pub fn adopt_for(&mut self, seconds: u32) -> Result<(), FlowError> {
        let mut control = control(&self.pins)?;
        control.adopting_until = match seconds {
            0 => 0,
            _ => now()?.saturating_add(ticks(seconds)),
        };
        Ok(set_control(&self.pins, control)?)
    }
}
