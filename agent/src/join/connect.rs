//! One attempt to enrol at a host.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, RecvStream, SendStream, TokioRuntime,
    TransportConfig, VarInt,
};
use tokio::time::timeout;

use super::{Credentials, Failure, Host, place};
use crate::enrolment::{
    sockets,
    wire::{self, Answer, Hello, Place, WireError},
};

/// Time limit of a handshake with one address.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time limit of the host's answer to the claim.
const ANSWER: Duration = Duration::from_secs(10);
/// This end's idle timeout, ms; that of hosts is usually shorter, and the shorter one applies.
const IDLE_MS: u32 = 60_000;
/// Time without packets from the host after which this end sends a keepalive. A host that runs
/// sends more often; one that was restarted answers at once that it does not know the session.
const SILENCE: Duration = Duration::from_secs(6);
/// Keepalive interval that the host is asked for; it decides.
const KEEPALIVE_SECONDS: u64 = 5;
/// Receive and send window, bytes.
const WINDOW: u32 = 16 << 10;

/// The sockets that all sessions share: one for each address family.
#[derive(Clone, Debug)]
pub(super) struct Sockets {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
    transport: Arc<TransportConfig>,
}

impl Sockets {
    /// Opens the sockets; with `bind`, only one, bound to that address.
    pub(super) fn open(bind: Option<IpAddr>) -> io::Result<Self> {
        let v4 = match bind {
            Some(IpAddr::V6(_)) => None,
            Some(address) => Some(endpoint(address)?),
            None => endpoint(Ipv4Addr::UNSPECIFIED.into()).ok(),
        };
        let v6 = match bind {
            Some(IpAddr::V4(_)) => None,
            Some(address) => Some(endpoint(address)?),
            // Without IPv6 in the kernel there is only IPv4.
            None => endpoint(Ipv6Addr::UNSPECIFIED.into()).ok(),
        };
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32(WINDOW))
            .receive_window(VarInt::from_u32(WINDOW))
            .send_window(u64::from(WINDOW))
            .datagram_receive_buffer_size(None)
            .mtu_discovery_config(None)
            .keep_alive_interval(Some(SILENCE))
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))));
        Ok(Self {
            v4,
            v6,
            transport: Arc::new(transport),
        })
    }

    /// The socket of the address family of `address`.
    fn towards(&self, address: SocketAddr) -> Option<&Endpoint> {
        match address {
            SocketAddr::V4(_) => self.v4.as_ref(),
            SocketAddr::V6(_) => self.v6.as_ref(),
        }
    }

    const fn families(&self) -> &'static str {
        match (&self.v4, &self.v6) {
            (Some(_), Some(_)) => "IPv4 and IPv6",
            (Some(_), None) => "IPv4",
            (None, Some(_)) => "IPv6",
            (None, None) => "nothing",
        }
    }

    /// Waits until all peers know that their sessions are closed.
    pub(super) async fn wait_idle(&self) {
        for endpoint in [&self.v4, &self.v6].into_iter().flatten() {
            endpoint.wait_idle().await;
        }
    }
}

fn endpoint(address: IpAddr) -> io::Result<Endpoint> {
    let address = SocketAddr::new(address, 0);
    let socket = sockets::bind(address)?;
    socket.set_nonblocking(true)?;
    Endpoint::new(
        EndpointConfig::default(),
        None,
        socket,
        Arc::new(TokioRuntime),
    )
}

/// What a host granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Granted {
    /// Address and port at which the host was reached.
    pub address: SocketAddr,
    /// Name of this endpoint in the host's policy.
    pub endpoint: String,
    /// Its role.
    pub role: String,
    /// Time after which the lease expires unless it is renewed.
    pub expires_in: Duration,
    /// Interval of the host's keepalives.
    pub keepalive: Duration,
}

/// A session with a host.
#[derive(Debug)]
pub(super) struct Enrolled {
    pub(super) granted: Granted,
    host: Arc<Host>,
    connection: Connection,
    /// Dropping it would end the stream.
    _send: SendStream,
    receive: RecvStream,
}

impl Enrolled {
    /// Waits for the end of the session; cancel-safe.
    pub(super) async fn ended(&mut self) -> Failure {
        let host = (*self.host).clone();
        if let Ok(Answer::Ended { reason, sentence }) = wire::read(&mut self.receive).await {
            return Failure::Ended {
                host,
                reason: wire::shortened(&reason),
                sentence: wire::shortened(&sentence),
            };
        }
        let error = self.connection.closed().await;
        let reason = match error {
            quinn::ConnectionError::TimedOut => "it no longer answers".to_owned(),
            error => wire::shortened(&error.to_string()),
        };
        Failure::Lost { host, reason }
    }

    /// Closes the session.
    pub(super) fn close(&self) {
        self.connection.close(wire::CLOSED, b"closed");
    }
}

