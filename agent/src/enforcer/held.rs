//! Which interfaces the names of a policy stand for, until another policy is applied.
//!
//! A name is looked up once and its interface is then held by its index: an interface that is renamed
//! stays what it is. What is held is kept on disk, for the next agent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{
    datapath::interface::Interfaces,
    files::{self, Owner},
    policy::Policy,
};

/// The interfaces that are held.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    sheet: Sheet,
}

/// What is written to disk.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Sheet {
    /// Where the indexes mean something: one boot, one network namespace.
    place: String,
    /// Indexes by names of the policy.
    interfaces: BTreeMap<String, BTreeSet<u32>>,
}

impl Held {
    /// What the agent before has held, if that is still of use.
    pub(super) fn open(state: &Path) -> Self {
        let path = state.join("interfaces.json");
        let place = place().unwrap_or_default();
        let read = files::read(&path, files::SETTINGS, Owner::Trusted).ok();
        let sheet = read.and_then(|text| serde_json::from_slice::<Sheet>(&text).ok());
        let sheet = sheet.filter(|sheet| !place.is_empty() && sheet.place == place);
        let sheet = sheet.unwrap_or(Sheet {
            place,
            interfaces: BTreeMap::new(),
        });
        Self { path, sheet }
    }

    /// Indexes by names of the policy.
    pub(super) const fn by_name(&self) -> &BTreeMap<String, BTreeSet<u32>> {
        &self.sheet.interfaces
    }

    /// Forgets everything: another policy decides.
    pub(super) fn forget(&mut self) {
        self.sheet.interfaces.clear();
    }

    /// Holds what the names of `policy` stand for now, beside what they stood for before; lets go of
    /// interfaces that no longer exist.
    pub(super) fn hold(&mut self, policy: &Policy, interfaces: &Interfaces) {
        let before = self.sheet.interfaces.clone();
        let bound = policy.endpoints.values();
        let bound = bound.flat_map(|endpoint| &endpoint.binding.interfaces);
        for name in policy.interfaces.iter().chain(bound) {
            let indexes = self.sheet.interfaces.entry(name.clone()).or_default();
            indexes.extend(interfaces.called(name).map(|interface| interface.index));
        }
        for indexes in self.sheet.interfaces.values_mut() {
            indexes.retain(|&index| interfaces.get(index).is_some());
        }
        if self.sheet.interfaces != before
            && let Err(error) = self.write()
        {
            let path = self.path.display();
            warn!(%path, %error, "cannot write which interfaces are held; the next agent goes by names");
        }
    }

    fn write(&self) -> io::Result<()> {
        fs::write(&self.path, serde_json::to_vec(&self.sheet)?)
    }
}

/// A name for this boot and network namespace.
fn place() -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::read_link("/proc/self/ns/net")?;
    Ok(format!("{} {}", boot.trim(), namespace.display()))
}
