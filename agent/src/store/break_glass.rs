//! Break glass, on disk: who gets in by the last valid policy, and which doors are open. An agent that starts
//! finds both, also if it finds no policy.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, failed, history::Who};
use crate::{
    files::{self, Owner},
    policy::BreakGlass,
};

const FILE: &str = "break-glass.json";

/// A door that is open for a time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OpenDoor {
    /// Whom it lets in, to what.
    pub access: BreakGlass,
    /// When it was opened (RFC 3339).
    pub opened: String,
    /// When it closes, by the clock of leases: the kernel closes it then.
    pub until: u64,
    /// Who opened it.
    pub who: Option<Who>,
}

/// What is kept.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Kept {
    /// Who gets in by the last valid policy that was in force for good.
    pub policy: Option<BreakGlass>,
    /// The doors that were opened.
    pub doors: Vec<OpenDoor>,
}

impl Store {
    /// What was kept; nothing if there is nothing.
    pub fn break_glass(&self) -> Result<Kept, StoreError> {
        let path = self.break_glass_path();
        match files::read(&path, files::SETTINGS, Owner::Trusted) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(source) => Err(failed("read", &path)(source)),
        }
    }

    /// Keeps this.
    pub fn keep_break_glass(&self, kept: &Kept) -> Result<(), StoreError> {
        let path = self.break_glass_path();
        let bytes = serde_json::to_vec(kept).map_err(|error| damaged(path.clone(), &error))?;
        self.write(&path, &bytes)
    }

    fn break_glass_path(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

fn damaged(path: PathBuf, error: &serde_json::Error) -> StoreError {
    let reason = error.to_string();
    StoreError::Damaged { path, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again() {
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::open(state.path()).expect("open");
        assert_eq!(store.break_glass().expect("nothing"), Kept::default());
        let access = BreakGlass {
            addresses: vec!["198.51.100.2/32".parse().expect("a prefix")],
            services: vec!["ssh".to_owned()],
            ports: vec![(6, 22, 22)],
            mac: Some([2, 0, 0, 0, 0, 1]),
            interface: None,
        };
        let kept = Kept {
            policy: Some(access.clone()),
            doors: vec![OpenDoor {
                access,
                opened: "2026-01-02T03:04:05Z".to_owned(),
                until: u64::MAX - 1,
                who: Some(Who::default()),
            }],
        };
        store.keep_break_glass(&kept).expect("write");
        assert_eq!(store.break_glass().expect("read"), kept);
        std::fs::write(store.break_glass_path(), "{").expect("write");
        assert!(store.break_glass().is_err());
    }
}
