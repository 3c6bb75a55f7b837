//! Folders for a test's files, removed also on Ctrl-C.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// What a shell reports for a process ended by SIGINT.
const INTERRUPTED: i32 = 130;

static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static HANDLER: Once = Once::new();

/// A temporary folder, readable by root alone.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// Makes a folder. `label` becomes a part of its name.
    pub fn new(label: &str) -> Result<Self> {
        HANDLER.call_once(|| {
            // Fails when the process has a handler of its own; then that one is in charge.
            let _ = ctrlc::set_handler(|| {
                remove_all();
                std::process::exit(INTERRUPTED);
            });
        });
        let folder = tempfile::Builder::new()
            .prefix(&format!("mw-{label}-"))
            .tempdir()
            .context("making a temporary folder")?;
        live(|folders| folders.insert(folder.path().to_owned()));
        Ok(Self { folder })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file or folder in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        live(|folders| folders.remove(self.folder.path()));
    }
}

/// Removes every folder that is still there: for a process with a Ctrl-C handler of its own.
pub fn remove_all() {
    live(|folders| {
        for folder in std::mem::take(folders) {
            let _ = fs::remove_dir_all(folder);
        }
    });
}

fn live<T>(change: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
    change(&mut LIVE.lock().unwrap_or_else(PoisonError::into_inner))
}
