//! `manoward pki`: the command line of the crate `manoward-pki`.

mod certificates;
pub mod init;
pub mod issue;
mod listing;
pub mod revoke;
pub mod show;

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use clap::{Args, Subcommand};

use super::{output, tone::Tone};

/// Make certificates for labs and tests.
///
/// A small certificate authority in a directory. It is for labs and tests, and not for production:
/// its keys lie there unencrypted, and nobody approves what it issues. A certificate names its
/// endpoint by a URI, such as a SPIFFE ID, or by a DNS name. This command needs no agent.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward pki init lab-ca
  manoward pki issue lab-ca vim-1 --uri spiffe://operator.example/vim/1
  manoward pki revoke lab-ca vim-1
  manoward pki show lab-ca")]
pub struct Pki {
    /// What to do with certificates
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with certificates.
#[derive(Subcommand)]
pub enum Command {
    Init(init::Init),
    Issue(issue::Issue),
    Revoke(revoke::Revoke),
    Show(show::Show),
}

/// `days` as a duration.
fn days(days: u32) -> Duration {
    Duration::from_hours(24 * u64::from(days))
}

/// Notes on standard error that the authority is not for production.
fn warn() -> io::Result<()> {
    let text = "this authority is for labs and tests, not for production: its keys lie \
                unencrypted in its directory";
    output::remark(Tone::Warning, "note", text)
}

/// Lists the files that were written, the names aligned.
fn files(out: &mut impl Write, lines: &[(&str, &Path)]) -> io::Result<()> {
    let longest = lines.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    for (what, path) in lines {
        let what = Tone::Quiet.paint(format!("{what:<longest$}"));
        writeln!(out, "  {what}  {}", path.display())?;
    }
    Ok(())
}
