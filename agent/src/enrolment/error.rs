//! Why a host does not listen for endpoints.

use std::{io, net::SocketAddr, time::Duration};

use thiserror::Error;

use super::pki::PkiError;

/// Why there is no enrolment.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Files cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// An address cannot be listened on.
    #[error("cannot listen on UDP {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket that was handed in cannot be used.
    #[error("cannot use the socket that was handed in: {0}")]
    Socket(io::Error),
    /// Times do not fit.
    #[error(
        "the idle timeout is {idle_timeout:?}; it needs to be at least twice the keepalive, {keepalive:?}, which is not zero"
    )]
    Timing {
        /// Time between signs of life.
        keepalive: Duration,
        /// Silence that ends a session.
        idle_timeout: Duration,
    },
    /// TLS refuses the settings.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}
