//! The policies that were applied, on disk.
//!
//! A policy is written completely before the kernel hears of it, so that whatever is enforced can
//! be found again. The kernel holds the digest of the policy that it enforces, beside the image; the
//! file `current` names it by serial and digest for a host that has just booted.

pub mod break_glass;
pub mod history;
pub mod leases;
pub mod shadow;
mod trial;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::{
    files::{self, Owner},
    image::{Numbers, RuleName},
};
use history::History;
pub use trial::TrialRecord;

/// Policies whose text is kept.
const KEPT: usize = 100;
const HISTORY: &str = "history.jsonl";
const CURRENT: &str = "current";

/// Why the store failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}{}", remedy(.source))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path} is damaged: {reason}. Move it away and apply the policy again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Make room there and try again; the policy in force is unchanged"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ". Have it writable and try again; the policy in force is unchanged"
        }
        _ => "",
    }
}

/// A policy as it was applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// Which policy this is.
    pub identity: Identity,
    /// Name of the file that it was applied from.
    pub file: String,
    /// When (RFC 3339).
    pub applied: String,
    /// The YAML.
    pub text: String,
    /// Its signature, if it has one.
    pub signature: Option<Vec<u8>>,
    /// Numbers that its counters are kept under.
    pub numbers: Numbers,
}

/// What is written beside the YAML.
#[derive(Deserialize, Serialize)]
struct Sheet {
    file: String,
    applied: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Vec<u8>>,
    rules: Vec<(RuleName, u16)>,
    endpoints: BTreeMap<String, u32>,
}

/// Which policy something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Its serial.
    pub serial: u64,
    /// Digest of its text.
    pub digest: u64,
}

/// The digest of a policy's text: the first 64 bits of its SHA-256, as many as the kernel keeps.
#[must_use]
pub fn digest(text: &str) -> u64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(8)
        .fold(0, |bits, &byte| bits << 8 | u64::from(byte))
}

/// A policy that is about to be the current one. Dropped, it is forgotten.
#[derive(Debug)]
pub struct Prepared {
    identity: Identity,
    path: PathBuf,
    file: NamedTempFile,
}

/// The directory of policies.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The store in `state`, which is created if it does not exist.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let directory = state.join("policies");
        fs::create_dir_all(&directory).map_err(failed("create", &directory))?;
        Ok(Self { directory })
    }

    /// What was done to the policy in force.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.directory.join(HISTORY))
    }

    /// Writes a policy; it is not current yet.
    pub fn save(&self, stored: &Stored) -> Result<(), StoreError> {
        let sheet = Sheet {
            file: stored.file.clone(),
            applied: stored.applied.clone(),
            signature: stored.signature.clone(),
            rules: stored.numbers.rules.clone().into_iter().collect(),
            endpoints: stored.numbers.endpoints.clone(),
        };
        let sheet = serde_json::to_vec(&sheet).map_err(|error| StoreError::Damaged {
            path: self.path(stored.identity, "json"),
            reason: error.to_string(),
        })?;
        self.write(&self.path(stored.identity, "yaml"), stored.text.as_bytes())?;
        self.write(&self.path(stored.identity, "json"), &sheet)
    }

    /// Writes all that it takes to make a policy that was saved the current one, so that no room is
    /// needed for it any more.
    pub fn prepare(&self, identity: Identity) -> Result<Prepared, StoreError> {
        let path = self.directory.join(CURRENT);
        let file = self.temporary(&path, name(identity).as_bytes())?;
        Ok(Prepared {
            identity,
            path,
            file,
        })
    }

    /// Makes the policy of `prepared` the current one, and forgets the oldest.
    pub fn set_current(&self, prepared: Prepared) -> Result<(), StoreError> {
        let Prepared {
            identity,
            path,
            file,
        } = prepared;
        self.persist(file, &path)?;
        let mut identities = self.identities()?;
        identities.sort_unstable_by_key(|identity| identity.serial);
        let superfluous = identities.len().saturating_sub(KEPT);
        for old in identities
            .into_iter()
            .take(superfluous)
            .filter(|old| *old != identity)
        {
            for kind in ["yaml", "json"] {
                let path = self.path(old, kind);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// The current policy; `None` before the first.
    pub fn current(&self) -> Result<Option<Stored>, StoreError> {
        let path = self.directory.join(CURRENT);
        let name = match files::read_text(&path, files::SETTINGS, Owner::Trusted) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path)(source)),
        };
        match parse_name(&name) {
            Some(identity) => self.find(identity),
            None => Err(StoreError::Damaged {
                path,
                reason: format!("`{name}` names no policy"),
            }),
        }
    }

    /// The policy with this digest; `None` if there is none.
    pub fn with_digest(&self, digest: u64) -> Result<Option<Stored>, StoreError> {
        let found = self
            .identities()?
            .into_iter()
            .find(|identity| identity.digest == digest);
        found.map_or(Ok(None), |identity| self.find(identity))
    }

    /// The policy that last had this serial; `None` if none is kept.
    pub fn with_serial(&self, serial: u64) -> Result<Option<Stored>, StoreError> {
        let kept = self.identities()?;
        let mut kept: Vec<Identity> = kept
            .into_iter()
            .filter(|identity| identity.serial == serial)
            .collect();
        if kept.len() > 1 {
            let entries = self.history().entries()?;
            let last = |identity: &Identity| {
                let mut entries = entries.iter();
                entries.rposition(|entry| entry.is_about(*identity))
            };
            kept.sort_by_key(last);
        }
        kept.pop().map_or(Ok(None), |identity| self.find(identity))
    }

    /// What is wrong with the policies that are kept, in sentences.
    pub fn damages(&self) -> Result<Vec<String>, StoreError> {
        let found = self.identities()?.into_iter().map(|it| self.find(it));
        Ok(found
            .filter_map(Result::err)
            .map(|error| error.to_string())
            .collect())
    }

    /// A policy that was saved.
    pub fn find(&self, identity: Identity) -> Result<Option<Stored>, StoreError> {
        let (yaml, json) = (self.path(identity, "yaml"), self.path(identity, "json"));
        if !yaml.exists() || !json.exists() {
            return Ok(None);
        }
        let text = files::read_text(&yaml, files::POLICY, Owner::Trusted);
        let text = text.map_err(failed("read", &yaml))?;
        if digest(&text) != identity.digest {
            let reason = "its text is not the one that was applied".to_owned();
            return Err(StoreError::Damaged { path: yaml, reason });
        }
        let sheet = files::read(&json, files::STATE, Owner::Trusted);
        let sheet = sheet.map_err(failed("read", &json))?;
        let damaged = |reason: String| StoreError::Damaged {
            path: json.clone(),
            reason,
        };
        let sheet: Sheet =
            serde_json::from_slice(&sheet).map_err(|error| damaged(error.to_string()))?;
        let numbers = Numbers {
            rules: sheet.rules.into_iter().collect(),
            endpoints: sheet.endpoints,
        };
        numbers.check().map_err(damaged)?;
        Ok(Some(Stored {
            identity,
            file: sheet.file,
            applied: sheet.applied,
            text,
            signature: sheet.signature,
            numbers,
        }))
    }

    fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        let entries = fs::read_dir(&self.directory).map_err(failed("list", &self.directory))?;
        Ok(entries
            .filter_map(Result::ok)
            .filter_map(|entry| parse_name(entry.file_name().to_str()?.strip_suffix(".json")?))
            .collect())
    }

    fn path(&self, identity: Identity, kind: &str) -> PathBuf {
        self.directory.join(format!("{}.{kind}", name(identity)))
    }

    /// Replaces a file at once, and waits until it is on the disk.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.temporary(path, bytes)?;
        self.persist(file, path)
    }

    /// Writes what is to be the file at `path`, and waits until it is on the disk.
    fn temporary(&self, path: &Path, bytes: &[u8]) -> Result<NamedTempFile, StoreError> {
        let mut file = NamedTempFile::new_in(&self.directory).map_err(failed("write", path))?;
        file.write_all(bytes).map_err(failed("write", path))?;
        file.as_file().sync_all().map_err(failed("write", path))?;
        Ok(file)
    }

    fn persist(&self, file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
        file.persist(path)
            .map_err(|error| failed("write", path)(error.error))?;
        let directory = fs::File::open(&self.directory).map_err(failed("write", path))?;
        directory.sync_all().map_err(failed("write", path))
    }
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        operation,
        path: path.clone(),
        source,
    }
}

