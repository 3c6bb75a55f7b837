//! Files that appear completely or not at all.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use tempfile::NamedTempFile;

use crate::PkiError;

/// Who may read a file.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Everyone.
    Public = 0o644,
    /// Only the owner.
    Private = 0o600,
}

/// Writes a file that must not exist yet.
pub fn create(path: &Path, text: &str, mode: Mode, remedy: &'static str) -> Result<(), PkiError> {
    let file = prepare(path, text, mode)?;
    file.persist_noclobber(path).map_err(|error| {
        if error.error.kind() == io::ErrorKind::AlreadyExists {
            return exists(path, remedy);
        }
        failed("write", path)(error.error)
    })?;
    Ok(())
}

/// Writes a file; an existing one is replaced.
pub fn replace(path: &Path, text: &str, mode: Mode) -> Result<(), PkiError> {
    let file = prepare(path, text, mode)?;
    file.persist(path)
        .map_err(|error| failed("write", path)(error.error))?;
    Ok(())
}

/// The text of a file.
pub fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(failed("read", path))
}

/// Makes a directory and those above it, where they do not exist.
pub fn create_directory(path: &Path) -> Result<(), PkiError> {
    fs::create_dir_all(path).map_err(failed("create", path))
}

/// Fails if something is at `path`.
pub fn must_not_exist(path: &Path, remedy: &'static str) -> Result<(), PkiError> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path, remedy));
    }
    Ok(())
}

/// Locks `directory` against other processes until the returned file is dropped.
pub fn lock(directory: &Path) -> Result<File, PkiError> {
    let file = File::open(directory).map_err(failed("open", directory))?;
    file.lock().map_err(failed("lock", directory))?;
    Ok(file)
}

/// Maps an I/O error to the failure of `operation` on `path`.
pub fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::Io {
        operation,
        path,
        source,
    }
}

fn exists(path: &Path, remedy: &'static str) -> PkiError {
    PkiError::Exists {
        path: path.to_owned(),
        remedy,
    }
}

/// A temporary file beside `path` with all of `text`, synced to disk.
fn prepare(path: &Path, text: &str, mode: Mode) -> Result<NamedTempFile, PkiError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let write = || {
        // Temporary files are created private, so others never see a key.
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(Permissions::from_mode(mode as u32))?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(failed("write", path))
}
