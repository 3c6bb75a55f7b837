//! The control socket, and who may connect to it.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use nix::unistd::{Group, chown};
use thiserror::Error;
use tokio::net::UnixListener;

/// Owner and group may connect.
const SOCKET_MODE: u32 = 0o660;

/// Why the API cannot be served.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Another agent is there.
    #[error(
        "{path} is already served by a live agent. Stop it first (`systemctl stop manoward`), or give this one a `socket` of its own in agent.yaml"
    )]
    Served {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is there.
    #[error(
        "{path} is there already, and is no socket. Name another path under `socket` in agent.yaml, or move it away"
    )]
    NoSocket {
        /// What is there.
        path: PathBuf,
    },
    /// The group does not exist.
    #[error(
        "this host has no group `{0}`. Create it (`groupadd --system {0}`) or correct `group` in agent.yaml"
    )]
    NoGroup(String),
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Opens the socket at `path`; members of `group` may connect to it.
pub fn open(path: &Path, group: Option<&str>) -> Result<UnixListener, ServerError> {
    let failed = |operation| {
        move |source| ServerError::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    };
    match fs::symlink_metadata(path) {
        // What is there may be anything that somebody needs: only a socket is replaced.
        Ok(there) if !there.file_type().is_socket() => {
            return Err(ServerError::NoSocket {
                path: path.to_owned(),
            });
        }
        _ => {}
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ServerError::Served {
            path: path.to_owned(),
        });
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed("create the directory of"))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace")(error));
        }
        _ => {}
    }
    let group = group.map(find_group).transpose()?;
    let listener = UnixListener::bind(path).map_err(failed("listen at"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))
        .map_err(failed("set the mode of"))?;
    if let Some(group) = group {
        chown(path, None, Some(group.gid))
            .map_err(|error| failed("set the group of")(error.into()))?;
    }
    Ok(listener)
}

fn find_group(name: &str) -> Result<Group, ServerError> {
    Group::from_name(name)
        .ok()
        .flatten()
        .ok_or_else(|| ServerError::NoGroup(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        let error = open(&path, None).unwrap_err().to_string();
        assert!(error.contains("is no socket"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();
        drop(open(&path, None).unwrap());
        let again = open(&path, None);
        assert!(again.is_ok(), "one that is left over is replaced");
        let second = open(&path, None).unwrap_err();
        assert!(matches!(second, ServerError::Served { .. }));
    }
}
