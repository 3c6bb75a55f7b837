//! `manoward pki show`

use std::path::PathBuf;

use clap::Args;
use manoward_pki::Authority;

use super::{certificates, listing::Listing};
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
