//! Sockets, and the QUIC settings for them.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use quinn::{
    Endpoint, EndpointConfig, TokioRuntime, TransportConfig, crypto::rustls::QuicServerConfig,
};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;
use socket2::{Domain, Protocol, Socket, Type};

use super::{ServerError, pki::Seed, trust::Trust};

/// Most connections that wait to be accepted.
const WAITING: usize = 1024;
/// Most buffered bytes of all of them, and of each.
const WAITING_BYTES: u64 = 1 << 20;
const WAITING_BYTES_EACH: u64 = 16 << 10;

/// A UDP socket bound to `address`. An IPv6 socket does not receive IPv4.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A QUIC endpoint on `socket`.
pub(super) fn endpoint(
    socket: UdpSocket,
    trust: &Trust,
    transport: &Arc<TransportConfig>,
) -> Result<Endpoint, ServerError> {
    let (settings, config) = settings(trust, transport)?;
    socket.set_nonblocking(true).map_err(ServerError::Socket)?;
    Endpoint::new(settings, Some(config), socket, Arc::new(TokioRuntime))
        .map_err(ServerError::Socket)
}

/// The QUIC settings for new connections.
pub(super) fn settings(
    trust: &Trust,
    transport: &Arc<TransportConfig>,
) -> Result<(EndpointConfig, quinn::ServerConfig), ServerError> {
    let (quic, _) = trust.handshake().map_err(ServerError::Tls)?;
    let mut config = configured(quic, transport);
    config
        .max_incoming(WAITING)
        .incoming_buffer_size(WAITING_BYTES_EACH)
        .incoming_buffer_size_total(WAITING_BYTES);
    let mut settings = lasting(trust.seed());
    settings.supported_versions(vec![1]);
    Ok((settings, config))
}

/// Settings with keys that are the same after a crash. So the new agent can tell endpoints that
/// their sessions are gone (stateless reset, RFC 9000, section 10.3), and they come back before
/// their leases expire.
fn lasting(seed: &Seed) -> EndpointConfig {
    let key = |purpose: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &seed.0);
        hmac::sign(&key, purpose)
    };
    let reset = hmac::Key::new(hmac::HMAC_SHA256, key(b"stateless reset").as_ref());
    let mut number = [0; 8];
    number.copy_from_slice(&key(b"connection ids").as_ref()[..8]);
    let number = u64::from_be_bytes(number);
    let mut settings = EndpointConfig::new(Arc::new(reset));
    settings.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(number)));
    settings
}

/// The configuration of accepted connections.
pub(super) fn configured(
    quic: QuicServerConfig,
    transport: &Arc<TransportConfig>,
) -> quinn::ServerConfig {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    // An endpoint at another address makes a new claim, so there is no migration. Each address is
    // proven by Retry, never by a token of an earlier connection.
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    config
        .migration(false)
        .validation_token_config(tokens)
        .transport_config(Arc::clone(transport));
    config
}
