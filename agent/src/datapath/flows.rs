//! The flow table, read from user space.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use aya::{
    Pod,
    maps::{Array, MapData},
};
use elsa::FrozenMap;
use nix::time::{ClockId, clock_gettime};
use thiserror::Error;
use verdict::{
    decision::WORDS,
    frame::address::Ipv4,
    host::{Remembered, Storage},
    image::line::Tables,
    layout::FlowControl,
    state::{
        clock::{TICK_SHIFT, tick, ticks},
        flow::{Flow, Key, Set, entry::SET_WORDS, table},
        lease::Lease,
        limit::Limit,
        served::{self, Served},
        sets::{self, WAYS},
    },
};

use super::{
    Datapath, LoadError, Pins,
    clock::LeaseClock,
    error::map_failed,
    flow_control,
    maps::{LineValue, ServedValue, SetValue, name},
    pinned::array,
};
use crate::image::ipv6;

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

/// The time of the monotonic clock, by which the kernel counts jiffies.
pub(super) fn monotonic() -> Result<Duration, FlowError> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    let time = time.map_err(|error| FlowError::Clock(error.into()))?;
    Ok(time.into())
}

/// The current tick.
pub fn now() -> Result<u32, FlowError> {
    Ok(tick(monotonic()?.as_nanos() as u64))
}

/// The current time, as a tick and by the clock of leases.
fn both_clocks(control: &FlowControl) -> Result<(u32, u64), FlowError> {
    let time = monotonic()?;
    let tick = tick(time.as_nanos() as u64);
    Ok((tick, LeaseClock::of(control).at(time)))
}

/// Duration of `ticks` ticks.
#[must_use]
pub fn duration(ticks: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) << TICK_SHIFT)
}

/// The key of the flow of this `kind` between these ends; `None` if they are of two families.
#[must_use]
pub fn key(kind: u8, protocol: u8, local: SocketAddr, remote: SocketAddr) -> Option<Key> {
    let ports = u32::from(local.port()) << 16 | u32::from(remote.port());
    match (local.ip().to_canonical(), remote.ip().to_canonical()) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            let [local, remote] = [local, remote].map(|address| Ipv4(address.to_bits()));
            Some(Key::new(kind, local, remote, protocol, ports))
        }
        (IpAddr::V6(local), IpAddr::V6(remote)) => {
            let [local, remote] = [local, remote].map(|address| ipv6(address.to_bits()));
            Some(Key::new(kind, local, remote, protocol, ports))
        }
        _ => None,
    }
}

/// Tables in memory, without any leases.
#[derive(Debug, Default)]
pub struct InMemory {
    flows: Vec<Set>,
    limits: Vec<Limit>,
    served: Vec<served::Set>,
}

impl Storage for InMemory {
    fn set(&self, index: u32) -> Option<&Set> {
        self.flows.get(index as usize)
    }

    fn lease(&self, _: u32) -> Option<&Lease> {
        None
    }

    fn limit(&self, index: u32) -> Option<&Limit> {
        self.limits.get(index as usize)
    }

    fn served(&self, index: u32) -> Option<&served::Set> {
        self.served.get(index as usize)
    }

    fn sets(&self) -> u32 {
        self.flows.len() as u32
    }
}

/// The kernel's tables. An entry is read when it is first asked for, and then kept.
pub struct OnDemand {
    flows: Read<SetValue, Set>,
    leases: Read<LineValue, Lease>,
    limits: Read<u64, Limit>,
    served: Read<ServedValue, served::Set>,
}

/// A table of the kernel, and the entries read from it.
struct Read<V: Pod, T> {
    map: Array<MapData, V>,
    read: FrozenMap<u32, Box<Entry<V, T>>>,
}

/// An entry as it was read, and as it has become since.
struct Entry<V, T> {
    was: V,
    is: T,
}

impl<V: Pod, T> Read<V, T> {
    fn open(pins: &Pins, name: &'static str) -> Result<Self, LoadError> {
        Ok(Self {
            map: array(pins, name)?,
            read: FrozenMap::new(),
        })
    }

    fn get(&self, index: u32, new: impl FnOnce(V) -> T) -> Option<&T> {
        if let Some(known) = self.read.get(&index) {
            return Some(&known.is);
        }
        let was = self.map.get(&index, 0).ok()?;
        let is = new(was);
        Some(&self.read.insert(index, Box::new(Entry { was, is })).is)
    }

