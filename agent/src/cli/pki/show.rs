//! `manoward pki show`

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use manoward::pki::{self, Authority, Crl, Entry};
use serde::Serialize;

use super::certificates;
use crate::cli::{
    Context, Exit,
    output::{self, Format},
};

/// Show certificates: whom they name, how long they are valid, and what is revoked.
///
/// Shows all that an authority has, or what is in a PEM file. What is revoked is known from the
/// list of who issued it: that of the authority, crl.pem beside the file, or --crl. Signatures are
/// not verified; `openssl verify` does that.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward pki show lab-ca
  manoward pki show vim-1.pem --crl lab-ca/crl.pem
  manoward pki show lab-ca --output json | jq -r '.certificates[] | select(.revocation.status == \"revoked\").serial'")]
pub struct Show {
    /// An authority's directory, or a file of certificates
    #[arg(value_name = "DIR|FILE.pem")]
    path: PathBuf,

    /// For a file: know from this revocation list what is revoked
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
}

/// What is shown.
#[derive(Serialize)]
pub struct Shown {
    /// Certificates in the order of the file, or the oldest first.
    pub certificates: Vec<Shaped>,
    /// The lists that tell what is revoked.
    pub crls: Vec<Crl>,
}

/// A certificate with what the time makes of it.
#[derive(Serialize)]
pub struct Shaped {
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
    /// Until it ends; negative if it has.
    pub valid_seconds: i64,
}

impl Shown {
    /// All that an authority has.
    pub fn of(authority: &Authority) -> anyhow::Result<Self> {
        let inventory = authority.inventory()?;
        Ok(Self::new(inventory.certificates, inventory.crls))
    }

    fn new(entries: Vec<Entry>, crls: Vec<Crl>) -> Self {
        let now = Timestamp::now().as_second();
        let shape = |entry: Entry| Shaped {
            valid_seconds: entry.not_after.as_second() - now,
            entry,
        };
        Self {
            certificates: entries.into_iter().map(shape).collect(),
            crls,
        }
    }
}

pub fn run(args: &Show, context: &Context) -> anyhow::Result<Exit> {
    let shown = if args.path.is_dir() {
        Shown::of(&Authority::open(&args.path)?)?
    } else {
        of_file(&args.path, args.crl.as_deref())?
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &shown)?,
        Format::Table => certificates::show(&mut out, &shown, output::width())?,
    }
    Ok(Exit::Success)
}

fn of_file(path: &Path, crl: Option<&Path>) -> anyhow::Result<Shown> {
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let beside = path.with_file_name("crl.pem");
    let crl = crl.or_else(|| beside.is_file().then_some(beside.as_path()));
    let crls = match crl {
        Some(crl) => pki::crls(&read(crl)?, crl)?,
        None => Vec::new(),
    };
    let entries = pki::certificates(&read(path)?, path, &crls)?;
    Ok(Shown::new(entries, crls))
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use manoward::pki::{Name, Options, Reason, Request, Validity, Which};
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
    fn programs_get_the_same() {
        let (directory, authority) = lab();
        let value = serde_json::to_value(Shown::of(&authority).unwrap()).unwrap();
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
        // A file beside the list says the same of itself.
        let shown = of_file(&directory.path().join("vim-2.pem"), None).unwrap();
        let of_file = serde_json::to_value(shown).unwrap();
        assert_eq!(
            of_file["certificates"][0]["revocation"]["status"],
            "revoked"
        );
    }
}
