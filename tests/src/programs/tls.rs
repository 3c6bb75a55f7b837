//! A real TLS service, which stands for libvirt's remote access.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::machine::namespace::Namespace;
use crate::machine::process::Process;
use crate::net::socket::Outcome;
use crate::programs::certificate::Authority;

/// The port of libvirt over TLS.
pub const PORT: u16 = 16514;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How an attempt at a TLS session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The server's certificate was verified, and a session established in this version of TLS.
    Established(String),
    /// There was no TCP connection.
    NoConnection(Outcome),
    /// There was a TCP connection, but no session.
    Failed(String),
}

/// A running TLS server with a certificate from an authority of its own.
#[derive(Debug)]
pub struct TlsServer {
    _process: Process,
    authority: Authority,
}

impl TlsServer {
    /// Starts one on a port of all addresses.
    pub fn start(namespace: &Namespace, port: u16) -> Result<Self> {
        let authority = Authority::new("test authority")?;
        let identity = authority.issue("server", "DNS:host.example")?;
        let mut command = Command::new("openssl");
        // Without `-www` it ends when its standard input ends.
        command
            .args(["s_server", "-www", "-accept", &format!("*:{port}"), "-key"])
            .arg(&identity.key)
            .arg("-cert")
            .arg(&identity.certificate);
        let mut process = namespace.spawn(&command)?;
        process.wait_for("ACCEPT", START_TIMEOUT)?;
        Ok(Self {
            _process: process,
            authority,
        })
    }

    /// Tries a session from another namespace, checking the server's certificate.
    pub fn handshake(
        &self,
        from: &Namespace,
        address: impl Into<SocketAddr>,
        timeout: Duration,
    ) -> Result<Handshake> {
        let address = address.into();
        let outcome = from.tcp_connect(address, timeout)?;
        if outcome != Outcome::Connected {
            return Ok(Handshake::NoConnection(outcome));
        }
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-connect", &address.to_string(), "-brief"])
            .args([
                "-verify_return_error",
                "-verify_hostname",
                "host.example",
                "-CAfile",
            ])
            .arg(self.authority.certificate());
        let mut process = from.spawn(&command)?;
        if process.wait(timeout).is_err() {
            return Ok(Handshake::Failed("no answer in time".to_owned()));
        }
        let output = process.finish(timeout)?;
        let said = output.stderr + &output.stdout;
        if !output.status.success() {
            return Ok(Handshake::Failed(said));
        }
        let version = said
            .lines()
            .find_map(|line| line.strip_prefix("Protocol version: "));
        match version {
            Some(version) if said.contains("Verification: OK") => {
                Ok(Handshake::Established(version.to_owned()))
            }
            _ => bail!("openssl s_client said something unexpected: {said}"),
        }
    }

    /// The authority that certified the server.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl TlsServer {
    /// Starts one on libvirt's port.
    pub fn libvirt(namespace: &Namespace) -> Result<Self> {
        Self::start(namespace, PORT).context("starting a TLS server")
    }
}
