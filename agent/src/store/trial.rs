//! The policy that is on trial, on disk: an agent that starts finds what is left of the trial.

use std::{collections::BTreeSet, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Identity, Store, StoreError, failed, name, parse_name};
use crate::{
    caller::Connection,
    files::{self, Owner},
};

const FILE: &str = "trial.json";

/// Longest trial, in seconds.
pub const LONGEST: u64 = 24 * 60 * 60;

/// A policy on trial.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrialRecord {
    /// Which policy.
    pub identity: Identity,
    /// Seconds within which it is to be confirmed.
    pub within: u64,
    /// Connections that were open when it began; `None` if that is not known.
    pub connections: Option<BTreeSet<Connection>>,
}

#[derive(Deserialize, Serialize)]
struct Sheet {
    policy: String,
    within: u64,
    connections: Option<BTreeSet<Connection>>,
}

impl Store {
    /// The policy on trial; `None` if there is none.
    pub fn trial(&self) -> Result<Option<TrialRecord>, StoreError> {
        let path = self.trial_path();
        let bytes = match files::read(&path, files::STATE, Owner::Trusted) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path)(source)),
        };
        let damaged = |reason: String| StoreError::Damaged {
            path: path.clone(),
            reason,
        };
        let sheet: Sheet =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let identity = parse_name(&sheet.policy)
            .ok_or_else(|| damaged(format!("`{}` names no policy", sheet.policy)))?;
        if sheet.within > LONGEST {
            return Err(damaged(format!("no trial takes {} s", sheet.within)));
        }
        Ok(Some(TrialRecord {
            identity,
            within: sheet.within,
            connections: sheet.connections,
        }))
    }

    /// Notes that a policy is on trial.
    pub fn begin_trial(&self, trial: &TrialRecord) -> Result<(), StoreError> {
        let path = self.trial_path();
        let sheet = Sheet {
            policy: name(trial.identity),
            within: trial.within,
            connections: trial.connections.clone(),
        };
        let bytes = serde_json::to_vec(&sheet).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        self.write(&path, &bytes)
    }

    /// Notes that no policy is on trial.
    pub fn end_trial(&self) -> Result<(), StoreError> {
        let path = self.trial_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn trial_path(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_found_until_it_ends() {
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::open(state.path()).expect("open");
        assert_eq!(store.trial().expect("read"), None);
        let ends = ["192.0.2.1:22", "[2001:db8::1]:50000"].map(|end| end.parse().expect("an end"));
        let mut trial = TrialRecord {
            identity: Identity {
                serial: 7,
                digest: u64::MAX,
            },
            within: 60,
            connections: None,
        };
        store.begin_trial(&trial).expect("write");
        assert_eq!(store.trial().expect("read").as_ref(), Some(&trial));
        let [local, peer] = ends;
        trial.connections = Some(BTreeSet::from([Connection { local, peer }]));
        store.begin_trial(&trial).expect("write");
        assert_eq!(store.trial().expect("read").as_ref(), Some(&trial));
        trial.within = u64::MAX;
        store.begin_trial(&trial).expect("write");
        assert!(matches!(store.trial(), Err(StoreError::Damaged { .. })));
        store.end_trial().expect("remove");
        store.end_trial().expect("nothing to remove");
        assert_eq!(store.trial().expect("read"), None);
    }
}
