//! `manoward man`

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::{Cli, Exit, output};

/// Print the manual page, or write the pages of all commands.
///
/// Without --dir the page of `manoward` itself is printed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  manoward man | man -l -
  manoward man --dir /usr/share/man/man1")]
pub struct Man {
    /// Write a page for every command into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(args: Man) -> anyhow::Result<Exit> {
    let Some(dir) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        output::stdout().write_all(&page)?;
        return Ok(Exit::Success);
    };
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    clap_mangen::generate_to(command, &dir)
        .with_context(|| format!("cannot write manual pages to {}", dir.display()))?;
    Ok(Exit::Success)
}
