//! A candidate policy beside the one in force: programs and maps of its own, which judge the same packets
//! and only count.
//!
//! It has a directory of pins in that of what it judges beside, and shares with it what does not depend on
//! the policy: leases, clocks, and where the inner door is. So it outlives the agent like everything else,
//! and the next one goes on with what was counted.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData, ProgramArray},
    programs::ProgramFd,
};
use thiserror::Error;
use verdict::{
    counters::Direction,
    decision::shadow::{Difference, Tally, Total, place},
    reason::Outcome,
    state::{served::SET_WORDS, sets::WAYS},
};

use super::{
    Datapath, LoadError, PinError, Pins, Program, PublishError, Role,
    error::{map_failed, program_failed},
    flows::{self, FlowError},
    load,
    maps::{DifferenceKey, ServedValue, SetValue, StrangerKey, TallyValue, name},
    pinned::{array, pinned_map},
    resize,
};
use crate::image::Image;

/// What a candidate shares with what it judges beside.
const SHARED: [&str; 6] = [
    name::FLOW_CONTROL,
    name::LEASES,
    name::EXEMPTED,
    name::DOOR,
    name::COVERED_INTERFACES,
    name::HANDED,
];

/// What it has counted.
const COUNTED: [&str; 3] = [name::DIFFERENCES, name::STRANGERS, name::TOTALS];

/// Why there is no candidate beside the policy in force, which is not touched.
#[derive(Debug, Error)]
pub enum ShadowError {
    /// A program or a map.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The pins.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// The image.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The flows that are open cannot be taken over.
    #[error(transparent)]
    Flows(#[from] FlowError),
}

/// Who is at the far end of packets, as far as the difference tells.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// An endpoint of one policy: the outcomes have its number.
    Endpoint,
    /// Nobody whom either policy knows, at this address.
    Stranger(IpAddr),
    /// Nobody whom either policy knows, at further addresses.
    Others,
}

/// Packets with which two policies do not do the same.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// By the policy in force, in its numbers.
    pub enforced: Outcome,
    /// By the candidate, in its numbers.
    pub candidate: Outcome,
    /// Direction of the packets.
    pub direction: Direction,
    /// Whether they were judged at the sockets.
    pub at_door: bool,
    /// Who is at their far end.
    pub source: Source,
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long ago the first was seen.
    pub first: Duration,
    /// How long ago the last was seen.
    pub last: Duration,
}

/// How many packets were judged differently; exact, whatever became of the entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShadowCounts {
    /// What the candidate would newly drop.
    pub dropped: u64,
    /// What it would newly admit.
    pub admitted: u64,
    /// What of both has no entry.
    pub unrecorded: u64,
}

/// A candidate that judges beside the policy in force.
#[derive(Debug)]
pub struct Shadow(Datapath);

impl Shadow {
    /// Loads the programs of a candidate that judges by `image` beside `datapath`; those at the sockets only
    /// `with_door`. With `counted` it goes on with what was counted before.
    ///
    /// # Errors
    ///
    /// [`ShadowError`].
    pub fn load(
        datapath: &mut Datapath,
        image: &Image,
        with_door: bool,
        counted: bool,
    ) -> Result<Self, ShadowError> {
        let beside = &datapath.pins().clone();
        let pins = beside.of_shadow();
        if !counted {
            pins.remove()?;
        }
        pins.prepare()?;
        let kept = if counted { &COUNTED[..] } else { &[] };
        for name in load::PINNED_OF_CANDIDATE {
            let path = pins.map(name);
            if path.exists() && !kept.contains(&name) {
                fs::remove_file(&path).map_err(|source| LoadError::Unpin { path, source })?;
            }
        }
        for name in SHARED {
            let path = pins.map(name);
            pinned_map(beside, name)?
                .pin(&path)
                .map_err(|source| LoadError::Pin { path, source })?;
        }
        let (hook, features) = (datapath.hook, datapath.features);
        let sets = array::<SetValue>(beside, name::FLOWS)?.len();
        let flows = Some(sets * WAYS / 4);
        let mut shadow = Datapath::open_as(Role::Candidate, pins, hook, features, flows)?;
        shadow.load_program(hook.program())?;
        shadow.load_program(Program::Out)?;
        if with_door {
            shadow.load_program(Program::DoorIn)?;
            shadow.load_program(Program::DoorOut)?;
        }
        let pins = shadow.pins();
        copy(beside, pins, name::LIMITS, |&word: &u64| word == 0)?;
        let is_empty = |set: &ServedValue| set.0 == [0; SET_WORDS];
        copy(beside, pins, name::SERVED, is_empty)?;
        shadow.publish(image)?;
        let mut shadow = Self(shadow);
        shadow.follow_exemptions(datapath)?;
        shadow.take_flows(beside)?;
        Ok(shadow)
    }

