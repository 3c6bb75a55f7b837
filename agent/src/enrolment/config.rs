//! Settings of the enrolment server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};

use super::{
    MarkKey, ServerError, sockets,
    trust::{Files, Trust},
    wire,
};

/// Time limit of a handshake and the endpoint's first message; after it, the connection is closed.
pub const HANDSHAKE: Duration = Duration::from_secs(5);

/// Receive and send window of a connection, bytes; messages are much smaller.
const WINDOW: u32 = 16 << 10;
/// Buffer for handshake data, bytes; large enough for a certificate chain.
const CRYPTO_BUFFER: usize = 16 << 10;

/// Settings of a [`Server`](super::Server).
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Certificates and key.
    pub files: Files,
    /// Key of the marks in tokens; the datapath has the same, where there is one.
    pub mark: MarkKey,
    /// Interval of keepalives in each session.
    pub keepalive: Duration,
    /// Time without packets from the peer after which a session ends; at least two keepalive
    /// intervals.
    pub idle_timeout: Duration,
    /// Most sessions open at the same time.
    pub max_sessions: usize,
    /// Most handshakes in progress, each for at most [`HANDSHAKE`].
    pub max_handshakes: usize,
    /// Most handshakes in progress from one address, so that one peer cannot keep others out.
    pub max_handshakes_per_source: usize,
}

impl Config {
    /// The default settings for `files`, without an address to listen on.
    #[must_use]
    pub const fn new(files: Files) -> Self {
        Self {
            listen: Vec::new(),
            files,
            mark: [0; 2],
            keepalive: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
            max_sessions: 4096,
            max_handshakes: 256,
            max_handshakes_per_source: 64,
        }
    }

    /// The QUIC settings for new connections, for callers that deliver datagrams in other ways than
    /// a socket.
    pub fn quic(&self) -> Result<(EndpointConfig, ServerConfig), ServerError> {
        let trust = Trust::read(&self.files)?;
        let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), wire::PORT);
        sockets::settings(&trust, &self.transport()?, self.mark, address)
    }

    /// The QUIC transport settings: small buffers, one stream, no datagrams.
    pub(super) fn transport(&self) -> Result<Arc<TransportConfig>, ServerError> {
        if self.keepalive.is_zero() || self.keepalive * 2 > self.idle_timeout {
            return Err(ServerError::Timing {
                keepalive: self.keepalive,
                idle_timeout: self.idle_timeout,
            });
        }
        let idle = IdleTimeout::try_from(self.idle_timeout).map_err(|_| ServerError::Timing {
            keepalive: self.keepalive,
            idle_timeout: self.idle_timeout,
        })?;
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(1))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32(WINDOW))
            .receive_window(VarInt::from_u32(WINDOW))
            .send_window(u64::from(WINDOW))
            .crypto_buffer_size(CRYPTO_BUFFER)
            .datagram_receive_buffer_size(None)
            .mtu_discovery_config(None)
            .keep_alive_interval(Some(self.keepalive))
            .max_idle_timeout(Some(idle));
        Ok(Arc::new(transport))
    }
}
