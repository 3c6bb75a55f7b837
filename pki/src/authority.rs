//! An authority on disk.

use std::path::{Path, PathBuf};

use rcgen::{Issuer, KeyPair};
use time::OffsetDateTime;

use crate::{
    Crl, Entry, PkiError, files,
    index::Index,
    inspect::{certificates, crls},
    key,
};

/// Where the files of an authority are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The root's certificate.
    pub root: PathBuf,
    /// The root's key.
    pub root_key: PathBuf,
    /// The intermediate's certificate, if there is one.
    pub intermediate: PathBuf,
    /// The intermediate's key, if there is one.
    pub intermediate_key: PathBuf,
    /// The revocation lists.
    pub crl: PathBuf,
    /// The directory of issued certificates.
    pub issued: PathBuf,
}

impl Paths {
    /// Those in `directory`.
    pub fn of(directory: &Path) -> Self {
        Self {
            root: directory.join("ca.pem"),
            root_key: directory.join("ca.key"),
            intermediate: directory.join("intermediate.pem"),
            intermediate_key: directory.join("intermediate.key"),
            crl: directory.join("crl.pem"),
            issued: directory.join("issued"),
        }
    }

    /// All but the directory.
    pub fn all(&self) -> [&Path; 5] {
        [
            &self.root,
            &self.root_key,
            &self.intermediate,
            &self.intermediate_key,
            &self.crl,
        ]
    }
}

/// The issuing authority: the intermediate if there is one, else the root.
pub struct Signer {
    /// Name and key.
    pub issuer: Issuer<'static, KeyPair>,
    /// PEM that follows an issued certificate in its file: the intermediate; empty if the root
    /// issues.
    pub chain: String,
    /// When the issuer's certificate expires.
    pub end: OffsetDateTime,
}

/// An authority: a root, or a root with an intermediate, in a directory.
#[derive(Clone, Debug)]
pub struct Authority {
    pub(crate) directory: PathBuf,
    pub(crate) paths: Paths,
}

/// The certificates and revocation lists of an authority.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Root, intermediate, and what was issued, the oldest first.
    pub certificates: Vec<Entry>,
    /// The revocation lists: the issuer's, then that of the root above an intermediate.
    pub crls: Vec<Crl>,
}

impl Authority {
    /// The authority in `directory`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn open(directory: &Path) -> Result<Self, PkiError> {
        Index::read(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            paths: Paths::of(directory),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of certificates that others trust.
    #[must_use]
    pub fn bundle(&self) -> &Path {
        &self.paths.root
    }

    /// The file of revocation lists.
    #[must_use]
    pub fn crl(&self) -> &Path {
        &self.paths.crl
    }

    /// The issuer's certificate: the intermediate if there is one, else the root.
    #[must_use]
    pub fn issuer(&self) -> &Path {
        if self.has_intermediate() {
            &self.paths.intermediate
        } else {
            &self.paths.root
        }
    }

    /// Whether an intermediate issues certificates, not the root.
    #[must_use]
    pub fn has_intermediate(&self) -> bool {
        self.paths.intermediate.exists()
    }

    /// All certificates, with their revocation status, and the revocation lists.
    pub fn inventory(&self) -> Result<Inventory, PkiError> {
        let index = Index::read(&self.directory)?;
        let crls = crls(&files::read(&self.paths.crl)?, &self.paths.crl)?;
        let mut files = vec![self.paths.root.clone()];
        if self.has_intermediate() {
            files.push(self.paths.intermediate.clone());
        }
        let records = index.issued.iter();
        files.extend(records.map(|record| self.copy(&record.serial.to_string())));
        let mut entries = Vec::new();
        for file in files {
            let found = certificates(&files::read(&file)?, &file, &crls)?;
            entries.extend(found.into_iter().take(1));
        }
        Ok(Inventory {
            certificates: entries,
            crls,
        })
    }

    /// The issuing authority, with its key.
    pub(crate) fn signer(&self) -> Result<Signer, PkiError> {
        let (certificate, key, chain) = if self.has_intermediate() {
            let path = &self.paths.intermediate;
            (path, &self.paths.intermediate_key, files::read(path)?)
        } else {
            (&self.paths.root, &self.paths.root_key, String::new())
        };
        let pem = files::read(certificate)?;
        let entry = certificates(&pem, certificate, &[])?.swap_remove(0);
        let end = OffsetDateTime::from_unix_timestamp(entry.not_after.as_second());
        let issuer = Issuer::from_ca_cert_pem(&pem, key::read(key)?)?;
        Ok(Signer {
            issuer,
            chain,
            end: end.unwrap_or_else(|_| OffsetDateTime::now_utc()),
        })
    }

    /// Where the copy of an issued certificate is.
    pub(crate) fn copy(&self, serial: &str) -> PathBuf {
        self.paths.issued.join(format!("{serial}.pem"))
    }
}