    /// Writes the words of entries that have changed since they were read, which `value` tells. As programs on
    /// several CPUs do, it leaves all other words to whoever has changed them meanwhile.
    fn write_back<const N: usize>(
        &mut self,
        name: &'static str,
        value: impl Fn(&T) -> V,
        words: impl Fn(&mut V) -> &mut [u64; N],
    ) -> Result<(), LoadError> {
        for (&index, entry) in self.read.as_mut().iter() {
            let (mut was, mut is) = (entry.was, value(&entry.is));
            let (was, is) = (words(&mut was), words(&mut is));
            if was == is {
                continue;
            }
            let mut now = self.map.get(&index, 0).map_err(map_failed(name))?;
            for ((now, was), is) in words(&mut now).iter_mut().zip(was).zip(is) {
                if was != is {
                    *now = *is;
                }
            }
            self.map.set(index, now, 0).map_err(map_failed(name))?;
        }
        Ok(())
    }
}

impl Storage for OnDemand {
    fn set(&self, index: u32) -> Option<&Set> {
        self.flows.get(index, |value| Set::from_words(&value.0))
    }

    fn lease(&self, index: u32) -> Option<&Lease> {
        self.leases.get(index, |value| Lease::from_words(value.0))
    }

    fn limit(&self, index: u32) -> Option<&Limit> {
        self.limits.get(index, Limit::from_word)
    }

    fn served(&self, index: u32) -> Option<&served::Set> {
        let read = |value: ServedValue| served::Set::from_words(&value.0);
        self.served.get(index, read)
    }

    fn sets(&self) -> u32 {
        self.flows.map.len()
    }
}

/// The state that the decision depends on besides the policy (flows, leases, limits), at one
/// moment.
pub struct Snapshot<S = InMemory> {
    state: S,
    control: FlowControl,
    now: u32,
    /// By the clock of leases.
    lease_now: u64,
    shown: bool,
    writable: bool,
}

impl Snapshot {
    /// An empty table of `sets` sets, a power of two, in which flows can be opened.
    #[must_use]
    pub fn empty(sets: u32, control: FlowControl, now: u32) -> Self {
        Self {
            state: InMemory {
                flows: (0..sets).map(|_| Set::default()).collect(),
                limits: (0..WORDS).map(|_| Limit::default()).collect(),
                served: (0..sets.div_ceil(2))
                    .map(|_| served::Set::default())
                    .collect(),
            },
            control,
            now,
            lease_now: 0,
            shown: false,
            writable: true,
        }
    }

    /// Reads all flows pinned under `pins`, and what is served, but no leases or limits.
    pub fn read(pins: &Pins) -> Result<Self, FlowError> {
        let map = flow_map(pins)?;
        let mut flows = Vec::with_capacity(map.len() as usize);
        for index in 0..map.len() {
            let value = map.get(&index, 0).map_err(map_failed(name::FLOWS))?;
            flows.push(Set::from_words(&value.0));
        }
        Ok(Self {
            state: InMemory {
                flows,
                served: read_served(pins)?,
                ..InMemory::default()
            },
            control: flow_control::read(pins)?,
            now: now()?,
            lease_now: 0,
            shown: false,
            writable: false,
        })
    }

    /// Sets the current tick.
    pub const fn at(&mut self, now: u32) {
        self.now = now;
    }

    /// Sets the control record.
    #[doc(hidden)]
    pub const fn tell(&mut self, control: FlowControl) {
        self.control = control;
    }

    /// Flows that the table has entries for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.state.flows.len() * WAYS as usize
    }

    /// The flows that have not expired by the timeouts of the image in `tables`, each with its idle
    /// time in ticks. Entries of fragments are left out.
    pub fn alive<'a, T: Tables>(&'a self, tables: &'a T) -> impl Iterator<Item = (Flow, u32)> + 'a {
        let slots = |set: &'a Set| (0..WAYS).map(|way| set.slot(way));
        self.state.flows.iter().flat_map(slots).filter_map(|slot| {
            let flow = slot.read()?;
            let idle = flow.idle(self.now);
            let lasts = table::timeout(tables, flow.state.code()).ok()?;
            (flow.is_connection() && idle <= lasts).then_some((flow, idle))
        })
    }

    /// Ticks since `tick`.
    #[must_use]
    pub const fn since(&self, tick: u32) -> u32 {
        self.now.wrapping_sub(tick)
    }

    /// What the host serves, as far as it is remembered.
    pub fn served(&self) -> impl Iterator<Item = Served> + '_ {
        self.state.served.iter().flat_map(served::Set::read)
    }
}

