//! The kernel of this machine: what its verifier takes, asked without an emulated one.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use manoward_guest_report::{Line, Row};

use super::machine::Ending;
use crate::process;

/// Runs `guest`, which looks at the programs alone, as far as `word` is in their rows. What else it
/// says is kept under `folder`.
pub fn run(guest: &Path, folder: &Path, word: &str, mut each: impl FnMut(&Row)) -> Result<Ending> {
    let mut command = process::command(guest);
    command.arg(word);
    command.stderr(File::create(folder.join("console.log")).context("making console.log")?);
    let output = command.output().context("starting the guest's process")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut rows = Vec::new();
    let mut cut = Some(format!("the look ended early ({})", output.status));
    for line in Line::read(&text) {
        match line {
            Line::Row(row) => {
                each(&row);
                rows.push(row);
            }
            Line::Done => cut = None,
        }
    }
    Ok(Ending { rows, cut })
}

/// This machine's release, as in `uname -r`.
pub fn release() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let release = release.trim();
    if release.is_empty() {
        bail!("the kernel does not tell its release");
    }
    Ok(release.to_owned())
}
