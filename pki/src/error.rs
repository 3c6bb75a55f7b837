//! What can go wrong, and what to do about it.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why an operation of the certificate authority failed.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file operation failed.
    #[error("cannot {operation} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file exists already.
    #[error("{} exists and is not overwritten: {remedy}", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// A directory holds no authority.
    #[error(
        "{} holds no certificate authority, as it has no index.json. Make one: manoward pki init {}",
        .directory.display(),
        .directory.display()
    )]
    NoAuthority {
        /// The directory.
        directory: PathBuf,
    },
    /// A file has unusable content.
    #[error("cannot use {}: {reason}. {remedy}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The request is invalid.
    #[error("{reason}: {remedy}")]
    Request {
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The authority has not issued this certificate.
    #[error(
        "{} has issued no certificate {what}. See what it has: manoward pki show {}",
        .directory.display(),
        .directory.display()
    )]
    Unknown {
        /// What was looked for.
        what: String,
        /// The authority's directory.
        directory: PathBuf,
    },
    /// Several valid certificates have the same name.
    #[error("several valid certificates are named `{name}`: revoke one with --serial {}", .serials.join(" or "))]
    Ambiguous {
        /// Their name.
        name: String,
        /// Their serials.
        serials: Vec<String>,
    },
    /// Something could not be encoded or signed.
    #[error("cannot sign: {0}")]
    Sign(#[from] rcgen::Error),
    /// The kernel gives no random numbers.
    #[error("cannot get random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl PkiError {
    /// A request that cannot be fulfilled.
    pub(crate) fn request(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Request {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}
