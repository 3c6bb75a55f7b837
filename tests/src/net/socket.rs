//! Sockets inside a namespace, used from outside.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Socket, Type};

use crate::machine::namespace::Namespace;

/// The error of a non-blocking `connect`.
const IN_PROGRESS: i32 = nix::errno::Errno::EINPROGRESS as i32;

/// How an attempt to connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted.
    Connected,
    /// It was answered by a reset: the packet arrived, and nobody listens.
    Refused,
    /// It was not answered: the packet, or its answer, was dropped.
    TimedOut,
    /// There is no route, or an ICMP error said so.
    Unreachable,
}

impl Namespace {
    /// Tries a TCP connection and closes it again.
    pub fn tcp_connect(
        &self,
        address: impl Into<SocketAddr>,
        timeout: Duration,
    ) -> Result<Outcome> {
        let address = address.into();
        match self.tcp_stream(address, timeout)? {
            Ok(_) => Ok(Outcome::Connected),
            Err(error) => match error.kind() {
                ErrorKind::ConnectionRefused => Ok(Outcome::Refused),
                ErrorKind::TimedOut => Ok(Outcome::TimedOut),
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                    Ok(Outcome::Unreachable)
                }
                _ => bail!("{}: connecting to {address}: {error}", self.name()),
            },
        }
    }

    /// Opens a TCP connection, whose reads and writes give up after the same time.
    pub fn tcp_stream(
        &self,
        address: impl Into<SocketAddr>,
        timeout: Duration,
    ) -> Result<io::Result<TcpStream>> {
        let address = address.into();
        self.enter(|| {
            let stream = TcpStream::connect_timeout(&address, timeout)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(stream)
        })
    }

    /// Begins a TCP connection between two addresses, and returns at once. The stream's reads and
    /// writes wait for the connection, and give up after the given time.
    pub fn tcp_begin(
        &self,
        from: impl Into<SocketAddr>,
        to: impl Into<SocketAddr>,
        timeout: Duration,
    ) -> Result<TcpStream> {
        let (from, to) = (from.into(), to.into());
        let begun = self.enter(|| {
            let socket = Socket::new(Domain::for_address(from), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&from.into())?;
            socket.set_nonblocking(true)?;
            match socket.connect(&to.into()) {
                Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
                other => other?,
            }
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(timeout))?;
            socket.set_write_timeout(Some(timeout))?;
            io::Result::Ok(socket.into())
        })?;
        begun.with_context(|| format!("{}: connecting {from} to {to}", self.name()))
    }

    /// Listens. The kernel accepts connections without anybody calling `accept`.
    pub fn tcp_listener(&self, address: impl Into<SocketAddr>) -> Result<TcpListener> {
        let address = address.into();
        self.enter(|| TcpListener::bind(address))?
            .with_context(|| format!("{}: listening on {address}", self.name()))
    }

    /// A UDP socket, whose reads give up after the given time.
    pub fn udp(&self, address: impl Into<SocketAddr>, timeout: Duration) -> Result<UdpSocket> {
        let address = address.into();
        let socket = self
            .enter(|| UdpSocket::bind(address))?
            .with_context(|| format!("{}: binding {address}", self.name()))?;
        socket
            .set_read_timeout(Some(timeout))
            .context("setting a timeout")?;
        Ok(socket)
    }
}
