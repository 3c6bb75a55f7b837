//! What a host's network stack delivers, received by sockets.
//!
//! A raw socket receives what the stack hands to a transport protocol: after reassembly and the
//! parsing of options, extension headers and tags, and before the transport's checksum is verified.
//! Datagram sockets receive what a service would.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use manoward::explain::to_hex;
use nix::errno::Errno;
use nix::libc::in6_pktinfo;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::machine::namespace::Namespace;

/// IPv4 protocols that are listened to: transports, tunnels, and one without any meaning.
const PROTOCOLS4: [u8; 10] = [1, 2, 4, 6, 17, 41, 47, 50, 51, 132];
/// IPv6 protocols that are listened to.
const PROTOCOLS6: [u8; 9] = [4, 6, 17, 41, 47, 50, 51, 58, 132];

/// Ports of UDP at which a service listens too.
const PORTS: [u16; 5] = [53, 7000, 7001, 7002, 7003];

/// Receive buffer in bytes: room for all deliveries of a batch.
const BUFFER: usize = 4 << 20;
/// Longest datagram, bytes.
const LONGEST: usize = 65_536;

/// A socket that received something.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Listener {
    /// A raw socket of this protocol.
    Transport(u8),
    /// The socket at this port of UDP.
    Service(u16),
}

/// Something that was delivered.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Delivery {
    /// The socket.
    pub listener: Listener,
    /// The source address, as the stack has it.
    pub source: IpAddr,
    /// The destination address, as the stack has it.
    pub destination: IpAddr,
    /// From the transport header on; for a service, what it carried.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listener,
            source,
            destination,
            bytes,
        } = self;
        write!(
            f,
            "{listener:?} {source} > {destination}: {}",
            to_hex(bytes)
        )
    }
}

/// Deliveries, and how often each was made.
pub type Deliveries = BTreeMap<Delivery, u32>;

/// All sockets of one host.
pub struct Sockets {
    v4: Vec<Socket>,
    v6: Vec<(Listener, Socket)>,
    buffer: Vec<u8>,
}

impl Sockets {
    /// Listens from now on.
    pub fn open(host: &Namespace) -> Result<Self> {
        let (v4, v6) = host.enter(|| -> Result<_> {
            let v4 = PROTOCOLS4.iter().map(|&protocol| raw4(protocol));
            let v6 = PROTOCOLS6.iter().map(|&protocol| raw6(protocol));
            let services = PORTS.iter().map(|&port| service(port));
            Ok((
                v4.collect::<Result<Vec<_>>>()?,
                v6.chain(services).collect::<Result<Vec<_>>>()?,
            ))
        })??;
        Ok(Self {
            v4,
            v6,
            buffer: vec![0; LONGEST],
        })
    }

    /// Adds what has been delivered since the last call.
    pub fn take(&mut self, deliveries: &mut Deliveries) -> Result<()> {
        let mut keep = |delivery| *deliveries.entry(delivery).or_default() += 1;
        for socket in &self.v4 {
            while let Some(delivery) = receive4(socket, &mut self.buffer)? {
                keep(delivery);
            }
        }
        for (listener, socket) in &self.v6 {
            while let Some(delivery) = receive6(*listener, socket, &mut self.buffer)? {
                keep(delivery);
            }
        }
        Ok(())
    }
}

fn raw4(protocol: u8) -> Result<Socket> {
    let socket = Socket::new(
        Domain::IPV4,
        Type::RAW,
        Some(Protocol::from(i32::from(protocol))),
    )
    .with_context(|| format!("a raw socket of protocol {protocol}"))?;
    enlarge_buffer(&socket)?;
    Ok(socket)
}

fn raw6(protocol: u8) -> Result<(Listener, Socket)> {
    let socket = Socket::new(
        Domain::IPV6,
        Type::RAW,
        Some(Protocol::from(i32::from(protocol))),
    )
    .with_context(|| format!("a raw IPv6 socket of protocol {protocol}"))?;
    enlarge_buffer(&socket)?;
    setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true).context("IPV6_RECVPKTINFO")?;
    Ok((Listener::Transport(protocol), socket))
}

/// A datagram socket for both families.
fn service(port: u16) -> Result<(Listener, Socket)> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).context("a datagram socket")?;
    socket.set_only_v6(false).context("IPV6_V6ONLY")?;
    let any = (Ipv6Addr::UNSPECIFIED, port);
    socket
        .bind(&std::net::SocketAddr::from(any).into())
        .with_context(|| format!("binding port {port}"))?;
    enlarge_buffer(&socket)?;
    setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true).context("IPV6_RECVPKTINFO")?;
    Ok((Listener::Service(port), socket))
}

fn enlarge_buffer(socket: &Socket) -> Result<()> {
    setsockopt(socket, sockopt::RcvBufForce, &BUFFER).context("SO_RCVBUFFORCE")
}

/// The next packet, which comes with its header.
fn receive4(socket: &Socket, buffer: &mut [u8]) -> Result<Option<Delivery>> {
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let length = match recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, None, flags) {
        Ok(message) => message.bytes,
        Err(Errno::EAGAIN) => return Ok(None),
        Err(error) => bail!("listening: {error}"),
    };
    let packet = &buffer[..length];
    let header = packet.first_chunk::<20>().context("no IPv4 header")?;
    let at = usize::from(header[0] & 0x0f) * 4;
    let address = |at: usize| {
        let [a, b, c, d] = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        IpAddr::from(Ipv4Addr::new(a, b, c, d))
    };
    Ok(Some(Delivery {
        listener: Listener::Transport(header[9]),
        source: address(12),
        destination: address(16),
        bytes: packet.get(at..).context("no transport")?.to_vec(),
    }))
}

/// The next packet or datagram. Its addresses come from control messages.
fn receive6(listener: Listener, socket: &Socket, buffer: &mut [u8]) -> Result<Option<Delivery>> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(in6_pktinfo);
    let flags = MsgFlags::MSG_DONTWAIT;
    let received =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags);
    let message = match received {
        Ok(message) => message,
        Err(Errno::EAGAIN) => return Ok(None),
        Err(error) => bail!("listening: {error}"),
    };
    let source = message.address.context("no source address")?.ip();
    let destination = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    });
    let destination = destination.context("no destination address")?;
    let length = message.bytes;
    // A service sees an IPv4 peer at an IPv4-mapped address.
    let (source, destination) = match listener {
        Listener::Service(_) => (source.to_canonical(), destination.to_canonical()),
        Listener::Transport(_) => (source.into(), destination.into()),
    };
    Ok(Some(Delivery {
        listener,
        source,
        destination,
        bytes: buffer[..length].to_vec(),
    }))
}
