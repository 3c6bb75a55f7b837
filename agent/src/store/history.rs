//! What was done to the policy in force, and by whom: a file to which lines are only ever added.
//!
//! Each line is a JSON object that carries the SHA-256 of the line before, so that a line that was
//! changed, moved or taken out shows. A line counts once it is ended; one that is torn is cut off.

use std::{
    fs::OpenOptions,
    io::{self, Seek as _, SeekFrom, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Identity, StoreError, failed};
use crate::files::{self, Owner};

/// What became of a policy.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It was enforced, for good.
    Applied,
    /// It was enforced, and is to be confirmed.
    Tried,
    /// It was confirmed.
    Confirmed,
    /// It was not confirmed in time.
    Lapsed,
    /// It was taken back.
    Cancelled,
    /// It was found in force, and nothing above says how that came.
    Found,
    /// A break-glass door was opened while it was in force.
    Opened,
    /// That door was closed, or its time was over.
    Closed,
}

impl Event {
    /// Whether the policy was in force for good from then on.
    #[must_use]
    pub const fn lasts(self) -> bool {
        matches!(self, Self::Applied | Self::Confirmed | Self::Found)
    }

    /// Whether the policy is not to be enforced again unless somebody says so.
    #[must_use]
    pub const fn ends_trial(self) -> bool {
        matches!(self, Self::Lapsed | Self::Cancelled)
    }
}

/// Who did it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Who {
    /// User id, as the kernel told.
    pub uid: Option<u32>,
    /// Process id, as the kernel told.
    pub pid: Option<u32>,
    /// Terminal, such as `pts/0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// The far end of the session that the command came over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
}

/// A line of the history.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When (RFC 3339).
    pub time: String,
    /// What became of the policy.
    pub event: Event,
    /// Serial of the policy.
    pub serial: u64,
    /// SHA-256 of its text, of which the kernel keeps the first 64 bits.
    pub digest: String,
    /// The file that it came from.
    pub file: String,
    /// Seconds within which it is to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<u64>,
    /// Serial of the policy whose text it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// What a break-glass door lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<String>,
    /// Why, in the words of whoever did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who did it; the agent itself if nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// SHA-256 of the line before; zeros in the first.
    pub before: String,
}

impl Entry {
    /// The policy that it is about.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let digest = u64::from_str_radix(self.digest.get(..16)?, 16).ok()?;
        Some(Identity {
            serial: self.serial,
            digest,
        })
    }

    /// Whether it is about the policy `identity`.
    #[must_use]
    pub fn is_about(&self, identity: Identity) -> bool {
        self.identity() == Some(identity)
    }
}

/// What is to be added.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reason {
    /// Why, in the words of whoever did it.
    pub message: Option<String>,
    /// Who did it; the agent itself if nobody.
    pub who: Option<Who>,
    /// Serial of the policy whose text is repeated.
    pub restores: Option<u64>,
}

/// A line that was added, and how long the file was before: it can be taken back.
#[derive(Debug)]
#[must_use]
pub struct Added {
    length: u64,
}

/// The file.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
}

/// What is wrong with the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flaw {
    /// Line, from 1.
    pub line: u64,
    /// What is wrong: a sentence without its first capital and its full stop.
    pub message: String,
}

const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl History {
    /// The history at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every line that can be read, the oldest first.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let text = self.whole_lines()?;
        let lines = text.lines();
        Ok(lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Adds a line, and waits until it is on the disk. `entry` has neither number nor `before` yet.
    pub fn add(&self, mut entry: Entry) -> Result<Added, StoreError> {
        let text = self.whole_lines()?;
        let last = text.lines().last();
        let number = last.and_then(|line| serde_json::from_str::<Entry>(line).ok());
        entry.number = number.map_or(text.lines().count() as u64, |entry| entry.number) + 1;
        entry.before = last.map_or_else(|| FIRST.to_owned(), hash);
        let length = text.len() as u64;
        let mut line = serde_json::to_vec(&entry).map_err(|error| StoreError::Damaged {
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        line.push(b'\n');
        self.write(length, &line)
            .map_err(failed("write", &self.path))?;
        Ok(Added { length })
    }

    /// Takes back what was added last.
    pub fn take_back(&self, added: &Added) -> Result<(), StoreError> {
        let shorten = || {
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(added.length)?;
            file.sync_all()
        };
        shorten().map_err(failed("write", &self.path))
    }

    /// What became last of the policy `identity`; `None` if nothing is known of it.
    pub fn last_about(&self, identity: Identity) -> Result<Option<Entry>, StoreError> {
        let mut entries = self.entries()?.into_iter();
        Ok(entries.rfind(|entry| entry.is_about(identity)))
    }

    /// The chain from its beginning: how many lines hold, and the hash of the last one.
    pub fn verify(&self) -> Result<Result<(u64, String), Flaw>, StoreError> {
        let text = self.whole_lines()?;
        let mut before = FIRST.to_owned();
        let mut count = 0;
        for line in text.lines() {
            count += 1;
            let flaw = |message: &str| {
                Ok(Err(Flaw {
                    line: count,
                    message: message.to_owned(),
                }))
            };
            let Ok(entry) = serde_json::from_str::<Entry>(line) else {
                return flaw("it is no entry of a history");
            };
            if entry.before != before {
                return flaw("the line before it was changed, or lines were taken out there");
            }
            if entry.number != count {
                return flaw("its number does not follow that of the line before");
            }
            before = hash(line);
        }
        Ok(Ok((count, before)))
    }

    /// The text without a line that was not written to its end.
    fn whole_lines(&self) -> Result<String, StoreError> {
        let mut bytes = match files::read(&self.path, files::STATE, Owner::Trusted) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(failed("read", &self.path)(source)),
        };
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        bytes.truncate(whole.map_or(0, |last| last + 1));
        String::from_utf8(bytes).map_err(|_| StoreError::Damaged {
            path: self.path.clone(),
            reason: "it is no text".to_owned(),
        })
    }

    /// Writes `line` behind the first `length` bytes. What cannot be written whole is cut off again.
    fn write(&self, length: u64, line: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let mut file = options.open(&self.path)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        let written = file.write_all(line).and_then(|()| file.sync_all());
        if written.is_err() {
            file.set_len(length)?;
        }
        written
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests;
