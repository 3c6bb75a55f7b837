//! The index of an authority: what it has issued and revoked.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rcgen::RevocationReason;
use serde::{Deserialize, Serialize};

use crate::{PkiError, Serial, files, files::Mode};

/// Why a certificate is revoked (RFC 5280, 5.3.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No reason is given
    #[default]
    Unspecified,
    /// Someone else has, or may have, the key
    KeyCompromise,
    /// Names or relations of its holder have changed
    AffiliationChanged,
    /// Another certificate takes its place
    Superseded,
    /// It is not needed any more
    CessationOfOperation,
    /// Its holder has lost the privileges that it stands for
    PrivilegeWithdrawn,
}

impl Reason {
    /// The reason code in a revocation list.
    pub(crate) const fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
            Self::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        }
    }
}

/// The content of `index.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Number of the latest revocation list.
    pub crl_number: u64,
    /// What was issued, the oldest first.
    pub issued: Vec<Record>,
}

/// A certificate that was issued.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What its files are called.
    pub name: String,
    /// Its serial.
    pub serial: Serial,
    /// When it expires (seconds since 1970).
    pub not_after: i64,
    /// When and why it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Withdrawn>,
}

/// When and why a certificate was revoked.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// When (seconds since 1970).
    pub at: i64,
    /// Why.
    pub reason: Reason,
}

impl Index {
    /// Reads the index of the authority in `directory`.
    pub fn read(directory: &Path) -> Result<Self, PkiError> {
        let path = Self::path(directory);
        if !path.exists() {
            return Err(PkiError::NoAuthority {
                directory: directory.to_owned(),
            });
        }
        serde_json::from_str(&files::read(&path)?).map_err(|error| PkiError::Content {
            path,
            reason: error.to_string(),
            remedy: "Restore it, or make a new authority in another directory",
        })
    }

    /// Writes it.
    pub fn write(&self, directory: &Path) -> Result<(), PkiError> {
        let path = Self::path(directory);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| files::failed("write", &path)(error.into()))?;
        text.push('\n');
        files::replace(&path, &text, Mode::Public)
    }

    /// Where it is.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join("index.json")
    }
}
