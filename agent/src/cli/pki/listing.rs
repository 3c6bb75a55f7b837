//! What `manoward pki show` shows: certificates, the time that they have left, and revocation
//! lists.

use std::{fs, path::Path};

use anyhow::Context as _;
use jiff::Timestamp;
use manoward_pki::{Authority, Crl, Entry};
use serde::Serialize;

/// Certificates and revocation lists.
#[derive(Serialize)]
pub struct Listing {
    /// Certificates in the order of the file, or the oldest first.
    pub certificates: Vec<Listed>,
    /// Revocation lists of their issuers.
    pub crls: Vec<Crl>,
}

/// A certificate with the time that it has left.
#[derive(Serialize)]
pub struct Listed {
    /// Its contents.
    #[serde(flatten)]
    pub entry: Entry,
    /// Seconds until it expires; negative after that.
    pub valid_seconds: i64,
}

impl Listing {
    /// All certificates and lists of an authority.
    pub fn of(authority: &Authority) -> anyhow::Result<Self> {
        let inventory = authority.inventory()?;
        Ok(Self::new(inventory.certificates, inventory.crls))
    }

    /// The certificates in a file. What is revoked is read from the list `crl`, or, without one,
    /// from `crl.pem` beside the file if that exists.
    pub fn of_file(path: &Path, crl: Option<&Path>) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let beside = path.with_file_name("crl.pem");
        let crl = crl.or_else(|| beside.is_file().then_some(beside.as_path()));
        let crls = match crl {
            Some(crl) => manoward_pki::crls(&read(crl)?, crl)?,
            None => Vec::new(),
        };
        let entries = manoward_pki::certificates(&read(path)?, path, &crls)?;
        Ok(Self::new(entries, crls))
    }

    fn new(entries: Vec<Entry>, crls: Vec<Crl>) -> Self {
        let now = Timestamp::now().as_second();
        let listed = |entry: Entry| Listed {
            valid_seconds: entry.not_after.as_second() - now,
            entry,
        };
        Self {
            certificates: entries.into_iter().map(listed).collect(),
            crls,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use manoward_pki::{Name, Options, Reason, Request, Validity, Which};
    use tempfile::TempDir;

    use super::*;

    /// An authority with a certificate and a revoked one.
    pub fn lab() -> (TempDir, Authority) {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create(directory.path(), &Options::default()).unwrap();
        let name = Name::uri("spiffe://operator.example/vim/1").unwrap();
        for vim in ["vim-1", "vim-2"] {
            let request = Request {
                validity: Validity::For(Duration::from_mins(61)),
                ..Request::endpoint(vim, [name.clone()])
            };
            authority.issue(&request, directory.path()).unwrap();
        }
        let which = Which::Named("vim-2".into());
        authority.revoke(&which, Reason::KeyCompromise).unwrap();
        (directory, authority)
    }

    #[test]
    fn json_has_certificates_and_lists() {
        let (directory, authority) = lab();
        let value = serde_json::to_value(Listing::of(&authority).unwrap()).unwrap();
        let certificates = value["certificates"].as_array().unwrap();
        assert_eq!(certificates.len(), 3);
        assert_eq!(certificates[0]["authority"], true);
        let names = &certificates[1]["names"];
        assert_eq!(names[0]["uri"], "spiffe://operator.example/vim/1");
        assert_eq!(certificates[1]["revocation"]["status"], "good");
        assert_eq!(certificates[2]["revocation"]["status"], "revoked");
        assert_eq!(certificates[2]["revocation"]["reason"], 1);
        assert!(certificates[1]["valid_seconds"].as_i64().unwrap() > 3600);
        let list = &value["crls"][0];
        assert_eq!(list["number"], 2);
        assert_eq!(list["revoked"][0]["serial"], certificates[2]["serial"]);
        // The list beside the file applies to it.
        let listing = Listing::of_file(&directory.path().join("vim-2.pem"), None).unwrap();
        let of_file = serde_json::to_value(listing).unwrap();
        assert_eq!(
            of_file["certificates"][0]["revocation"]["status"],
            "revoked"
        );
    }
}
