//! `manoward completions`

use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Exit, output};

/// Print a completion script for a shell.
///
/// The script completes commands, options and their values.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward completions bash > /usr/share/bash-completion/completions/manoward
  manoward completions zsh > /usr/share/zsh/site-functions/_manoward
  manoward completions fish > /usr/share/fish/vendor_completions.d/manoward.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Completions) -> anyhow::Result<Exit> {
    // Generated into memory first: the generator panics if its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "manoward", &mut script);
    output::stdout().write_all(&script)?;
    Ok(Exit::Success)
}
