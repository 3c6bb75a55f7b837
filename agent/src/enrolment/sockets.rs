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

use super::{MarkKey, ServerError, pki::Seed, token::TokenKey, trust::Trust};

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
    mark: MarkKey,
) -> Result<Endpoint, ServerError> {
    let address = socket.local_addr().map_err(ServerError::Socket)?;
    let (settings, config) = settings(trust, transport, mark, address)?;
    socket.set_nonblocking(true).map_err(ServerError::Socket)?;
    Endpoint::new(settings, Some(config), socket, Arc::new(TokioRuntime))
        .map_err(ServerError::Socket)
}

/// The QUIC settings for new connections at the `address` of a socket.
pub(super) fn settings(
    trust: &Trust,
    transport: &Arc<TransportConfig>,
    mark: MarkKey,
    address: SocketAddr,
) -> Result<(EndpointConfig, quinn::ServerConfig), ServerError> {
    let (quic, _) = trust.handshake().map_err(ServerError::Tls)?;
    let mut config = configured(quic, transport);
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(ServerError::Random)?;
    config
        .token_key(Arc::new(TokenKey::new(&secret, mark)))
        .max_incoming(WAITING)
        .incoming_buffer_size(WAITING_BYTES_EACH)
        .incoming_buffer_size_total(WAITING_BYTES);
    let mut settings = lasting(trust.seed(), address);
    settings.supported_versions(vec![1]);
    Ok((settings, config))
}

/// Settings with keys that are the same after a crash. So the new agent can tell endpoints that
/// their sessions are gone (stateless reset, RFC 9000, section 10.3), and they come back before
/// their leases expire.
fn lasting(seed: &Seed, address: SocketAddr) -> EndpointConfig {
    let (reset, number) = keys(seed, address);
    let reset = hmac::Key::new(hmac::HMAC_SHA256, reset.as_ref());
    let mut settings = EndpointConfig::new(Arc::new(reset));
    settings.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(number)));
    settings
}

/// The keys of stateless resets and of connection ids. Each socket has its own: who has a session at one
/// address would know the reset of the session with the same id at another (RFC 9000, section 21.11).
fn keys(seed: &Seed, address: SocketAddr) -> (hmac::Tag, u64) {
    let own = hmac::Key::new(hmac::HMAC_SHA256, &seed.0);
    let own = hmac::sign(&own, address.to_string().as_bytes());
    let own = hmac::Key::new(hmac::HMAC_SHA256, own.as_ref());
    let mut number = [0; 8];
    number.copy_from_slice(&hmac::sign(&own, b"connection ids").as_ref()[..8]);
    let reset = hmac::sign(&own, b"stateless reset");
    (reset, u64::from_be_bytes(number))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_has_keys_of_its_own_that_last() {
        let seed = Seed([7; 32]);
        let both = ["0.0.0.0:7443", "[::]:7443"].map(|address| address.parse().unwrap());
        let [v4, v6] = both.map(|address| keys(&seed, address));
        assert_ne!(v4.0.as_ref(), v6.0.as_ref());
        assert_ne!(v4.1, v6.1);
        let again = keys(&seed, both[0]);
        assert_eq!((v4.0.as_ref(), v4.1), (again.0.as_ref(), again.1));
    }
}