    /// Takes over the flows that are open under the policy in force, as far as they are not known.
    ///
    /// # Errors
    ///
    /// Tables that cannot be read or written.
    pub fn take_flows(&mut self, beside: &Pins) -> Result<(), ShadowError> {
        let open = Map::Array(pinned_map(beside, name::FLOWS)?);
        Ok(resize::Before::of(open).move_to(self.0.pins())?)
    }

    /// Judges by `image` from the next packet on.
    ///
    /// # Errors
    ///
    /// The image before is judged by still.
    pub fn publish(&mut self, image: &Image) -> Result<(), PublishError> {
        self.0.publish(image)
    }

    /// Lets in whom `datapath` lets in whatever the policy says.
    ///
    /// # Errors
    ///
    /// Records that cannot be read or written.
    pub fn follow_exemptions(&mut self, datapath: &mut Datapath) -> Result<(), PublishError> {
        let exempting = datapath.control()?.exempting;
        if self.0.control()?.exempting != exempting {
            self.0.write(|control| control.exempting = exempting)?;
        }
        Ok(())
    }

    /// Where it is pinned.
    #[must_use]
    pub const fn pins(&self) -> &Pins {
        self.0.pins()
    }

    /// Forgets what was counted.
    ///
    /// # Errors
    ///
    /// Maps that cannot be written.
    pub fn forget(&mut self) -> Result<(), LoadError> {
        let pins = self.0.pins();
        empty::<DifferenceKey>(pins, name::DIFFERENCES)?;
        empty::<StrangerKey>(pins, name::STRANGERS)?;
        let mut totals = array::<TallyValue>(pins, name::TOTALS)?;
        for total in 0..Total::COUNT {
            let zero = TallyValue::default();
            totals
                .set(total, zero, 0)
                .map_err(map_failed(name::TOTALS))?;
        }
        Ok(())
    }
}

