//! Loading the programs, with the maps that are pinned or new ones.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, Map, MapData, MapError},
    programs::{ProgramError, SchedClassifier, Xdp, links::FdLink},
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use verdict::{
    flow::{entry::ticks_per_jiffy, table::WAYS},
    layout::{Control, FlowControl, MAX_FLOW_SETS},
    reason::Verdict,
};

use super::{
    clock, flows,
    kernel::Features,
    maps::{ControlValue, name},
    pins::{LinkPin, PinError, Pins},
};

/// The kernel object that was built with this agent.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("MANOWARD_BPF_OBJECT"));

/// Name of the section of the XDP program, by which aya tells the kernel that it is ready for frames
/// of several buffers; and the same where the kernel does not know them, and refuses who says so.
const FRAGS: &[u8] = b"xdp.frags\0";
const NO_FRAGS: &[u8] = b"xdp\0frags\0";

/// Return codes of XDP programs (`linux/bpf.h`).
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
/// Return codes of classifiers (`linux/pkt_cls.h`).
const TC_ACT_UNSPEC: u32 = u32::MAX;
const TC_ACT_SHOT: u32 = 2;

/// Maps that outlive the agent.
const PINNED: [&str; 9] = [
    name::CONTROL,
    name::FIRST,
    name::IMAGES,
    name::FLOWS,
    name::FLOW_CONTROL,
    name::LEASES,
    name::LIMITS,
    name::VERDICTS,
    name::ENDPOINTS,
];

/// Where a program looks at packets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// XDP: in the driver, before the kernel allocates anything for the packet.
    #[default]
    Xdp,
    /// TCX ingress (clsact before Linux 6.6): for interfaces whose XDP slot is taken.
    Tcx,
}

impl Hook {
    /// The program that looks at packets in.
    #[must_use]
    pub const fn program(self) -> Program {
        match self {
            Self::Xdp => Program::Xdp,
            Self::Tcx => Program::In,
        }
    }
}

/// A program of the kernel object.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Program {
    /// XDP: packets in.
    Xdp,
    /// Classifier: packets in.
    In,
    /// Classifier: packets out.
    Out,
}

impl Program {
    /// Name in the kernel object.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "manoward_xdp",
            Self::In => "manoward_tcx",
            Self::Out => "manoward_out",
        }
    }

    /// What a return code of the program means; `None` for one that it never returns.
    #[must_use]
    pub const fn verdict(self, code: u32) -> Option<Verdict> {
        match (self, code) {
            (Self::Xdp, XDP_DROP) | (Self::In | Self::Out, TC_ACT_SHOT) => Some(Verdict::Drop),
            (Self::Xdp, XDP_PASS) | (Self::In | Self::Out, TC_ACT_UNSPEC) => Some(Verdict::Pass),
            _ => None,
        }
    }
}

