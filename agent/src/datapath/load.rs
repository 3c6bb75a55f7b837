//! Loads the programs, with pinned or new maps.

use std::{collections::BTreeMap, panic, thread};

use aya::{
    Ebpf,
    maps::Map,
    programs::{CgroupSkb, ProgramFd, SchedClassifier, Xdp, links::FdLink},
};
use verdict::{layout::MAX_FLOW_SETS, state::sets::WAYS};

use super::{
    Features, Hook, LoadError, Program, Role,
    error::program_failed,
    flow_control, host_size,
    maps::name,
    object::{for_kernel, object},
    pins::{LinkPin, PinError, Pins},
    publish::Placed,
    resize,
    settings::{Purpose, Settings},
};

/// Maps that outlive the agent.
pub(super) const PINNED: [&str; 20] = [
    name::CONTROL,
    name::FIRST,
    name::IMAGES,
    name::FLOWS,
    name::SERVED,
    name::FLOW_CONTROL,
    name::LEASES,
    name::LIMITS,
    name::EXEMPTED,
    name::VERDICTS,
    name::ENDPOINTS,
    name::DOOR,
    name::COVERED_INTERFACES,
    name::DOOR_VERDICTS,
    name::TRANSLATED,
    name::HANDED,
    name::NEXT_XDP,
    name::NEXT_TC,
    name::NEXT_DOOR_IN,
    name::NEXT_DOOR_OUT,
];

/// Those of a candidate.
pub(super) const PINNED_OF_CANDIDATE: [&str; 15] = [
    name::CONTROL,
    name::FIRST,
    name::IMAGES,
    name::FLOWS,
    name::SERVED,
    name::FLOW_CONTROL,
    name::LEASES,
    name::LIMITS,
    name::EXEMPTED,
    name::DOOR,
    name::COVERED_INTERFACES,
    name::HANDED,
    name::DIFFERENCES,
    name::STRANGERS,
    name::TOTALS,
];

/// The loaded programs and their maps.
#[derive(Debug)]
pub struct Datapath {
    pub(super) ebpf: Ebpf,
    pub(super) pins: Pins,
    pub(super) hook: Hook,
    /// What its programs are there for.
    pub(super) role: Role,
    pub(super) features: Features,
    /// The links, kept open in addition to the pins: removing a pin does not detach a program.
    pub(super) links: BTreeMap<LinkPin, FdLink>,
    /// The links of the inner door.
    pub(super) door: BTreeMap<Program, FdLink>,
    /// The table of flows before, which had another size, until no program uses it any more.
    pub(super) flows_before: Option<resize::Before>,
    /// The chunks of the images in the slots.
    pub(super) placed: Placed,
    /// Why XDP is in generic mode, by interface index; only for interfaces that this process
    /// attached.
    pub(super) generic: BTreeMap<u32, String>,
}

impl Datapath {
    /// Loads the ingress program for `hook` and the egress program, with the maps of
    /// [`Self::open`].
    ///
    /// Attached programs do not change yet.
    pub fn load(
        pins: Pins,
        hook: Hook,
        features: Features,
        flows: Option<u32>,
    ) -> Result<Self, LoadError> {
        let mut datapath = Self::open(pins, hook, features, flows)?;
        load_together(
            &mut datapath.ebpf,
            &[hook.program(), Program::Out],
            Role::Alone,
        )?;
        Ok(datapath)
    }

    /// Opens the maps pinned under `pins`, or creates them, and loads no program yet. The flow
    /// table is sized for `flows` flows, where that is given, and the flows of one with another size are moved;
    /// else it stays as it is, and a new one is sized for the host.
    pub fn open(
        pins: Pins,
        hook: Hook,
        features: Features,
        flows: Option<u32>,
    ) -> Result<Self, LoadError> {
        Self::open_as(Role::Alone, pins, hook, features, flows)
    }

    /// The same for programs that have this `role`.
    pub(super) fn open_as(
        role: Role,
        pins: Pins,
        hook: Hook,
        features: Features,
        flows: Option<u32>,
    ) -> Result<Self, LoadError> {
        pins.prepare()?;
        let before = match flows {
            Some(flows) => resize::take(&pins, flow_sets(flows))?,
            None => None,
        };
        let (purpose, pinned): (_, &[_]) = match role {
            Role::Alone | Role::Watched => (Purpose::Enforce, &PINNED),
            Role::Candidate => (Purpose::Try, &PINNED_OF_CANDIDATE),
        };
        let sets = flow_sets(flows.unwrap_or_else(host_size::flows));
        let settings = Settings::new(features, purpose, &pins, sets)?;
        let ebpf = settings.loader(&pins, pinned).load(&object(features))?;
        flow_control::write_if_new(&pins, settings.flow_control)?;
        drop(settings);
        if let Some(before) = &before {
            before.move_to(&pins)?;
        }
        Ok(Self {
            flows_before: before,
            ebpf,
            pins,
            hook,
            role,
            features,
            links: BTreeMap::new(),
            door: BTreeMap::new(),
            placed: Placed::default(),
            generic: BTreeMap::new(),
        })
    }

    /// Once the programs are attached: moves the flows that those before have opened meanwhile, where the
    /// table has another size now.
    ///
    /// # Errors
    ///
    /// Tables that cannot be read or written.
    pub fn settle_flows(&mut self) -> Result<(), LoadError> {
        if let Some(before) = self.flows_before.take() {
            before.move_to(&self.pins)?;
        }
        Ok(())
    }

