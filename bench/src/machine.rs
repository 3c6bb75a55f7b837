//! The machine that measures: what it is, and the core that a measurement runs on.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::ops::Range;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::memory;
use crate::words::grouped;

/// Where a file system for pins is mounted that only this process sees.
pub const BPF_FILE_SYSTEM: &str = "/sys/fs/bpf";

/// What a result depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Model name of the processor.
    pub processor: String,
    /// Its number of cores.
    pub cores: usize,
    /// The core that was measured on.
    pub core: usize,
    /// The size of that core's last cache, as the kernel writes it.
    pub last_cache: String,
    /// Whether it is a virtual machine.
    #[serde(rename = "virtual")]
    pub hypervisor: bool,
    /// The kernel's release.
    pub kernel: String,
    /// Nanoseconds of a read of one of [`READ_LINES`] cache lines.
    pub random_read_ns: u32,
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            core,
            last_cache,
            hypervisor,
            kernel,
            random_read_ns,
        } = self;
        let hypervisor = if *hypervisor { ", virtual" } else { "" };
        writeln!(
            f,
            "{processor}, {last_cache} of last cache, core {core} of {cores}{hypervisor}; Linux {kernel}"
        )?;
        writeln!(
            f,
            "a read of one of {} cache lines, {} MB in all, takes {random_read_ns} ns",
            grouped(READ_LINES as u32),
            READ_LINES * 64 / 1_000_000
        )
    }
}

/// Cache lines that a large table has, 6.4 MB.
pub const READ_LINES: usize = 100_000;

impl Machine {
    /// Looks at this machine.
    pub fn inspect() -> Result<Self> {
        let core = last_core()?;
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Ok(Self {
            processor: value(&processors, "model name").unwrap_or_else(unknown),
            cores: processors
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            core,
            last_cache: last_cache(core).unwrap_or_else(unknown),
            hypervisor: value(&processors, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().to_owned()),
            random_read_ns: memory::random_read_ns(READ_LINES),
        })
    }
}

/// Moves this process into a mount namespace with an empty BPF file system, so that its pins vanish
/// when it ends.
pub fn private_bpf_file_system() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("making a mount namespace (this takes root)")?;
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).context("separating mounts")?;
    mount(
        Some("bpf"),
        BPF_FILE_SYSTEM,
        Some("bpf"),
        MsFlags::empty(),
        None::<&str>,
    )
    .with_context(|| format!("mounting a BPF file system on {BPF_FILE_SYSTEM}"))
}

/// The first core that the process may use.
pub fn first_core() -> Result<usize> {
    core(|mut cores, allowed| cores.find(allowed))
}

/// The last core that the process may use: the first one gets most interrupts.
pub fn last_core() -> Result<usize> {
    core(|mut cores, allowed| cores.rfind(allowed))
}

fn core(
    find: impl FnOnce(Range<usize>, &dyn Fn(&usize) -> bool) -> Option<usize>,
) -> Result<usize> {
    // Asked of the main thread, as others may be pinned to one core.
    let process = Pid::this();
    let allowed = sched_getaffinity(process).context("asking for the allowed cores")?;
    find(0..CpuSet::count(), &|&core| {
        allowed.is_set(core).unwrap_or(false)
    })
    .context("no core is allowed")
}

/// Pins a thread (0: the calling one) to a core.
pub fn pin(thread: Pid, core: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(core)?;
    sched_setaffinity(thread, &only).with_context(|| format!("staying on core {core}"))
}

fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn last_cache(core: usize) -> Option<String> {
    let size = |index| {
        let path = format!("/sys/devices/system/cpu/cpu{core}/cache/index{index}/size");
        fs::read_to_string(path).ok()
    };
    (0..=4)
        .rev()
        .find_map(size)
        .map(|text| text.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