impl Snapshot<OnDemand> {
    /// Discards what was read, so that the current entries are read.
    pub fn refresh(&mut self) -> Result<(), FlowError> {
        self.state.flows.read.as_mut().clear();
        self.state.leases.read.as_mut().clear();
        self.state.limits.read.as_mut().clear();
        self.state.served.read.as_mut().clear();
        (self.now, self.lease_now) = both_clocks(&self.control)?;
        Ok(())
    }

    /// The tables pinned under `pins`; an entry is read when it is first asked for.
    pub fn open(pins: &Pins) -> Result<Self, FlowError> {
        let control = flow_control::read(pins)?;
        let (now, lease_now) = both_clocks(&control)?;
        Ok(Self {
            state: OnDemand {
                flows: Read::open(pins, name::FLOWS)?,
                leases: Read::open(pins, name::LEASES)?,
                limits: Read::open(pins, name::LIMITS)?,
                served: Read::open(pins, name::SERVED)?,
            },
            control,
            now,
            lease_now,
            shown: false,
            writable: false,
        })
    }

    /// The tables pinned under `pins`, to be shown packets of connections that exist already:
    /// [`write_back`](Self::write_back) has the kernel know these connections, too.
    pub fn to_be_shown(pins: &Pins) -> Result<Self, FlowError> {
        Ok(Self {
            shown: true,
            writable: true,
            ..Self::open(pins)?
        })
    }

    /// Writes what has become of the flows, and of what is served, to the kernel's tables.
    pub fn write_back(&mut self) -> Result<(), FlowError> {
        let state = &mut self.state;
        let value = |set: &Set| SetValue(set.to_words());
        state.flows.write_back(name::FLOWS, value, |it| &mut it.0)?;
        let value = |set: &served::Set| ServedValue(set.to_words());
        state
            .served
            .write_back(name::SERVED, value, |it| &mut it.0)?;
        Ok(())
    }
}

impl<S: Storage> Snapshot<S> {
    /// The state, in the form that a decision by the image in `tables` uses.
    #[must_use]
    pub const fn by<'a, T: Tables>(&'a self, tables: &'a T) -> Remembered<&'a S, &'a T> {
        Remembered {
            storage: &self.state,
            tables,
            seed: self.control.seed,
            now: self.now,
            clock: self.lease_now,
            adopting: self.shown || self.now < self.control.adopting_until,
            shown: self.shown,
            groups_at_sockets: self.control.groups_at_sockets != 0,
            writable: self.writable,
        }
    }
}

/// What is served, as it is pinned under `pins`.
fn read_served(pins: &Pins) -> Result<Vec<served::Set>, LoadError> {
    let map: Array<MapData, ServedValue> = array(pins, name::SERVED)?;
    let sets = map.iter().map(|value| {
        let value = value.map_err(map_failed(name::SERVED))?;
        Ok(served::Set::from_words(&value.0))
    });
    sets.collect()
}

/// Which of the flows with these keys, in the table pinned under `pins`, have been silent for more than half
/// of the time that their state lasts.
///
/// # Errors
///
/// A table that cannot be read.
pub(super) fn silent<T: Tables>(
    pins: &Pins,
    tables: &T,
    keys: impl Iterator<Item = Key>,
) -> Result<Vec<bool>, FlowError> {
    let (map, now) = (flow_map(pins)?, now()?);
    let (seed, mask) = (flow_control::read(pins)?.seed, map.len().saturating_sub(1));
    let is_silent = |key: Key| {
        let hash = key.hash_under(seed);
        for step in [0, WAYS] {
            let there = sets::index(hash, mask, step) / WAYS;
            let value: SetValue = map.get(&there, 0).map_err(map_failed(name::FLOWS))?;
            let set = Set::from_words(&value.0);
            let is_it = |&way: &u32| {
                let flow = set.slot(way).read();
                flow.is_some_and(|flow| flow.key.to_words() == key.to_words())
            };
            if let Some(way) = (0..WAYS).find(is_it) {
                let tag = set.tag(way);
                // An image in memory has all of its lines.
                let lasts = table::timeout(tables, tag.state()).unwrap_or(0);
                return Ok(tag.idle(now) > lasts / 2);
            }
        }
        Ok(false)
    };
    keys.map(is_silent).collect()
}