    /// Loads `program` into the kernel.
    pub fn load_program(&mut self, program: Program) -> Result<(), LoadError> {
        load_program(&mut self.ebpf, program, self.role)
    }

    /// Instructions that the verifier followed in the program that took most; its limit is a
    /// million.
    #[must_use]
    pub fn verified_instructions(&self) -> Option<u32> {
        [self.hook.program(), Program::Out]
            .into_iter()
            .filter_map(|program| self.instructions_of(program))
            .max()
    }

    /// Instructions that the verifier followed in `program`, which is loaded; `None` before Linux
    /// 5.16, which does not report them.
    fn instructions_of(&self, program: Program) -> Option<u32> {
        let info = self.ebpf.program(program.name_as(self.role))?.info().ok()?;
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
        self.door.clear();
        Ok(())
    }

    /// Pins again the maps and links whose pins are gone; returns their number.
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
        let door: Vec<_> = self.door.keys().copied().collect();
        for program in door {
            let path = self.pins.door(program);
            if !path.exists()
                && let Some(link) = self.door.remove(&program)
            {
                let link = link.pin(&path);
                let link = link.map_err(|source| LoadError::Pin { path, source })?;
                self.door.insert(program, link.into());
                pinned += 1;
            }
        }
        Ok(pinned)
    }

    pub(super) fn map(&mut self, name: &'static str) -> Result<&mut Map, LoadError> {
        self.ebpf.map_mut(name).ok_or(LoadError::Missing(name))
    }
}

/// Number of sets of a table that is sized for `flows` flows. They take at most a quarter of its
/// entries; a flow then finds both of its sets full once in a million times.
#[must_use]
pub const fn flow_sets(flows: u32) -> u32 {
    let sets = flows.next_power_of_two() * 4 / WAYS;
    if sets > MAX_FLOW_SETS {
        MAX_FLOW_SETS
    } else {
        sets
    }
}

/// Loads `program` of the kernel object `object` for enforcement, with the maps pinned under
/// `pins`.
///
/// The object may be of another build that has the same layout version.
pub fn load_over(
    pins: &Pins,
    object: &[u8],
    program: Program,
    features: Features,
) -> Result<ProgramFd, LoadError> {
    let settings = Settings::new(features, Purpose::Enforce, pins, 1)?;
    let object = for_kernel(object, features);
    let mut ebpf = settings.loader(pins, &PINNED).load(&object)?;
    drop(settings);
    load_program(&mut ebpf, program, Role::Alone)?;
    let name = program.name();
    let loaded = ebpf.program(name).ok_or(LoadError::Missing(name))?;
    let fd = loaded.fd().map_err(program_failed(program))?;
    fd.try_clone()
        .map_err(|error| program_failed(program)(error.into()))
}

/// Loads `programs` into the kernel at the same time, unless they are: what takes time is the kernel's
/// verifier, which follows each on a CPU of its own.
pub(super) fn load_together(
    ebpf: &mut Ebpf,
    programs: &[Program],
    role: Role,
) -> Result<(), LoadError> {
    thread::scope(|scope| {
        let mut loading = Vec::new();
        for (name, loaded) in ebpf.programs_mut() {
            let program = programs
                .iter()
                .find(|program| program.name_as(role) == name);
            if let Some(&program) = program
                && loaded.fd().is_err()
            {
                loading.push(scope.spawn(move || load(loaded, program)));
            }
        }
        let loaded = loading.into_iter().map(|thread| match thread.join() {
            Ok(loaded) => loaded,
            Err(panic) => panic::resume_unwind(panic),
        });
        loaded.collect()
    })
}

fn load(loaded: &mut aya::programs::Program, program: Program) -> Result<(), LoadError> {
    match program {
        Program::Xdp => <&mut Xdp>::try_from(loaded).and_then(Xdp::load),
        Program::In | Program::Out => {
            <&mut SchedClassifier>::try_from(loaded).and_then(SchedClassifier::load)
        }
        Program::DoorIn | Program::DoorOut => {
            <&mut CgroupSkb>::try_from(loaded).and_then(CgroupSkb::load)
        }
    }
    .map_err(program_failed(program))
}

/// Loads `program` into the kernel.
pub(super) fn load_program(ebpf: &mut Ebpf, program: Program, role: Role) -> Result<(), LoadError> {
    let name = program.name_as(role);
    let loaded = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    load(loaded, program)
}

/// The XDP program.
pub(super) fn xdp(ebpf: &mut Ebpf, role: Role) -> Result<&mut Xdp, LoadError> {
    let name = Program::Xdp.name_as(role);
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(program_failed(Program::Xdp))
}

/// A program of the inner door.
pub(super) fn door(
    ebpf: &mut Ebpf,
    program: Program,
    role: Role,
) -> Result<&mut CgroupSkb, LoadError> {
    let name = program.name_as(role);
    let found = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    found.try_into().map_err(program_failed(program))
}

/// A TC program.
pub(super) fn classifier(
    ebpf: &mut Ebpf,
    program: Program,
    role: Role,
) -> Result<&mut SchedClassifier, LoadError> {
    let name = program.name_as(role);
    let found = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    found.try_into().map_err(program_failed(program))
}
