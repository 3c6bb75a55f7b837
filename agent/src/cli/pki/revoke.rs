//! `manoward pki revoke`

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use manoward_pki::{Authority, Reason, Revoking, Serial, Which};

use crate::cli::{
    Context, Exit,
    output::{self, Format},
    tone::Tone,
};

/// Revoke a certificate that the authority has issued.
///
/// Adds it to the revocation list crl.pem, which is signed again with a higher number and replaced
/// in one step. Revoking it a second time changes nothing. For labs and tests, not for production:
/// the new list is not distributed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward pki revoke lab-ca vim-1
  manoward pki revoke lab-ca vim-1 --reason key-compromise
  manoward pki revoke lab-ca --certificate vim-1.pem
  manoward pki revoke lab-ca --serial 3f0a96c1f0b34d52a8c4f6d2b7e91c05")]
pub struct Revoke {
    /// Directory of the authority
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    #[command(flatten)]
    certificate: Selection,

    /// Reason of the revocation
    #[arg(long, value_enum, value_name = "REASON", default_value_t)]
    reason: Reason,
}

/// Which certificate: one of these.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Selection {
    /// The certificate's name, as it was issued
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// The certificate's serial, in hexadecimal
    #[arg(long, value_name = "HEX")]
    serial: Option<Serial>,

    /// File with the certificate
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

impl From<Selection> for Which {
    fn from(selection: Selection) -> Self {
        match (selection.name, selection.serial) {
            (Some(name), _) => Self::Named(name),
            (None, Some(serial)) => Self::Serial(serial),
            // The command line requires one of the three.
            (None, None) => Self::File(selection.certificate.unwrap_or_default()),
        }
    }
}

pub fn run(args: Revoke, context: &Context) -> anyhow::Result<Exit> {
    let authority = Authority::open(&args.directory)?;
    let revoking = authority.revoke(&args.certificate.into(), args.reason)?;
    let mut out = output::stdout();
    match context.format {
        Format::Json => output::json(&mut out, &revoking)?,
        Format::Table => show(&mut out, &authority, &revoking)?,
    }
    Ok(Exit::Success)
}

fn show(out: &mut impl Write, authority: &Authority, revoking: &Revoking) -> io::Result<()> {
    let Revoking {
        name,
        serial,
        since,
        crl_number,
        ..
    } = revoking;
    let list = authority.crl().display();
    if revoking.already {
        let done = Tone::Warning.paint(format!("{name} was revoked before"));
        writeln!(out, "{done}, at {since}: nothing changed")?;
    } else {
        let done = Tone::Good.paint(format!("{name} is revoked"));
        writeln!(out, "{done}: {list} lists it from number {crl_number} on")?;
    }
    writeln!(out, "{}", Tone::Quiet.paint(format!("serial {serial}")))?;
    if !revoking.already {
        let next = "next: copy the list to the hosts that read it";
        writeln!(out, "{}", Tone::Quiet.paint(next))?;
    }
    Ok(())
}