/// Why the programs cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The pins cannot be used.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// The object is not accepted.
    #[error("the kernel did not accept the object: {}", chain(.0))]
    Object(#[from] EbpfError),
    /// A program is not accepted.
    #[error("the kernel did not accept the program {program}: {}", brief(.source))]
    Program {
        /// Its name.
        program: &'static str,
        /// Why, with the verifier's log.
        source: ProgramError,
    },
    /// A map is not what it should be.
    #[error("map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// Something cannot be pinned.
    #[error("cannot pin {path}: {source}")]
    Pin {
        /// Where.
        path: PathBuf,
        /// Why.
        source: aya::pin::PinError,
    },
    /// There is no seed for the table of flows.
    #[error("cannot read /dev/urandom: {0}")]
    Seed(std::io::Error),
    /// The object lacks something.
    #[error("the kernel object has no {0}; it was not built with this agent")]
    Missing(&'static str),
}

/// The last lines of a verifier log are the ones that say why.
fn brief(error: &ProgramError) -> String {
    let text = chain(error);
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() {
        0..=12 => text,
        count => format!("{}\n...\n{}", lines[0], lines[count - 10..].join("\n")),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The loaded programs and their maps.
#[derive(Debug)]
pub struct Datapath {
    pub(super) ebpf: Ebpf,
    pub(super) pins: Pins,
    pub(super) hook: Hook,
    pub(super) features: Features,
    /// What is attached, held beside the pins: who removes a pin ends nothing.
    pub(super) links: BTreeMap<LinkPin, FdLink>,
    /// Why XDP is generic, by the index of the interface, as far as this process attached it.
    pub(super) generic: BTreeMap<u32, String>,
}

impl Datapath {
    /// Loads the programs for `hook` and for packets out into [`Self::open`]ed maps.
    ///
    /// Nothing that is attached changes yet.
    pub fn load(pins: Pins, hook: Hook, features: Features, flows: u32) -> Result<Self, LoadError> {
        let mut datapath = Self::open(pins, hook, features, flows)?;
        for program in [hook.program(), Program::Out] {
            datapath.load_program(program)?;
        }
        Ok(datapath)
    }

    /// Makes the maps, or takes those that are pinned under `pins`, and loads no program yet. A new
    /// table of flows surely holds so many `flows`.
    pub fn open(pins: Pins, hook: Hook, features: Features, flows: u32) -> Result<Self, LoadError> {
        pins.prepare()?;
        let settings = Settings::new(features, Purpose::Enforce, &pins, flow_sets(flows))?;
        let ebpf = settings.loader(&pins, &PINNED).load(&object(features))?;
        let mut datapath = Self {
            ebpf,
            pins,
            hook,
            features,
            links: BTreeMap::new(),
            generic: BTreeMap::new(),
        };
        datapath.prepare_flows(settings.flow_control)?;
        Ok(datapath)
    }

    /// Loads `program` into the kernel.
    pub fn load_program(&mut self, program: Program) -> Result<(), LoadError> {
        load_program(&mut self.ebpf, program)
    }

    /// How many instructions of its most expensive program the verifier followed; it gives up at a
    /// million.
    #[must_use]
    pub fn verified_instructions(&self) -> Option<u32> {
        [self.hook.program(), Program::Out]
            .into_iter()
            .filter_map(|program| self.instructions_of(program))
            .max()
    }

    /// How many instructions of `program`, which is loaded, the verifier followed; `None` where the
    /// kernel does not tell (before Linux 5.16).
    #[must_use]
    pub fn instructions_of(&self, program: Program) -> Option<u32> {
        let info = self.ebpf.program(program.name())?.info().ok()?;
        info.verified_instruction_count()
    }

    /// Where everything is pinned.
    #[must_use]
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Removes all pins, and with them the programs from every interface.
    pub fn remove_pins(&mut self) -> Result<(), PinError> {
        self.pins.remove()?;
        self.links.clear();
        Ok(())
    }

    /// Pins again what is no longer pinned, and tells how much that was.
    pub fn keep_pins(&mut self) -> Result<usize, LoadError> {
        self.pins.prepare()?;
        let mut pinned = 0;
        for name in PINNED {
            let path = self.pins.map(name);
            if !path.exists() {
                let map = self.map(name)?;
                map.pin(&path)
                    .map_err(|source| LoadError::Pin { path, source })?;
                pinned += 1;
            }
        }
        let missing = |pin: &LinkPin| !self.pins.link(*pin).exists();
        let missing: Vec<_> = self.links.keys().copied().filter(missing).collect();
        for pin in missing {
            let path = self.pins.link(pin);
            if let Some(link) = self.links.remove(&pin) {
                let link = link.pin(&path);
                let link = link.map_err(|source| LoadError::Pin { path, source })?;
                self.links.insert(pin, link.into());
                pinned += 1;
            }
        }
        Ok(pinned)
    }

    pub(super) fn map(&mut self, name: &'static str) -> Result<&mut Map, LoadError> {
        self.ebpf.map_mut(name).ok_or(LoadError::Missing(name))
    }
}

/// Number of sets of a table that surely holds so many `flows`: at most a quarter of its places are
/// then taken, so that a flow finds both of its sets full once in a million times.
#[must_use]
pub const fn flow_sets(flows: u32) -> u32 {
    let sets = flows.next_power_of_two() * 4 / WAYS;
    if sets > MAX_FLOW_SETS {
        MAX_FLOW_SETS
    } else {
        sets
    }
}

/// What programs are loaded for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// To be attached.
    Enforce,
    /// To be asked what they would do.
    Explain,
    /// To be asked what they do; they open and follow flows.
    Rehearse,
    /// To be shown connections that exist already.
    Adopt,
}

/// What the variables of the programs are set to when they are loaded.
pub(super) struct Settings {
    multi_buffer: u8,
    coarse_clock: u8,
    explain: u8,
    observe: u8,
    adopt: u8,
    flow_sets: u32,
    flow_sets_mask: u32,
    flow_control: FlowControl,
    initial_jiffies: u64,
    ticks_per_jiffy: u64,
    control: ControlValue,
}

impl Settings {
    /// The settings for `features`, with the control record and the size of the table of flows that
    /// are pinned; with `flow_sets` if there is no table yet.
    ///
    /// aya writes the initial value of a variable into its map even if the map was pinned before,
    /// so a record that is in force has to be its own initial value.
    pub(super) fn new(
        features: Features,
        purpose: Purpose,
        pins: &Pins,
        flow_sets: u32,
    ) -> Result<Self, LoadError> {
        let flow_sets = if pins.map(name::FLOWS).exists() {
            let map = pinned_map(pins, name::FLOWS)?;
            map.info().map_err(map_failed(name::FLOWS))?.max_entries() / WAYS
        } else {
            flow_sets
        };
        let control = if pins.map(name::CONTROL).exists() {
            let map = Map::Array(pinned_map(pins, name::CONTROL)?);
            Array::try_from(map)
                .and_then(|map| map.get(&0, 0))
                .map_err(map_failed(name::CONTROL))?
        } else {
            ControlValue(Control::NONE)
        };
        let flow_control = flows::control_for(pins, features)?;
        let rate = match flow_control.jiffies_per_second {
            0 => None,
            rate => Some(rate),
        };
        Ok(Self {
            multi_buffer: features.multi_buffer.into(),
            coarse_clock: features.coarse_clock.into(),
            explain: (purpose != Purpose::Enforce).into(),
            observe: (purpose == Purpose::Explain).into(),
            adopt: (purpose == Purpose::Adopt).into(),
            flow_sets,
            flow_sets_mask: flow_sets.saturating_sub(1),
            flow_control,
            initial_jiffies: rate.map_or(0, clock::initial_jiffies),
            ticks_per_jiffy: rate.map_or(0, |rate| ticks_per_jiffy(clock::jiffy_nanoseconds(rate))),
            control,
        })
    }

    /// A loader of [`OBJECT`] with these settings and the maps `pinned` under `pins`.
    pub(super) fn loader(&self, pins: &Pins, pinned: &[&'static str]) -> EbpfLoader<'_> {
        let mut loader = EbpfLoader::new();
        loader.override_global("MULTI_BUFFER", &self.multi_buffer, true);
        loader.override_global("COARSE_CLOCK", &self.coarse_clock, true);
        loader.override_global("EXPLAIN", &self.explain, true);
        loader.override_global("OBSERVE", &self.observe, true);
        loader.override_global("ADOPT", &self.adopt, true);
        loader.override_global("FLOW_SETS_MASK", &self.flow_sets_mask, true);
        loader.override_global("FLOW_SEED", &self.flow_control.seed, true);
        loader.override_global("INITIAL_JIFFIES", &self.initial_jiffies, true);
        loader.override_global("TICKS_PER_JIFFY", &self.ticks_per_jiffy, true);
        loader.override_global("CONTROL", &self.control, true);
        loader.map_max_entries(name::FLOWS, self.flow_sets * WAYS);
        for name in pinned {
            loader.map_pin_path(name, pins.map(name));
        }
        loader
    }
}

/// The kernel object, as a kernel with these features takes it.
#[must_use]
pub fn object(features: Features) -> Cow<'static, [u8]> {
    if features.multi_buffer {
        return OBJECT.into();
    }
    let mut object = OBJECT.to_vec();
    for start in 0..object.len().saturating_sub(FRAGS.len()) {
        let name = &mut object[start..start + FRAGS.len()];
        if name == FRAGS {
            name.copy_from_slice(NO_FRAGS);
        }
    }
    object.into()
}

/// Loads `program` into the kernel.
pub(super) fn load_program(ebpf: &mut Ebpf, program: Program) -> Result<(), LoadError> {
    match program {
        Program::Xdp => xdp(ebpf)?.load(),
        Program::In | Program::Out => classifier(ebpf, program)?.load(),
    }
    .map_err(program_failed(program))
}

/// The XDP program.
pub(super) fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp, LoadError> {
    let name = Program::Xdp.name();
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(program_failed(Program::Xdp))
}

/// A TC program.
pub(super) fn classifier(
    ebpf: &mut Ebpf,
    program: Program,
) -> Result<&mut SchedClassifier, LoadError> {
    let name = program.name();
    let found = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    found.try_into().map_err(program_failed(program))
}

fn program_failed(program: Program) -> impl Fn(ProgramError) -> LoadError {
    move |source| LoadError::Program {
        program: program.name(),
        source,
    }
}

pub(super) fn map_failed(name: &'static str) -> impl Fn(MapError) -> LoadError {
    move |source| LoadError::Map { name, source }
}

/// The pinned map `name`, without the programs.
pub(super) fn pinned_map(pins: &Pins, name: &'static str) -> Result<MapData, LoadError> {
    MapData::from_pin(pins.map(name)).map_err(map_failed(name))
}