/// Sets that tell enough of how full a table is.
const SAMPLE: u32 = 1 << 11;

/// How many flows the table pinned under `pins` has, estimated by a sample of it, and how many it is sized
/// for.
///
/// # Errors
///
/// A table that cannot be read.
pub fn load<T: Tables>(pins: &Pins, tables: &T) -> Result<[u32; 2], FlowError> {
    let map = flow_map(pins)?;
    let (sets, now) = (map.len(), now()?);
    // Where a flow lies is random.
    let every = (sets / SAMPLE).max(1) as usize;
    let mut open = 0;
    for index in (0..sets).step_by(every) {
        let value: SetValue = map.get(&index, 0).map_err(map_failed(name::FLOWS))?;
        let set = Set::from_words(&value.0);
        let is_open = |&way: &u32| {
            let tag = set.tag(way);
            !tag.is_empty() && !table::expired(tag, tables, now).unwrap_or(true)
        };
        open += (0..WAYS).filter(is_open).count() as u32;
    }
    Ok([open * every as u32, sets * WAYS / 4])
}

/// Removes the flows with these keys from the table pinned under `pins`.
///
/// A set is written as a whole: what a packet changes in it at the same moment may be lost, as if that
/// packet had not been noted.
///
/// # Errors
///
/// A table that cannot be read or written.
pub fn remove(pins: &Pins, keys: &BTreeSet<[u64; 5]>) -> Result<usize, FlowError> {
    let mut map = flow_map(pins)?;
    let mut removed = 0;
    for index in 0..map.len() {
        let mut value: SetValue = map.get(&index, 0).map_err(map_failed(name::FLOWS))?;
        let set = Set::from_words(&value.0);
        let before = removed;
        for way in 0..WAYS {
            let flow = set.slot(way).read();
            if flow.is_some_and(|flow| keys.contains(&flow.key.to_words())) {
                let at = 8 * way as usize;
                value.0[at..at + 8].fill(0);
                value.0[8 * WAYS as usize + way as usize] = 0;
                removed += 1;
            }
        }
        if removed > before {
            map.set(index, value, 0).map_err(map_failed(name::FLOWS))?;
        }
    }
    Ok(removed)
}

/// The flow table pinned under `pins`.
fn flow_map(pins: &Pins) -> Result<Array<MapData, SetValue>, LoadError> {
    array(pins, name::FLOWS)
}

impl Datapath {
    /// Removes every flow, what is served, and every limit and note.
    #[doc(hidden)]
    pub fn forget_flows(&mut self) -> Result<(), FlowError> {
        let mut map = flow_map(&self.pins)?;
        for index in 0..map.len() {
            map.set(index, SetValue([0; SET_WORDS]), 0)
                .map_err(map_failed(name::FLOWS))?;
        }
        let mut served: Array<MapData, ServedValue> = array(&self.pins, name::SERVED)?;
        for index in 0..served.len() {
            served
                .set(index, ServedValue([0; served::SET_WORDS]), 0)
                .map_err(map_failed(name::SERVED))?;
        }
        let mut limits: Array<MapData, u64> = array(&self.pins, name::LIMITS)?;
        for index in 0..limits.len() {
            limits.set(index, 0, 0).map_err(map_failed(name::LIMITS))?;
        }
        Ok(())
    }

    /// Lets TCP connections between guests and permitted peers be adopted mid-stream during the
    /// next `seconds`.
    pub fn adopt_for(&mut self, seconds: u32) -> Result<(), FlowError> {
        let mut control = flow_control::read(&self.pins)?;
        control.adopting_until = match seconds {
            0 => 0,
            _ => now()?.saturating_add(ticks(seconds)),
        };
        Ok(flow_control::write(&self.pins, control)?)
    }
}
