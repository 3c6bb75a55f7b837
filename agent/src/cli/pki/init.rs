//! `manoward pki init`

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use manoward_pki::{Authority, KeyAlgorithm, Options};

use super::{days, files, listing::Listing, warn};
use crate::cli::{
    Context, Exit,
    output::{self, Format},
    tone::Tone,
};

/// Make a certificate authority for labs and tests.
///
/// Writes the certificate ca.pem, which others are to trust, its key ca.key, and an empty
/// revocation list crl.pem. Not for production: the keys are not encrypted. Nothing that exists is
/// overwritten.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward pki init lab-ca
  manoward pki init lab-ca --name 'Lab 3' --algorithm ed25519 --days 30
  manoward pki init lab-ca --intermediate

RSA keys cannot be made here; docs/pki.md shows how to make them with OpenSSL.")]
pub struct Init {
    /// Directory for the authority; created if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Name of the authority
    #[arg(long, value_name = "NAME", default_value_t = Options::default().name)]
    name: String,

    /// Algorithm of its keys
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value_t)]
    algorithm: KeyAlgorithm,

    /// Days that it is valid
    #[arg(long, value_name = "N", default_value = "3650", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,

    /// Issue from an intermediate authority, so that the root's key can be kept elsewhere
    #[arg(long)]
    intermediate: bool,
}

pub fn run(args: Init, context: &Context) -> anyhow::Result<Exit> {
    let authority = Authority::create(
        &args.directory,
        &Options {
            name: args.name,
            algorithm: args.algorithm,
            lifetime: days(args.days),
            intermediate: args.intermediate,
        },
    )?;
    let mut out = output::stdout();
    if context.format == Format::Json {
        output::json(&mut out, &Listing::of(&authority)?)?;
        return Ok(Exit::Success);
    }
    let directory = authority.directory();
    let root_key = directory.join("ca.key");
    let intermediate_key = directory.join("intermediate.key");
    let mut lines = vec![
        ("trust", authority.bundle()),
        ("revocation list", authority.crl()),
    ];
    if args.intermediate {
        lines.push(("key that issues", &intermediate_key));
        lines.push(("key of the root", &root_key));
    } else {
        lines.push(("key that issues", &root_key));
    }
    let done = Tone::Good.paint("authority made");
    writeln!(out, "{done} in {}", directory.display())?;
    files(&mut out, &lines)?;
    let next = format!(
        "next: manoward pki issue {} NAME --uri spiffe://operator.example/vim/1",
        directory.display()
    );
    writeln!(out, "{}", Tone::Quiet.paint(next))?;
    warn()?;
    Ok(Exit::Success)
}
