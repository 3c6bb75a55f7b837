//! The candidate that judges beside the policy in force, on disk: an agent that starts goes on with it.

use std::{fs, io, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, failed};

const FILE: &str = "shadow.json";

/// A candidate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ShadowRecord {
    /// The YAML.
    pub text: String,
    /// Name of the file that it was read from.
    pub file: String,
    /// Its signature, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Vec<u8>>,
    /// Since when it is compared with what is in force.
    pub since: Timestamp,
    /// Digest of that.
    pub beside: u64,
}

impl Store {
    /// The candidate; `None` if there is none.
    pub fn shadow(&self) -> Result<Option<ShadowRecord>, StoreError> {
        let path = self.shadow_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path)(source)),
        };
        let record = serde_json::from_slice(&bytes);
        record.map(Some).map_err(|error| StoreError::Damaged {
            path,
            reason: error.to_string(),
        })
    }

    /// Keeps a candidate.
    pub fn keep_shadow(&self, record: &ShadowRecord) -> Result<(), StoreError> {
        let path = self.shadow_path();
        let bytes = serde_json::to_vec(record).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        self.write(&path, &bytes)
    }

    /// Forgets the candidate.
    pub fn forget_shadow(&self) -> Result<(), StoreError> {
        let path = self.shadow_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn shadow_path(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_kept_until_it_is_forgotten() {
        let state = tempfile::tempdir().expect("a directory");
        let store = Store::open(state.path()).expect("open");
        assert_eq!(store.shadow().expect("read"), None);
        let record = ShadowRecord {
            text: "serial: 2\n".to_owned(),
            file: "/etc/candidate.yaml".to_owned(),
            signature: Some(vec![1; 64]),
            since: Timestamp::from_second(1_800_000_000).expect("a time"),
            beside: u64::MAX,
        };
        store.keep_shadow(&record).expect("write");
        assert_eq!(store.shadow().expect("read"), Some(record));
        store.forget_shadow().expect("remove");
        store.forget_shadow().expect("nothing to remove");
        assert_eq!(store.shadow().expect("read"), None);
    }
}
