//! The programs' global variables, which are set when they are loaded.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::EbpfLoader;
use verdict::{
    layout::{Control, FlowControl},
    state::clock::ticks_per_jiffy,
};

use super::{
    Features, LoadError, Pins,
    btf::SocketFields,
    clock,
    error::map_failed,
    flow_control,
    maps::{ControlValue, name},
    pinned::{array, pinned_map},
};

/// Held while the control record is read and written: another thread may load programs meanwhile.
static RECORD: Mutex<()> = Mutex::new(());

/// Waits until nobody else of this process reads and writes the control record.
pub(super) fn record() -> MutexGuard<'static, ()> {
    RECORD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a program is loaded for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// To be attached and enforce.
    Enforce,
    /// To judge by a candidate beside what enforces.
    Try,
    /// For test runs that change nothing.
    Explain,
    /// For test runs that open and update flows.
    Rehearse,
}

/// Values of the programs' global variables.
pub(super) struct Settings {
    purpose: Purpose,
    multi_buffer: u8,
    coarse_clock: u8,
    explain: u8,
    observe: u8,
    sockets: SocketFields,
    flow_sets: u32,
    flow_sets_mask: u32,
    /// The control record of the flow table.
    pub(super) flow_control: FlowControl,
    initial_jiffies: u64,
    ticks_per_jiffy: u64,
    control: ControlValue,
    /// The record stays as it is until it is written again.
    _record: MutexGuard<'static, ()>,
}

impl Settings {
    /// The settings for `features`, with the pinned control record, and the size of the pinned flow
    /// table; if there is none yet, its size is `flow_sets`.
    ///
    /// aya writes the initial value of a variable into its map even if the map was pinned before,
    /// so the record in force must be given as the initial value, and nobody may change it until the
    /// maps are made.
    pub(super) fn new(
        features: Features,
        purpose: Purpose,
        pins: &Pins,
        flow_sets: u32,
    ) -> Result<Self, LoadError> {
        let flow_sets = if pins.map(name::FLOWS).exists() {
            let map = pinned_map(pins, name::FLOWS)?;
            map.info().map_err(map_failed(name::FLOWS))?.max_entries()
        } else {
            flow_sets
        };
        let record = record();
        let control = if pins.map(name::CONTROL).exists() {
            array(pins, name::CONTROL)?
                .get(&0, 0)
                .map_err(map_failed(name::CONTROL))?
        } else {
            ControlValue(Control::NONE)
        };
        let flow_control = flow_control::read_or_new(pins, features)?;
        let rate = match flow_control.jiffies_per_second {
            0 => None,
            rate => Some(rate),
        };
        Ok(Self {
            purpose,
            multi_buffer: features.multi_buffer.into(),
            coarse_clock: features.coarse_clock.into(),
            explain: u8::from(!matches!(purpose, Purpose::Enforce | Purpose::Try)),
            observe: (purpose == Purpose::Explain).into(),
            sockets: features.sockets.unwrap_or_default(),
            flow_sets,
            flow_sets_mask: flow_sets.saturating_sub(1),
            flow_control,
            initial_jiffies: rate.map_or(0, clock::initial_jiffies),
            ticks_per_jiffy: rate.map_or(0, |rate| ticks_per_jiffy(clock::jiffy_nanoseconds(rate))),
            control,
            _record: record,
        })
    }

    /// A loader of the object with these settings and the maps `pinned` under `pins`.
    pub(super) fn loader(&self, pins: &Pins, pinned: &[&'static str]) -> EbpfLoader<'_> {
        let mut loader = EbpfLoader::new();
        loader.override_global("MULTI_BUFFER", &self.multi_buffer, true);
        loader.override_global("COARSE_CLOCK", &self.coarse_clock, true);
        loader.override_global("EXPLAIN", &self.explain, true);
        loader.override_global("OBSERVE", &self.observe, true);
        loader.override_global("SOCKET_OF_PACKET", &self.sockets.socket, true);
        loader.override_global("NAMESPACE_OF_SOCKET", &self.sockets.namespace, true);
        loader.override_global("INODE_OF_NAMESPACE", &self.sockets.inode, true);
        loader.override_global("FLOW_SETS_MASK", &self.flow_sets_mask, true);
        loader.override_global("FLOW_SEED", &self.flow_control.seed, true);
        loader.override_global("INITIAL_JIFFIES", &self.initial_jiffies, true);
        loader.override_global("TICKS_PER_JIFFY", &self.ticks_per_jiffy, true);
        loader.override_global("CONTROL", &self.control, true);
        loader.map_max_entries(name::FLOWS, self.flow_sets);
        loader.map_max_entries(name::SERVED, self.flow_sets.div_ceil(2));
        // What the programs for this purpose do not use takes no memory.
        let unused: &[_] = if self.purpose == Purpose::Try {
            &[name::VERDICTS, name::ENDPOINTS, name::DOOR_VERDICTS]
        } else {
            &[name::DIFFERENCES, name::STRANGERS]
        };
        for name in unused {
            loader.map_max_entries(name, 1);
        }
        for name in pinned {
            loader.map_pin_path(name, pins.map(name));
        }
        loader
    }
}
