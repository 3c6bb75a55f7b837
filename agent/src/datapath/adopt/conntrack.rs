//! Connections that leave with other addresses or ports than their socket has (NAT), from the kernel's
//! table of connections.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{
        ConntrackAttribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple,
        Protocol, Status, Tuple,
    },
};
use netlink_sys::{Socket, SocketAddr as KernelAddr, protocols::NETLINK_NETFILTER};
use thiserror::Error;
use verdict::frame::transport::IpProtocol;

use super::Connection;

/// There where the kernel tracks connections. Asking it for its table would make it begin to.
const TRACKING: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// Longer than any message of the kernel's.
const BUFFER_LEN: usize = 1 << 16;

/// State of a TCP connection that both sides have opened (`TCP_CONNTRACK_ESTABLISHED`).
const ESTABLISHED: u8 = 3;

/// Why the table of connections cannot be read.
#[derive(Debug, Error)]
pub enum ConntrackError {
    /// The kernel does not answer.
    #[error("cannot read the kernel's table of connections: {0}")]
    Io(#[from] io::Error),
    /// The answer cannot be understood.
    #[error("cannot understand the kernel's table of connections: {0}")]
    Decode(#[from] DecodeError),
}

/// A connection with other addresses or ports on the wire than at the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Translated {
    /// As the socket that has begun it knows it.
    pub(super) at_socket: Connection,
    /// As the peer knows it.
    pub(super) on_wire: Connection,
}

/// The established connections that are translated; none where the kernel tracks none.
pub(super) fn translated() -> Result<Vec<Translated>, ConntrackError> {
    if !Path::new(TRACKING).exists() {
        return Ok(Vec::new());
    }
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&KernelAddr::new(0, 0))?;
    socket.send(&request(), 0)?;
    let mut found = Vec::new();
    let mut buffer = Vec::with_capacity(BUFFER_LEN);
    loop {
        buffer.clear();
        let len = socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let message = NetlinkMessage::<NetfilterMessage>::deserialize(rest)?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(error) => return Err(error.to_io().into()),
                NetlinkPayload::InnerMessage(NetfilterMessage {
                    inner: NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)),
                    ..
                }) => found.extend(read(&attributes)),
                _ => {}
            }
            // Messages are padded to four bytes.
            let next = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(next.max(4)..).unwrap_or_default();
        }
    }
}

/// Asks for every connection.
fn request() -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let asked = NetfilterMessage::new(
        NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0),
        ConntrackMessage::Get(Vec::new()),
    );
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(asked));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The connection with these `attributes`, if it is translated and both sides have spoken.
fn read(attributes: &[ConntrackAttribute]) -> Option<Translated> {
    let mut status = Status::empty();
    let (mut original, mut reply, mut tcp_state) = (None, None, None);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaStatus(found) => status = *found,
            ConntrackAttribute::CtaTupleOrig(tuple) => original = connection(tuple),
            ConntrackAttribute::CtaTupleReply(tuple) => reply = connection(tuple),
            ConntrackAttribute::CtaProtoInfo(info) => tcp_state = state(info),
            _ => {}
        }
    }
    let (at_socket, reply) = (original?, reply?);
    let open = match IpProtocol(at_socket.protocol) {
        IpProtocol::TCP => tcp_state == Some(ESTABLISHED),
        IpProtocol::UDP => status.contains(Status::SeenReply),
        _ => false,
    };
    (open && status.intersects(Status::NatMask)).then_some(Translated {
        at_socket,
        on_wire: reply.reversed(),
    })
}

/// The ends of packets with this `tuple`, the source as the local one.
fn connection(tuple: &[Tuple]) -> Option<Connection> {
    let (mut source, mut destination) = (None::<IpAddr>, None::<IpAddr>);
    let (mut protocol, mut source_port, mut destination_port) = (None, None, None);
    for part in tuple {
        match part {
            Tuple::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(address) => source = Some(*address),
                        IPTuple::DestinationAddress(address) => destination = Some(*address),
                        _ => {}
                    }
                }
            }
            Tuple::Proto(parts) => {
                for part in parts {
                    match part {
                        ProtoTuple::Protocol(found) => protocol = Some(*found),
                        ProtoTuple::SourcePort(port) => source_port = Some(*port),
                        ProtoTuple::DestinationPort(port) => destination_port = Some(*port),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let protocol = match protocol? {
        Protocol::Tcp => IpProtocol::TCP,
        Protocol::Udp => IpProtocol::UDP,
        _ => return None,
    };
    Some(Connection::new(
        protocol,
        SocketAddr::new(source?, source_port?),
        SocketAddr::new(destination?, destination_port?),
    ))
}

fn state(info: &[ProtoInfo]) -> Option<u8> {
    info.iter().find_map(|info| match info {
        ProtoInfo::TCP(parts) => parts.iter().find_map(|part| match part {
            ProtoInfoTCP::State(state) => Some(*state),
            _ => None,
        }),
        _ => None,
    })
}
