//! Reading files that an operator, or somebody else, may have put anything at: what the agent reads when it
//! starts, and whenever these files change.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::{
    libc::O_NONBLOCK,
    unistd::{Uid, geteuid},
};

/// Largest file of settings, keys or a signature, in bytes.
pub const SETTINGS: u64 = 1 << 20;
/// Largest file of a policy, in bytes: two million addresses, the most there may be, are 90 MiB where each is
/// IPv6 and written out.
pub const POLICY: u64 = 128 << 20;
/// Largest file that the agent keeps for itself, in bytes.
pub const STATE: u64 = 256 << 20;

/// Mode bits by which others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;

/// Whose files are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// Whoever's: a command does with them what its caller wants.
    Anyone,
    /// Those of root, or of the user that this process runs as, to which nobody else may write: whoever may
    /// write to what the agent reads decides what it enforces.
    Trusted,
}

/// Reads a regular file of at most `most` bytes. It never waits for a writer, as that of a FIFO.
///
/// # Errors
///
/// What the system says; or, with the remedy, that it is no regular file, is larger, or is not the `owner`'s.
pub fn read(path: &Path, most: u64, owner: Owner) -> io::Result<Vec<u8>> {
    let invalid = |what: String| Err(io::Error::new(ErrorKind::InvalidInput, what));
    let shown = path.display();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return invalid("it is not a regular file. Put one there, or name another".into());
    }
    if owner == Owner::Trusted {
        let uid = Uid::from_raw(metadata.uid());
        if !uid.is_root() && uid != geteuid() {
            return invalid(format!(
                "the user with id {uid} owns it, and decides what is in it. Take it over, after a look at what is in it: `chown root {shown}`"
            ));
        }
        if metadata.mode() & OTHERS_WRITE != 0 {
            return invalid(format!(
                "others than its owner may write to it. Forbid it, after a look at what is in it: `chmod go-w {shown}`"
            ));
        }
    }
    let mut bytes = Vec::new();
    // One more than it may have: a file can grow while it is read.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return invalid(format!("it has more than {most} bytes"));
    }
    Ok(bytes)
}

/// Reads a file as [`read`] does, as text.
///
/// # Errors
///
/// Those of [`read`], or that it is no text.
pub fn read_text(path: &Path, most: u64, owner: Owner) -> io::Result<String> {
    String::from_utf8(read(path, most, owner)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt as _, chown},
    };

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
            for owner in [Owner::Anyone, Owner::Trusted] {
                let error = read(path, 8, owner).unwrap_err().to_string();
                assert!(error.contains(why), "{}: {error}", path.display());
            }
        }
        assert_eq!(read(&large, 9, Owner::Trusted).unwrap(), [0; 9]);
    }

    #[test]
    fn what_others_may_write_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        fs::write(&path, "x").unwrap();
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path, 8, Owner::Trusted).unwrap_err().to_string();
            assert!(error.contains("`chmod go-w /"), "{error}");
            assert!(read(&path, 8, Owner::Anyone).is_ok());
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path, 8, Owner::Trusted).is_ok());
        // Who may not give files away cannot show the rest.
        if geteuid().is_root() {
            chown(&path, Some(65_534), None).unwrap();
            let error = read(&path, 8, Owner::Trusted).unwrap_err().to_string();
            assert!(error.contains("`chown root /"), "{error}");
            assert!(read(&path, 8, Owner::Anyone).is_ok());
        }
    }
}
