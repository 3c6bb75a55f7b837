//! The inner door: its programs at the root of the control groups, and what the agent tells them.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use aya::programs::{CgroupAttachMode, CgroupSkbAttachType, links::FdLink};
use procfs::process::Process;
use thiserror::Error;
use tracing::info;
use verdict::layout::{COVERED, DoorControl, INSIDE};

use super::{
    Datapath, LoadError, PinError, Program,
    error::map_failed,
    flow_control, load,
    maps::{DoorValue, name},
    pinned::array,
    refusal::Refusal,
};

/// The network namespace of this process.
const NAMESPACE: &str = "/proc/self/ns/net";

/// Inode of the root of the control groups.
const ROOT_INODE: u64 = 1;

/// The programs, and where they are attached.
const PROGRAMS: [(Program, CgroupSkbAttachType); 2] = [
    (Program::DoorOut, CgroupSkbAttachType::Egress),
    (Program::DoorIn, CgroupSkbAttachType::Ingress),
];

/// Why there is no inner door.
#[derive(Debug, Error)]
pub enum DoorError {
    /// The kernel does not describe its sockets.
    #[error(
        "this kernel's type information (/sys/kernel/btf/vmlinux) does not tell where sockets have their network namespace"
    )]
    NoSockets,
    /// There are no control groups.
    #[error(
        "the root of cgroup v2 is mounted nowhere. Mount it (`mount -t cgroup2 cgroup2 /sys/fs/cgroup`)"
    )]
    NoRoot,
    /// The mounts cannot be read.
    #[error("cannot look for cgroup v2: {0}")]
    Mounts(#[from] procfs::ProcError),
    /// The network namespace has no name.
    #[error("cannot tell the network namespace: {0}")]
    Namespace(io::Error),
    /// A program or a map.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The pins.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// The kernel refused.
    #[error("cannot attach to cgroup v2 at {root}: {reason}")]
    Refused {
        /// Where it is mounted.
        root: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Datapath {
    /// Attaches the programs of the door in place of those before. For a moment a packet may be judged
    /// by both.
    ///
    /// # Errors
    ///
    /// [`DoorError`]; what was attached before still is.
    pub fn open_door(&mut self) -> Result<(), DoorError> {
        if self.features.sockets.is_none() {
            return Err(DoorError::NoSockets);
        }
        let root = root()?;
        load::load_together(
            &mut self.ebpf,
            &PROGRAMS.map(|(program, _)| program),
            self.role,
        )?;
        for (program, direction) in PROGRAMS {
            self.attach_door(&root, program, direction)
                .map_err(|refusal| DoorError::Refused {
                    root: root.clone(),
                    reason: refusal.reason,
                })?;
        }
        info!(cgroup = %root.display(), "inner door attached");
        Ok(())
    }

    fn attach_door(
        &mut self,
        root: &std::path::Path,
        program: Program,
        direction: CgroupSkbAttachType,
    ) -> Result<(), Refusal> {
        let path = self.pins.door(program);
        // A BPF file system takes no dot in a name.
        let next = path.with_file_name(format!("{}-next", program.name()));
        let door = load::door(&mut self.ebpf, program, self.role)?;
        let id = door.attach(File::open(root)?, direction, CgroupAttachMode::Single)?;
        let link = FdLink::try_from(door.take_link(id)?)?;
        if next.exists() {
            fs::remove_file(&next)?;
        }
        let link = link.pin(&next)?;
        fs::rename(&next, &path)?;
        self.door.insert(program, link.into());
        Ok(())
    }

    /// Detaches the programs of the door.
    ///
    /// # Errors
    ///
    /// A pin that cannot be removed.
    pub fn close_door(&mut self) -> Result<(), PinError> {
        self.door.clear();
        self.pins.remove_door()
    }

    /// Tells the programs at interfaces whether the door judges all that sockets receive from groups.
    ///
    /// # Errors
    ///
    /// Maps that cannot be read or written.
    pub fn leave_groups(&mut self, to_sockets: bool) -> Result<(), LoadError> {
        flow_control::leave_groups(&self.pins, to_sockets)
    }

    /// Tells the door what to do, and over which interfaces packets reach it only judged, or pass ([`INSIDE`]).
    ///
    /// # Errors
    ///
    /// Maps that cannot be written.
    pub fn set_door(&mut self, flags: u64, covered: &[u32]) -> Result<(), DoorError> {
        let mut entries = vec![0_u32; COVERED as usize];
        for &ifindex in covered {
            entries[((ifindex & !INSIDE) % COVERED) as usize] = ifindex;
        }
        let mut interfaces = array::<u32>(&self.pins, name::COVERED_INTERFACES)?;
        let failed = map_failed(name::COVERED_INTERFACES);
        for (key, ifindex) in (0..COVERED).zip(entries) {
            if interfaces.get(&key, 0).ok() != Some(ifindex) {
                interfaces.set(key, ifindex, 0).map_err(&failed)?;
            }
        }
        let namespace = fs::metadata(NAMESPACE).map_err(DoorError::Namespace)?.ino();
        let control = DoorValue(DoorControl { namespace, flags });
        let mut door = array::<DoorValue>(&self.pins, name::DOOR)?;
        door.set(0, control, 0).map_err(map_failed(name::DOOR))?;
        Ok(())
    }
}

/// Where the root of the control groups is mounted.
fn root() -> Result<PathBuf, DoorError> {
    let mounts = Process::myself()?.mountinfo()?;
    let groups = mounts
        .0
        .into_iter()
        .filter(|mount| mount.fs_type == "cgroup2");
    let mut points = groups.map(|mount| mount.mount_point);
    let is_root = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.ino() == ROOT_INODE);
    points.find(is_root).ok_or(DoorError::NoRoot)
}
