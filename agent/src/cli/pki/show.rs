//! `manoward pki show`

use std::path::PathBuf;

use clap::Args;
use manoward_pki::Authority;

use super::{certificates, listing::Listing};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
};

/// Show certificates: whom they name, until when they are valid, and which are revoked.
///
/// Shows all certificates of an authority, or those in a PEM file. What is revoked is read from the
/// authority's list; for a file, from --crl, or else from crl.pem beside the file. Signatures are
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

    /// For a file: revocation list of the issuer
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
}

pub fn run(args: &Show, context: &Context) -> anyhow::Result<Exit> {
    let listing = if args.path.is_dir() {
        Listing::of(&Authority::open(&args.path)?)?
    } else {
        Listing::of_file(&args.path, args.crl.as_deref())?
    };
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &listing)?,
        Format::Table => certificates::show(&mut out, &listing, output::width())?,
    }
    Ok(Exit::Success)
}
