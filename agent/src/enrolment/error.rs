//! Errors of starting the enrolment server.

use std::{io, net::SocketAddr, time::Duration};

use thiserror::Error;

use super::pki::PkiError;

/// Why the enrolment server cannot start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Files cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The server cannot listen on an address.
    #[error("cannot listen on UDP {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket given by the caller cannot be used.
    #[error("cannot use the given socket: {0}")]
    Socket(io::Error),
    /// The idle timeout is too short for the keepalive interval, or too long for QUIC.
    #[error(
        "the idle timeout is {idle_timeout:?}, and the keepalive interval {keepalive:?}: the first must be at least twice the second, which must not be zero"
    )]
    Timing {
        /// The keepalive interval.
        keepalive: Duration,
        /// The idle timeout.
        idle_timeout: Duration,
    },
    /// The system gives no random numbers.
    #[error("cannot make a key: {0}")]
    Random(getrandom::Error),
    /// TLS refuses the settings.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}
