//! Real SCTP in user space: usrsctp's examples, over raw IP sockets. The kernel needs no support
//! for SCTP.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::Process;
use crate::machine::wait;

/// The port of the server (RFC 863).
pub const PORT: u16 = 9;

/// IP protocol 132, as `/proc/net/raw` shows it in place of a port.
const RAW_SOCKET: &str = ":0084 ";

/// The server that reads in callbacks; the blocking one sometimes does not wake up (libusrsctp
/// 0.9.5).
const SERVER: &str = "/usr/lib/usrsctp/discard_server_upcall";
const CLIENT: &str = "/usr/lib/usrsctp/client";

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server, which discards what it receives. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    process: Process,
}

impl Server {
    /// Starts one on all addresses.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        // Line-buffered, though its output is a pipe.
        let process = namespace.spawn(&argv(&["stdbuf", "-oL", SERVER])?)?;
        wait::until(&true, START_TIMEOUT, || {
            let sockets = namespace.run(&["cat", "/proc/net/raw", "/proc/net/raw6"])?;
            Ok(sockets.matches(RAW_SOCKET).count() == 2)
        })?;
        Ok(Self { process })
    }

    /// Messages of this length that have come from an address.
    #[must_use]
    pub fn messages(&self, from: IpAddr, length: usize) -> usize {
        let from = match from {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let line = format!("Msg of length {length} received from {from}:");
        self.process.stdout().matches(&line).count()
    }
}

/// Sets an association up, sends lines over it, and shuts it down; returns whether all of that
/// happened in time.
pub fn send(from: &Namespace, to: IpAddr, lines: &str, patience: Duration) -> Result<bool> {
    // The zeros: any local port, and no encapsulation in UDP.
    let (to, port) = (to.to_string(), PORT.to_string());
    let command = argv(&[CLIENT, &to, &port, "0"])?;
    let mut client = from.spawn_fed(&command, lines)?;
    if client.wait(patience).is_err() {
        return Ok(false);
    }
    let output = client.finish(patience)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(output.stdout.contains("SCTP_COMM_UP") && output.stdout.contains("SCTP_SHUTDOWN_COMP"))
}

/// Sets an association up, and sends a line again and again, with this time between two, until the process is
/// dropped.
pub fn speak(from: &Namespace, to: IpAddr, line: &str, every: Duration) -> Result<Process> {
    let every = every.as_secs_f32();
    let script =
        format!("while echo '{line}'; do sleep {every}; done | exec {CLIENT} {to} {PORT} 0");
    from.spawn(&argv(&["sh", "-c", &script])?)
}
