//! Reading files that an operator, or somebody else, may have put anything at.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use nix::libc::O_NONBLOCK;

/// Reads a regular file of at most `most` bytes. It never waits for a writer, as that of a FIFO.
///
/// # Errors
///
/// What the system says, or that it is no regular file, or larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    contents(&file, most)
}

fn contents(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    if !file.metadata()?.is_file() {
        return Err(invalid("it is not a regular file".into()));
    }
    let mut bytes = Vec::new();
    // One more than it may have: a file can grow while it is read.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(invalid(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn a_fifo_a_directory_and_a_large_file_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let large = folder.path().join("large");
        fs::write(&large, [0; 9]).unwrap();
        for (path, why) in [
            (fifo.as_path(), "not a regular file"),
            (folder.path(), "not a regular file"),
            (&large, "more than 8 bytes"),
            (Path::new("/dev/zero"), "not a regular file"),
        ] {
            let error = read(path, 8).unwrap_err().to_string();
            assert!(error.contains(why), "{}: {error}", path.display());
        }
        assert_eq!(read(&large, 9).unwrap(), [0; 9]);
    }
}