impl Datapath {
    /// Has the programs that are attached from now on hand what they decide on to those of `shadow`. Those
    /// that are attached already are to be attached again.
    ///
    /// # Errors
    ///
    /// Programs that the kernel does not accept.
    pub fn watch(&mut self, shadow: &mut Shadow) -> Result<(), LoadError> {
        let hook = self.hook.program();
        for (program, name, index) in [
            (Program::Xdp, name::NEXT_XDP, 0),
            (Program::In, name::NEXT_TC, 0),
            (Program::Out, name::NEXT_TC, 1),
            (Program::DoorIn, name::NEXT_DOOR_IN, 0),
            (Program::DoorOut, name::NEXT_DOOR_OUT, 0),
        ] {
            if let Some(fd) = shadow.0.program(program)? {
                let next: ProgramArray<_> = self.map(name)?.try_into().map_err(map_failed(name))?;
                let mut next: ProgramArray<&mut MapData> = next;
                next.set(index, &fd, 0).map_err(map_failed(name))?;
            }
        }
        self.role = Role::Watched;
        for program in [hook, Program::Out] {
            if self.program(program)?.is_none()
                && let Err(error) = self.load_program(program)
            {
                self.role = Role::Alone;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Has the programs that are attached from now on judge alone again. Those that are attached already
    /// are to be attached again, and then [ended](Self::end_watch).
    pub const fn unwatch(&mut self) {
        self.role = Role::Alone;
    }

    /// Unloads what no packet comes to any more.
    ///
    /// # Errors
    ///
    /// Maps that cannot be written.
    pub fn end_watch(&mut self) -> Result<(), LoadError> {
        for (name, indexes) in [
            (name::NEXT_XDP, 1),
            (name::NEXT_TC, 2),
            (name::NEXT_DOOR_IN, 1),
            (name::NEXT_DOOR_OUT, 1),
        ] {
            let mut next: ProgramArray<&mut MapData> =
                self.map(name)?.try_into().map_err(map_failed(name))?;
            for index in 0..indexes {
                // There may be none.
                let _ = next.clear_index(&index);
            }
        }
        for program in Program::ALL {
            let failed = program_failed(program);
            let unloaded = match program {
                Program::Xdp => load::xdp(&mut self.ebpf, Role::Watched)?.unload(),
                Program::In | Program::Out => {
                    load::classifier(&mut self.ebpf, program, Role::Watched)?.unload()
                }
                Program::DoorIn | Program::DoorOut => {
                    load::door(&mut self.ebpf, program, Role::Watched)?.unload()
                }
            };
            match unloaded {
                Ok(()) | Err(aya::programs::ProgramError::NotLoaded) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// The program that it has of this kind; `None` if that is not loaded.
    ///
    /// # Errors
    ///
    /// A program that the object lacks.
    #[doc(hidden)]
    pub fn program(&mut self, program: Program) -> Result<Option<ProgramFd>, LoadError> {
        let name = program.name_as(self.role);
        let found = self.ebpf.program(name).ok_or(LoadError::Missing(name))?;
        let Ok(fd) = found.fd() else {
            return Ok(None);
        };
        fd.try_clone()
            .map(Some)
            .map_err(|error| program_failed(program)(error.into()))
    }
}

/// Copies the entries of the array `name` from one directory to another, unless the sizes differ.
fn copy<V: Pod>(
    from: &Pins,
    to: &Pins,
    name: &'static str,
    is_empty: impl Fn(&V) -> bool,
) -> Result<(), LoadError> {
    let from: Array<MapData, V> = array(from, name)?;
    let mut to: Array<MapData, V> = array(to, name)?;
    if from.len() != to.len() {
        return Ok(());
    }
    for index in 0..from.len() {
        let value = from.get(&index, 0).map_err(map_failed(name))?;
        if !is_empty(&value) {
            to.set(index, value, 0).map_err(map_failed(name))?;
        }
    }
    Ok(())
}

type Tallies<K> = HashMap<MapData, K, TallyValue>;

fn tallies<K: Pod>(pins: &Pins, name: &'static str) -> Result<Tallies<K>, LoadError> {
    Map::HashMap(pinned_map(pins, name)?)
        .try_into()
        .map_err(map_failed(name))
}

/// Removes every entry.
fn empty<K: Pod>(pins: &Pins, name: &'static str) -> Result<(), LoadError> {
    let mut map = tallies::<K>(pins, name)?;
    let keys: Result<Vec<K>, _> = map.keys().collect();
    for key in keys.map_err(map_failed(name))? {
        // A packet cannot take it away, and another agent there is none.
        map.remove(&key).map_err(map_failed(name))?;
    }
    Ok(())
}

/// Every entry.
fn entries<K: Pod>(pins: &Pins, name: &'static str) -> Result<Vec<(K, Tally)>, LoadError> {
    let map = tallies::<K>(pins, name)?;
    let read = map
        .iter()
        .map(|entry| entry.map(|(key, tally)| (key, tally.0)));
    read.collect::<Result<_, _>>().map_err(map_failed(name))
}

/// How many packets the candidate pinned under `pins` has judged differently.
///
/// # Errors
///
/// Maps that cannot be read.
pub fn counts(pins: &Pins) -> Result<ShadowCounts, LoadError> {
    let totals = array::<TallyValue>(pins, name::TOTALS)?;
    let read = |total: Total| {
        let tally = totals.get(&(total as u32), 0);
        tally
            .map(|tally| tally.0.packets)
            .map_err(map_failed(name::TOTALS))
    };
    Ok(ShadowCounts {
        dropped: read(Total::Dropped)?,
        admitted: read(Total::Admitted)?,
        unrecorded: read(Total::Unrecorded)?,
    })
}

/// What the candidate pinned under `pins` has judged differently.
///
/// # Errors
///
/// Maps that cannot be read.
pub fn seen(pins: &Pins) -> Result<Vec<Seen>, FlowError> {
    let strangers = entries::<StrangerKey>(pins, name::STRANGERS)?;
    let differences = entries::<DifferenceKey>(pins, name::DIFFERENCES)?;
    let now = flows::monotonic()?;
    let with_address = strangers.into_iter().map(|(StrangerKey(key), tally)| {
        let [high, low] = key.address;
        let address = if key.difference.place & place::IPV6 == 0 {
            Ipv4Addr::from_bits(low as u32).into()
        } else {
            Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
        };
        read(key.difference, Source::Stranger(address), tally, now)
    });
    let others = differences.into_iter().map(|(DifferenceKey(key), tally)| {
        let source = if key.is_strangers() {
            Source::Others
        } else {
            Source::Endpoint
        };
        read(key, source, tally, now)
    });
    Ok(with_address.chain(others).collect())
}

fn read(difference: Difference, source: Source, tally: Tally, now: Duration) -> Seen {
    let ago = |time| now.saturating_sub(Duration::from_nanos(time));
    Seen {
        enforced: Outcome(difference.enforced),
        candidate: Outcome(difference.candidate),
        direction: if difference.place & place::OUT == 0 {
            Direction::In
        } else {
            Direction::Out
        },
        at_door: difference.place & place::DOOR != 0,
        source,
        packets: tally.packets,
        bytes: tally.bytes,
        first: ago(tally.first),
        last: ago(tally.last),
    }
}
