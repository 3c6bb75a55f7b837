//! The TCP sockets of this network namespace, asked of the kernel (`sock_diag(7)`), and their end.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_sock_diag::{
    SockDiagDestroy, SockDiagMessage,
    constants::{
        AF_INET, AF_INET6, IPPROTO_TCP, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV,
        TCP_SYN_SENT, TCP_TIME_WAIT,
    },
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr as KernelAddr, protocols::NETLINK_SOCK_DIAG};
use thiserror::Error;

/// Longer than any message of the kernel's.
const BUFFER_LEN: usize = 1 << 16;

/// Why sockets cannot be asked for, or ended.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The kernel does not answer, or refuses.
    #[error("cannot ask the kernel for its sockets: {0}")]
    Io(#[from] io::Error),
    /// The answer cannot be understood.
    #[error("cannot understand the kernel's table of sockets: {0}")]
    Decode(#[from] DecodeError),
}

/// How far a TCP connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// One side has sent SYN.
    Opening,
    /// Both have acknowledged it.
    Established,
    /// One side has sent FIN.
    Closing,
}

/// A TCP connection of a socket.
#[derive(Clone, Debug)]
pub struct TcpSocket {
    /// Its own end.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// How far it has come.
    pub progress: Progress,
    /// Whether something listens at its own port: the peer has begun it.
    pub is_served: bool,
    /// Time since data was sent or received.
    pub idle: Duration,
    /// Bytes of data that the peer has acknowledged.
    pub sent: u64,
    /// Bytes of data that were received.
    pub received: u64,
    id: SocketId,
}

/// All TCP connections of this network namespace.
///
/// # Errors
///
/// [`SocketError`].
pub fn tcp() -> Result<Vec<TcpSocket>, SocketError> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        found.extend(dump(family)?);
    }
    let listening: Vec<u16> = found
        .iter()
        .filter(|it| it.header.state == TCP_LISTEN)
        .map(|it| it.header.socket_id.source_port)
        .collect();
    Ok(found
        .into_iter()
        .filter_map(|response| connection(response, &listening))
        .collect())
}

impl TcpSocket {
    /// Ends the connection: both sides see it reset.
    ///
    /// # Errors
    ///
    /// [`SocketError`], also where the kernel cannot (before Linux 4.9, or without `INET_DIAG_DESTROY`).
    pub fn destroy(&self) -> Result<(), SocketError> {
        let request = InetRequest {
            family: family(self.id.source_address),
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id: self.id.clone(),
        };
        let message = SockDiagDestroy::new(SockDiagMessage::InetRequest(request));
        let mut refused = Ok(());
        ask(message, NLM_F_REQUEST | NLM_F_ACK, |payload| {
            if let NetlinkPayload::Error(error) = payload
                && error.code.is_some()
            {
                refused = Err(error.to_io().into());
            }
            Next::Stop
        })?;
        refused
    }
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

/// Every TCP socket of one family.
fn dump(family: u8) -> Result<Vec<InetResponse>, SocketError> {
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::all(),
        socket_id: if family == AF_INET {
            SocketId::new_v4()
        } else {
            SocketId::new_v6()
        },
    };
    let mut found = Vec::new();
    let mut refused = Ok(());
    let message = SockDiagMessage::InetRequest(request);
    ask(
        message,
        NLM_F_REQUEST | NLM_F_DUMP,
        |payload| match payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                found.push(*response);
                Next::More
            }
            NetlinkPayload::Error(error) => {
                refused = Err(error.to_io().into());
                Next::Stop
            }
            NetlinkPayload::Done(_) => Next::Stop,
            _ => Next::More,
        },
    )?;
    refused.map(|()| found)
}

/// Whether more messages are waited for.
#[derive(PartialEq)]
enum Next {
    More,
    Stop,
}

/// Sends `message`, and shows what is answered.
fn ask<T: NetlinkSerializable>(
    message: T,
    flags: u16,
    mut each: impl FnMut(NetlinkPayload<SockDiagMessage>) -> Next,
) -> Result<(), SocketError>
where
    NetlinkPayload<T>: From<T>,
{
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&KernelAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let mut buffer = Vec::with_capacity(BUFFER_LEN);
    loop {
        buffer.clear();
        let len = socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)?;
            // Messages are padded to four bytes.
            let next = (message.header.length as usize).next_multiple_of(4);
            if each(message.payload) == Next::Stop {
                return Ok(());
            }
            rest = rest.get(next.max(4)..).unwrap_or_default();
        }
    }
}

/// The connection of a socket; `None` of one that waits for connections, or has none any more.
fn connection(response: InetResponse, listening: &[u16]) -> Option<TcpSocket> {
    let progress = match response.header.state {
        TCP_LISTEN | TCP_CLOSE | TCP_TIME_WAIT => return None,
        TCP_SYN_SENT | TCP_SYN_RECV => Progress::Opening,
        TCP_ESTABLISHED => Progress::Established,
        _ => Progress::Closing,
    };
    let id = response.header.socket_id;
    let info = response.nlas.iter().find_map(|nla| match nla {
        Nla::TcpInfo(bytes) => Some(Info(bytes)),
        _ => None,
    });
    let info = info.unwrap_or(Info(&[]));
    let canonical = |address: IpAddr, port| SocketAddr::new(address.to_canonical(), port);
    Some(TcpSocket {
        local: canonical(id.source_address, id.source_port),
        remote: canonical(id.destination_address, id.destination_port),
        progress,
        is_served: listening.contains(&id.source_port),
        idle: info.idle(),
        sent: info.word64(120),
        received: info.word64(128),
        id,
    })
}

/// `struct tcp_info` (linux/tcp.h), of which older kernels give less.
struct Info<'a>(&'a [u8]);

impl Info<'_> {
    fn idle(&self) -> Duration {
        let since_sent = self.word32(44);
        Duration::from_millis(since_sent.min(self.word32(52)).into())
    }

    fn word32(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    fn word64(&self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }
}
