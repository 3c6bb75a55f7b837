//! What has to be known of leases by the agent that starts after this one: which certificate each rests
//! on, and who gets none.
//!
//! Leases themselves are in the kernel, which forgets them when the host restarts. So their records are
//! not synced to the disk: they have to outlive the agent only. Bars outlive the host.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{StoreError, failed};
use crate::files::{self, Owner};

const RECORDS: &str = "leases.jsonl";
const BARS: &str = "bars.json";

/// Records that are written before those of leases that have ended are left out.
const SPARE: usize = 1024;

/// What a lease was given for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeaseRecord {
    /// Number of the endpoint.
    pub number: u32,
    /// Its address.
    pub address: IpAddr,
    /// MAC address that the proof came from, as [`Origin`](verdict::frame::origin::Origin) has it.
    pub mac: u64,
    /// VLAN tags and interface, as the kernel knows them.
    pub link: u64,
    /// What was proven.
    pub identity: String,
    /// When.
    pub since: Timestamp,
    /// The chain of certificates, PEM, the endpoint's own first.
    pub chain: String,
}

/// Who gets no lease.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bar {
    /// Whose.
    pub identity: String,
    /// Until when; `None` is for good.
    pub until: Option<Timestamp>,
}

/// Records of leases, and bars, in the directory of the agent's state.
#[derive(Debug)]
pub struct LeaseStore {
    directory: PathBuf,
    /// Open for appending, once something was written.
    records: Option<File>,
    /// Lines in it.
    lines: usize,
}

impl LeaseStore {
    /// The store in `state`, which exists.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self {
            directory: state.to_owned(),
            records: None,
            lines: 0,
        }
    }

    /// The latest record of each lease, by number and address. What cannot be read is left out.
    ///
    /// # Errors
    ///
    /// If there is a file that cannot be read.
    pub fn records(&self) -> Result<BTreeMap<(u32, IpAddr), LeaseRecord>, StoreError> {
        let path = self.directory.join(RECORDS);
        let bytes = read(&path)?.unwrap_or_default();
        let lines = bytes.split(|&byte| byte == b'\n');
        let records = lines.filter_map(|line| serde_json::from_slice::<LeaseRecord>(line).ok());
        Ok(records
            .map(|record| ((record.number, record.address), record))
            .collect())
    }

    /// Adds the record of a lease that is about to be given. `held` gives those of the leases in force,
    /// `count` in number, which alone are kept where there are many others.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn add(
        &mut self,
        record: &LeaseRecord,
        count: usize,
        held: impl FnOnce() -> Vec<LeaseRecord>,
    ) -> Result<(), StoreError> {
        let path = self.directory.join(RECORDS);
        if self.records.is_none() || self.lines > 2 * count + SPARE {
            self.rewrite(&path, &held())?;
        }
        let Some(file) = &mut self.records else {
            return Ok(());
        };
        let written = file.write_all(&line(record));
        self.lines += 1;
        written.map_err(|source| {
            // The next begins a file anew, as this one may end within a line.
            self.records = None;
            failed("write", &path)(source)
        })
    }

    /// Replaces the file by one with these records.
    fn rewrite(&mut self, path: &Path, held: &[LeaseRecord]) -> Result<(), StoreError> {
        let text: Vec<u8> = held.iter().flat_map(line).collect();
        replace(&self.directory, path, &text, false)?;
        let file = OpenOptions::new()
            .append(true)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed("open", path))?;
        self.records = Some(file);
        self.lines = held.len();
        Ok(())
    }

    /// Who gets no lease.
    ///
    /// # Errors
    ///
    /// If there is a file that cannot be read, or is damaged.
    pub fn bars(&self) -> Result<Vec<Bar>, StoreError> {
        let path = self.directory.join(BARS);
        let Some(bytes) = read(&path)? else {
            return Ok(Vec::new());
        };
        serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
            path,
            reason: error.to_string(),
        })
    }

    /// Keeps who gets no lease, also over a restart of the host.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn set_bars(&self, bars: &[Bar]) -> Result<(), StoreError> {
        let path = self.directory.join(BARS);
        let text = serde_json::to_vec(bars).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        replace(&self.directory, &path, &text, true)
    }
}

/// The file's contents; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match files::read(path, files::STATE, Owner::Trusted) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path)(source)),
    }
}

/// The record as a line. It holds text and numbers only, of which JSON can always be made.
fn line(record: &LeaseRecord) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Replaces the file at `path` at once, and waits until it is on the disk if `synced`.
fn replace(directory: &Path, path: &Path, bytes: &[u8], synced: bool) -> Result<(), StoreError> {
    let mut file = NamedTempFile::new_in(directory).map_err(failed("write", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    if synced {
        file.as_file().sync_all().map_err(failed("write", path))?;
    }
    file.persist(path)
        .map_err(|error| failed("write", path)(error.error))?;
    if synced {
        let directory = File::open(directory).map_err(failed("write", path))?;
        directory.sync_all().map_err(failed("write", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(number: u32, identity: &str) -> LeaseRecord {
        LeaseRecord {
            number,
            address: [192, 0, 2, 10].into(),
            mac: 7,
            link: 2 << 32,
            identity: identity.into(),
            since: Timestamp::UNIX_EPOCH,
            chain: "PEM\n".into(),
        }
    }

    #[test]
    fn the_latest_record_counts_and_a_torn_line_does_not() {
        let state = tempfile::tempdir().unwrap();
        let mut store = LeaseStore::new(state.path());
        assert!(store.records().unwrap().is_empty());
        for identity in ["one", "two"] {
            store.add(&record(1, identity), 0, Vec::new).unwrap();
        }
        let file = state.path().join(RECORDS);
        let torn = [fs::read(&file).unwrap(), b"{\"number\":1,".to_vec()].concat();
        fs::write(&file, torn).unwrap();
        let records = LeaseStore::new(state.path()).records().unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records.values().next(), Some(&record(1, "two")));
    }

    #[test]
    fn records_of_leases_that_have_ended_are_left_out() {
        let state = tempfile::tempdir().unwrap();
        let mut store = LeaseStore::new(state.path());
        let held = [record(0, "held")];
        for number in 1..=3 * SPARE as u32 {
            let ended = record(number, "ended");
            store.add(&ended, 1, || held.to_vec()).unwrap();
        }
        let records = store.records().unwrap();
        assert!(records.len() <= SPARE + 8, "{}", records.len());
        assert!(records.values().any(|record| record.identity == "held"));
    }

    #[test]
    fn bars_are_kept_and_damage_is_named() {
        let state = tempfile::tempdir().unwrap();
        let store = LeaseStore::new(state.path());
        assert_eq!(store.bars().unwrap(), []);
        let bar = Bar {
            identity: "vim.example".into(),
            until: None,
        };
        store.set_bars(std::slice::from_ref(&bar)).unwrap();
        assert_eq!(store.bars().unwrap(), [bar]);
        fs::write(state.path().join(BARS), "{").unwrap();
        assert!(store.bars().unwrap_err().to_string().contains("damaged"));
    }
}
