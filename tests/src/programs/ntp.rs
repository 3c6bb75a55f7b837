//! chrony: a real time server, and a client that asks and does not set the clock.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::Process;
use crate::machine::wait;

/// The port of NTP.
pub const PORT: u16 = 123;

/// Port 123 of any address, as `/proc/net/udp` shows it.
const SOCKET: &str = ":007B ";

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server, which never touches the clock. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    _process: Process,
}

impl Server {
    /// Starts one on all addresses.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let mut command = argv(&["chronyd", "-d", "-x", "-u", "root", "-f", "/dev/null"])?;
        command
            .args(["local stratum 1", "allow all", "cmdport 0"])
            .args(["bindcmdaddress /", "pidfile /run/chronyd-server.pid"]);
        let process = namespace.spawn(&command)?;
        wait::until(&true, START_TIMEOUT, || {
            let sockets = namespace.run(&["cat", "/proc/net/udp", "/proc/net/udp6"])?;
            Ok(sockets.matches(SOCKET).count() == 2)
        })?;
        Ok(Self { _process: process })
    }
}

/// Whether a server answers with the time within two seconds.
pub fn ask(from: &Namespace, server: IpAddr) -> Result<bool> {
    let server = format!("server {server} iburst maxsamples 1");
    let mut command = argv(&["chronyd", "-Q", "-t", "2", "-u", "root", "-f", "/dev/null"])?;
    command.arg(server);
    let output = from.output(&command)?;
    let said = output.stderr + &output.stdout;
    if said.contains("System clock wrong by") {
        return Ok(true);
    }
    if said.contains("Timeout reached") {
        return Ok(false);
    }
    bail!("chronyd said something unexpected: {said}")
}