/// Enrols at `host` once, at the first of its addresses that answers.
pub(super) async fn enrol(
    sockets: &Sockets,
    credentials: &Credentials,
    host: &Arc<Host>,
) -> Result<Enrolled, Failure> {
    let addresses = resolve(host).await?;
    let mut last = None;
    for address in addresses {
        let Some(endpoint) = sockets.towards(address) else {
            continue;
        };
        match at(endpoint, sockets, credentials, host, address).await {
            Err(failure @ (Failure::NoAnswer { .. } | Failure::Unreachable { .. })) => {
                last = Some(failure);
            }
            ended => return ended,
        }
    }
    Err(last.unwrap_or_else(|| Failure::NoFamily {
        host: (**host).clone(),
        families: sockets.families(),
    }))
}

async fn resolve(host: &Arc<Host>) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(address) = host.address() {
        return Ok(vec![SocketAddr::new(address, host.port)]);
    }
    match tokio::net::lookup_host((host.name.as_str(), host.port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(source) => Err(Failure::Unresolved {
            host: (**host).clone(),
            source,
        }),
    }
}

/// Enrols at one address.
async fn at(
    endpoint: &Endpoint,
    sockets: &Sockets,
    credentials: &Credentials,
    host: &Arc<Host>,
    address: SocketAddr,
) -> Result<Enrolled, Failure> {
    let protocol = |reason: String| Failure::Protocol {
        host: (**host).clone(),
        reason,
    };
    let (quic, witness) = credentials.handshake().map_err(protocol)?;
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::clone(&sockets.transport));
    let lost = |error: &quinn::ConnectionError| match witness.refused() {
        Some(error) => Failure::of_host(host, error, &credentials.files.ca),
        None => Failure::of_connection(host, address, error, credentials),
    };
    let connecting = endpoint
        .connect_with(config, address, &host.name)
        .map_err(|error| Failure::Unreachable {
            host: (**host).clone(),
            address,
            reason: error.to_string(),
        })?;
    let connection = match timeout(HANDSHAKE, connecting).await {
        Ok(connected) => connected.map_err(|error| lost(&error))?,
        Err(_) => {
            return Err(Failure::NoAnswer {
                host: (**host).clone(),
                address,
            });
        }
    };
    // The host verifies this endpoint's certificate only after the handshake has ended here.
    let bound = endpoint.local_addr().map(|bound| bound.ip());
    let bound = bound.unwrap_or_else(|_| Ipv4Addr::UNSPECIFIED.into());
    let place = place::towards(address.ip(), bound).await.map_err(|error| {
        connection.close(wire::PROTOCOL, b"no place");
        protocol(format!(
            "this machine does not tell where it sends from: {error}"
        ))
    })?;
    match timeout(ANSWER, ask(&connection, place)).await {
        Ok(Ok((send, receive, answer))) => {
            let enrolled = |granted| Enrolled {
                granted,
                host: Arc::clone(host),
                connection: connection.clone(),
                _send: send,
                receive,
            };
            judge(host, address, answer).map(enrolled)
        }
        Ok(Err(WireError::Connection(error))) => Err(lost(&error)),
        Ok(Err(error)) => {
            connection.close(wire::PROTOCOL, b"not understood");
            Err(protocol(wire::shortened(&error.to_string())))
        }
        Err(_) => {
            connection.close(wire::PROTOCOL, b"too slow");
            Err(protocol("it does not answer the first message".into()))
        }
    }
}

/// Sends the first message, and reads the answer.
async fn ask(
    connection: &Connection,
    place: Place,
) -> Result<(SendStream, RecvStream, Answer), WireError> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(WireError::Connection)?;
    let hello = Hello {
        version: wire::VERSION,
        program: concat!("manoward ", env!("CARGO_PKG_VERSION")).to_owned(),
        keepalive_seconds: KEEPALIVE_SECONDS,
        place: Some(place),
    };
    let said = wire::write(&mut send, &hello).await;
    // A host that closes early has left its reason in the connection.
    let answer = match (said, wire::read(&mut receive).await) {
        (_, Ok(answer)) => answer,
        (Err(error @ WireError::Connection(_)), _) | (_, Err(error)) => return Err(error),
    };
    Ok((send, receive, answer))
}

fn judge(host: &Host, address: SocketAddr, answer: Answer) -> Result<Granted, Failure> {
    match answer {
        Answer::Granted {
            endpoint,
            role,
            expires_in_seconds,
            keepalive_seconds,
        } => Ok(Granted {
            address,
            endpoint: wire::shortened(&endpoint),
            role: wire::shortened(&role),
            expires_in: Duration::from_secs(expires_in_seconds),
            keepalive: Duration::from_secs(keepalive_seconds),
        }),
        Answer::Refused { reason, sentence } | Answer::Ended { reason, sentence } => {
            Err(Failure::Refused {
                host: host.clone(),
                reason: wire::shortened(&reason),
                sentence: wire::shortened(&sentence),
            })
        }
    }
}
