//! The kernel of this machine: runs the guest directly, without an emulated machine.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use manoward_guest_report::{Line, Row};

use super::machine::Ending;
use crate::process;

/// Runs `guest`, which only loads the programs whose rows contain `word`. Its standard error is
/// kept under `folder`.
pub fn run(guest: &Path, folder: &Path, word: &str, mut each: impl FnMut(&Row)) -> Result<Ending> {
    let mut command = process::command(guest);
    command.arg(word);
    command.stderr(File::create(folder.join("console.log")).context("making console.log")?);
    let output = command.output().context("starting the guest's process")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut rows = Vec::new();
    let mut cut = Some(format!("the guest ended early ({})", output.status));
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
        bail!("the kernel's release is empty");
    }
    Ok(release.to_owned())
}
