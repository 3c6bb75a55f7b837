//! What the first process does for the machine: mounts file systems, loads modules, ends it.

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

/// Type and place of the file systems that everything relies on.
const FILE_SYSTEMS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/tmp"),
];

/// The modules that the image carries, in the order in which they need each other.
const MODULES: &str = "/modules/order";

/// Mounts the file systems and loads the modules.
pub fn prepare() -> Result<()> {
    for (kind, place) in FILE_SYSTEMS {
        fs::create_dir_all(place).with_context(|| format!("making {place}"))?;
        let none = None::<&str>;
        mount(Some(kind), place, Some(kind), MsFlags::empty(), none)
            .with_context(|| format!("mounting {kind} on {place}"))?;
    }
    let order = fs::read_to_string(MODULES).context("reading the list of modules")?;
    for name in order.lines() {
        let path = Path::new("/modules").join(name);
        let file = File::open(&path).with_context(|| format!("opening {name}"))?;
        finit_module(file, &CString::default(), ModuleInitFlags::empty())
            .with_context(|| format!("loading {name}"))?;
    }
    Ok(())
}

/// What follows `name` in a word of the kernel's command line.
pub fn argument(name: &str) -> Option<String> {
    let line = fs::read_to_string("/proc/cmdline").ok()?;
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(name).map(str::to_owned))
}

/// Ends the machine by a restart, on which the emulator exits (`-no-reboot`).
pub fn end() {
    nix::unistd::sync();
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    eprintln!("the machine cannot be ended: {error}");
}
