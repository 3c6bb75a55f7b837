//! Loading the programs, with the maps that are pinned or new ones.

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, Map, MapData, MapError},
    programs::{ProgramError, SchedClassifier, Xdp},
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use verdict::{layout::Control, reason::Verdict};

use super::{
    kernel::Features,
    maps::name,
    pins::{PinError, Pins},
};

/// The kernel object that was built with this agent.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("MANOWARD_BPF_OBJECT"));

/// Return codes of XDP programs (`linux/bpf.h`).
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
/// Return codes of classifiers (`linux/pkt_cls.h`).
const TC_ACT_OK: u32 = 0;
const TC_ACT_SHOT: u32 = 2;

/// Maps that outlive the agent.
const PINNED: [&str; 5] = [
    name::CONTROL,
    name::FIRST,
    name::IMAGES,
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
    /// Name of the program in the kernel object.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Xdp => "manoward_xdp",
            Self::Tcx => "manoward_tcx",
        }
    }

    /// What a return code of the program means; `None` for one that it never returns.
    #[must_use]
    pub const fn verdict(self, code: u32) -> Option<Verdict> {
        match (self, code) {
            (Self::Xdp, XDP_DROP) | (Self::Tcx, TC_ACT_SHOT) => Some(Verdict::Drop),
            (Self::Xdp, XDP_PASS) | (Self::Tcx, TC_ACT_OK) => Some(Verdict::Pass),
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
}

impl Datapath {
    /// Loads the program of `hook`, with the maps pinned under `pins` where there are some.
    ///
    /// Nothing that is attached changes yet.
    pub fn load(pins: Pins, hook: Hook, features: Features) -> Result<Self, LoadError> {
        pins.prepare()?;
        let settings = Settings::new(features, false, &pins)?;
        let mut ebpf = settings.loader(&pins, &PINNED).load(OBJECT)?;
        load_program(&mut ebpf, hook)?;
        Ok(Self { ebpf, pins, hook })
    }

    /// How many instructions the verifier followed; it gives up at a million.
    #[must_use]
    pub fn verified_instructions(&self) -> Option<u32> {
        let program = self.ebpf.program(self.hook.program())?;
        program.info().ok()?.verified_instruction_count()
    }

    /// Where everything is pinned.
    #[must_use]
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Removes all pins, and with them the programs from every interface.
    pub fn remove_pins(&self) -> Result<(), PinError> {
        self.pins.remove()
    }

    pub(super) fn map(&mut self, name: &'static str) -> Result<&mut Map, LoadError> {
        self.ebpf.map_mut(name).ok_or(LoadError::Missing(name))
    }
}

/// What the variables of the programs are set to when they are loaded.
pub(super) struct Settings {
    multi_buffer: u8,
    explain: u8,
    control: u64,
}

impl Settings {
    /// The settings for `features`, with the control record that is pinned, if one is.
    ///
    /// aya writes the initial value of a variable into its map even if the map was pinned before,
    /// so a record that is in force has to be its own initial value.
    pub(super) fn new(features: Features, explain: bool, pins: &Pins) -> Result<Self, LoadError> {
        let control = if pins.map(name::CONTROL).exists() {
            let failed = |source| LoadError::Map {
                name: name::CONTROL,
                source,
            };
            let map = Map::Array(pinned_map(pins, name::CONTROL)?);
            Array::<_, u64>::try_from(map)
                .and_then(|map| map.get(&0, 0))
                .map_err(failed)?
        } else {
            Control::NONE.0
        };
        Ok(Self {
            multi_buffer: features.multi_buffer.into(),
            explain: explain.into(),
            control,
        })
    }

    /// A loader of [`OBJECT`] with these settings and the maps `pinned` under `pins`.
    pub(super) fn loader(&self, pins: &Pins, pinned: &[&'static str]) -> EbpfLoader<'_> {
        let mut loader = EbpfLoader::new();
        loader.override_global("MULTI_BUFFER", &self.multi_buffer, true);
        loader.override_global("EXPLAIN", &self.explain, true);
        loader.override_global("CONTROL", &self.control, true);
        for name in pinned {
            loader.map_pin_path(name, pins.map(name));
        }
        loader
    }
}

/// Loads the program of `hook` into the kernel.
pub(super) fn load_program(ebpf: &mut Ebpf, hook: Hook) -> Result<(), LoadError> {
    let program = hook.program();
    match hook {
        Hook::Xdp => xdp(ebpf)?.load(),
        Hook::Tcx => classifier(ebpf)?.load(),
    }
    .map_err(|source| LoadError::Program { program, source })
}

/// The XDP program.
pub(super) fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp, LoadError> {
    let name = Hook::Xdp.program();
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(|source| LoadError::Program {
        program: name,
        source,
    })
}

/// The TC program.
pub(super) fn classifier(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, LoadError> {
    let name = Hook::Tcx.program();
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(|source| LoadError::Program {
        program: name,
        source,
    })
}

/// The pinned map `name`, without the programs.
pub(super) fn pinned_map(pins: &Pins, name: &'static str) -> Result<MapData, LoadError> {
    MapData::from_pin(pins.map(name)).map_err(|source| LoadError::Map { name, source })
}
