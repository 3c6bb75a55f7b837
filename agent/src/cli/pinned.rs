//! What the kernel enforces, found out without an agent: from what is pinned.

use std::{
    fs,
    path::{Path, PathBuf},
};

use manoward::{
    config::{Config, DEFAULT_PINS},
    datapath::{Pins, interface::name_of},
};

/// Where BPF file systems are mounted.
const BPF: &str = "/sys/fs/bpf";

/// A directory whose links enforce something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Enforcing {
    /// The directory.
    pub pins: PathBuf,
    /// Names of the interfaces, each once.
    pub interfaces: Vec<String>,
}

/// Where the agent of this configuration pins; the default, if the file cannot be read.
pub fn configured(config: &Path) -> PathBuf {
    Config::read(config).map_or_else(|_| DEFAULT_PINS.into(), |config| config.pins)
}

/// What is enforced from `pins`; `None` if nothing is.
pub fn enforcing(pins: &Path) -> Option<Enforcing> {
    let links = Pins::new(pins).pinned_links().ok()?;
    let mut interfaces: Vec<String> = Vec::new();
    for link in links {
        let gone = || format!("interface {} (gone)", link.ifindex);
        let name = name_of(link.ifindex).unwrap_or_else(gone);
        if !interfaces.contains(&name) {
            interfaces.push(name);
        }
    }
    let pins = pins.to_owned();
    (!interfaces.is_empty()).then_some(Enforcing { pins, interfaces })
}

/// What is enforced from any directory of the BPF file system but `known`.
pub fn elsewhere(known: &Path) -> Vec<Enforcing> {
    let entries = fs::read_dir(BPF).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path());
    let others = folders.filter(|path| path != known);
    others.filter_map(|path| enforcing(&path)).collect()
}

/// Directories, as a list for a sentence.
pub fn named(places: &[Enforcing]) -> String {
    let names = places.iter().map(|place| place.pins.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}