fn name(identity: Identity) -> String {
    format!("{}-{:016x}", identity.serial, identity.digest)
}

fn parse_name(name: &str) -> Option<Identity> {
    let (serial, digest) = name.trim().split_once('-')?;
    let digest = u64::from_str_radix(digest, 16).ok()?;
    Some(Identity {
        serial: serial.parse().ok()?,
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_current(store: &Store, identity: Identity) {
        let prepared = store.prepare(identity).expect("prepare");
        store.set_current(prepared).expect("set");
    }

    fn stored(serial: u64) -> Stored {
        let text = format!("serial: {serial}\n");
        let mut numbers = Numbers::default();
        let rule = RuleName {
            reference_point: "Nf-Vi".into(),
            service: "ssh".into(),
        };
        numbers.rules.insert(rule, 7);
        numbers.endpoints.insert("vim-1".into(), 3);
        Stored {
            identity: Identity {
                serial,
                digest: digest(&text),
            },
            file: "policy.yaml".into(),
            applied: "2026-01-01T00:00:00Z".into(),
            text,
            signature: Some(vec![1, 2]),
            numbers,
        }
    }

    #[test]
    fn what_was_saved_is_found_again() {
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::open(state.path()).expect("open");
        assert_eq!(store.current().expect("read"), None);
        store.save(&stored(1)).expect("save");
        assert_eq!(
            store.current().expect("read"),
            None,
            "saved is not yet current"
        );
        drop(store.prepare(stored(1).identity).expect("prepare"));
        assert_eq!(
            store.current().expect("read"),
            None,
            "prepared is not, either"
        );
        set_current(&store, stored(1).identity);
        assert_eq!(store.current().expect("read"), Some(stored(1)));
    }

    #[test]
    fn a_changed_text_is_damage() {
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::open(state.path()).expect("open");
        store.save(&stored(1)).expect("save");
        let path = store.path(stored(1).identity, "yaml");
        fs::write(&path, "serial: 2\n").expect("write");
        let error = store
            .find(stored(1).identity)
            .expect_err("damaged")
            .to_string();
        assert!(error.contains("damaged"), "{error}");
    }

    #[test]
    fn old_policies_are_forgotten_but_not_the_current_one() {
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::open(state.path()).expect("open");
        for serial in 1..=KEPT as u64 + 8 {
            store.save(&stored(serial)).expect("save");
            set_current(&store, stored(serial).identity);
        }
        assert_eq!(store.identities().expect("list").len(), KEPT);
        assert_eq!(store.find(stored(1).identity).expect("read"), None);
        assert_eq!(
            store.current().expect("read"),
            Some(stored(KEPT as u64 + 8))
        );
    }
}
