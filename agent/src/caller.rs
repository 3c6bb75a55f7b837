//! Who is at the other end of the control socket: its terminal, and the connection it came over, as
//! the kernel tells them. Environment variables are not asked: they are what somebody claims.

use std::{collections::BTreeSet, fmt, net::SocketAddr};

use procfs::{
    ProcError,
    net::{TcpState, tcp, tcp6},
    process::{FDTarget, Process},
};
use serde::{Deserialize, Serialize};

/// Most processes that are looked at, from the caller to the first of all.
const ANCESTORS: usize = 32;

/// A TCP connection of this host.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Connection {
    /// This host's end.
    pub local: SocketAddr,
    /// The far end.
    pub peer: SocketAddr,
}

/// A terminal, by its device number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terminal {
    major: u32,
    minor: u32,
}

/// Device numbers of terminals (`Documentation/admin-guide/devices.txt` of Linux).
const CONSOLES: u32 = 4;
const FIRST_SERIAL: u32 = 64;
const ALTERNATE: u32 = 5;
const PSEUDO: std::ops::RangeInclusive<u32> = 136..=143;
const HYPERVISOR: u32 = 229;
const LOW_DENSITY_SERIAL: u32 = 204;

impl Terminal {
    /// The terminal with the device number of the field `tty_nr`, see `proc_pid_stat(5)`.
    const fn from_number(number: i32) -> Option<Self> {
        let number = number.cast_unsigned();
        if number == 0 {
            return None;
        }
        Some(Self {
            major: number >> 8 & 0xfff,
            minor: number & 0xff | number >> 12 & 0xfff00,
        })
    }

    /// Whether it is one of the machine itself, and none that a program made, as those of SSH, tmux
    /// and sudo are.
    #[must_use]
    pub const fn is_console(self) -> bool {
        match self.major {
            CONSOLES | HYPERVISOR | LOW_DENSITY_SERIAL => true,
            ALTERNATE => self.minor == 1,
            _ => false,
        }
    }
}

impl fmt::Display for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor } = self;
        match *major {
            CONSOLES if *minor < FIRST_SERIAL => write!(f, "tty{minor}"),
            CONSOLES => write!(f, "ttyS{}", minor - FIRST_SERIAL),
            ALTERNATE if *minor == 1 => f.write_str("console"),
            HYPERVISOR => write!(f, "hvc{minor}"),
            major if PSEUDO.contains(&major) => {
                write!(f, "pts/{}", (major - PSEUDO.start()) << 20 | minor)
            }
            major => write!(f, "device {major}:{minor}"),
        }
    }
}

/// The terminal of the process `pid`.
#[must_use]
pub fn terminal(pid: u32) -> Option<Terminal> {
    Terminal::from_number(Process::new(pid.cast_signed()).ok()?.stat().ok()?.tty_nr)
}

/// The open TCP connections of this network namespace, without those from the host to itself.
pub fn connections() -> Result<BTreeSet<Connection>, ProcError> {
    Ok(sockets()?.map(|(connection, _)| connection).collect())
}

/// The connections that the process `pid` came over: those of the nearest of its ancestors, or of its
/// own, that has any. `None` where this process may not look into others.
#[must_use]
pub fn connections_of(pid: u32) -> Option<Vec<Connection>> {
    let sockets: Vec<(Connection, u64)> = sockets().ok()?.collect();
    let mut pid = pid.cast_signed();
    for _ in 0..ANCESTORS {
        let Ok(process) = Process::new(pid) else {
            break;
        };
        match process.fd() {
            Ok(descriptors) => {
                let inodes: BTreeSet<u64> = descriptors
                    .filter_map(|descriptor| match descriptor.ok()?.target {
                        FDTarget::Socket(inode) => Some(inode),
                        _ => None,
                    })
                    .collect();
                let own = sockets.iter().filter(|(_, inode)| inodes.contains(inode));
                let own: Vec<Connection> = own.map(|&(connection, _)| connection).collect();
                if !own.is_empty() {
                    return Some(own);
                }
            }
            Err(ProcError::PermissionDenied(_)) => return None,
            Err(_) => {}
        }
        match process.stat() {
            Ok(stat) if stat.ppid > 0 => pid = stat.ppid,
            _ => break,
        }
    }
    Some(Vec::new())
}

/// The established connections and the numbers of their sockets.
fn sockets() -> Result<impl Iterator<Item = (Connection, u64)>, ProcError> {
    // A host without IPv6 has no such table.
    let entries = tcp()?.into_iter().chain(tcp6().unwrap_or_default());
    let open = entries.filter(|entry| entry.state == TcpState::Established);
    Ok(open.filter_map(|entry| {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let connection = Connection {
            local: canonical(entry.local_address),
            peer: canonical(entry.remote_address),
        };
        let to_itself = connection.peer.ip().is_loopback();
        (!to_itself).then_some((connection, entry.inode))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(major: i32, minor: i32) -> (String, bool) {
        let number = minor & 0xff | major << 8 | (minor & 0xfff00) << 12;
        let terminal = Terminal::from_number(number).expect("a terminal");
        (terminal.to_string(), terminal.is_console())
    }

    #[test]
    fn consoles_are_told_from_what_programs_make() {
        assert_eq!(named(4, 1), ("tty1".into(), true));
        assert_eq!(named(4, 64), ("ttyS0".into(), true));
        assert_eq!(named(5, 1), ("console".into(), true));
        assert_eq!(named(229, 0), ("hvc0".into(), true));
        assert_eq!(named(204, 64), ("device 204:64".into(), true));
        assert_eq!(named(136, 3), ("pts/3".into(), false));
        assert_eq!(named(136, 300), ("pts/300".into(), false));
        assert_eq!(named(5, 0), ("device 5:0".into(), false));
        assert_eq!(Terminal::from_number(0), None);
    }

    #[test]
    fn a_process_without_a_connection_has_none() {
        assert_eq!(connections_of(1), Some(Vec::new()));
    }
}
