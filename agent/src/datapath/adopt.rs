//! Adoption of the connections that exist when enforcement begins, so that they are not cut off.
//!
//! They are found among the host's sockets and in the kernel's table of connections (NAT). For each, a packet
//! mid-stream is judged as the egress program would, in memory: no program has to be loaded for it. If the
//! policy permits the connection, a flow is opened for it. A flow that exists is left as it is.
//!
//! A flow that is silent for long is kept the same way, as long as a socket has the connection.

mod conntrack;
mod sockets;

use std::{collections::BTreeSet, net::SocketAddr};

use procfs::ProcError;
use thiserror::Error;
use verdict::{
    decision::full,
    frame::transport::IpProtocol,
    host::Frame,
    reason::{Outcome, Reason, Verdict},
    state::flow::{Key, key::CONNECTION},
};

use super::{
    LOOPBACK, Pins,
    flows::{self, FlowError, OnDemand, Snapshot},
};
use crate::{
    frame::{ether_type, ip_header},
    image::Image,
};

pub use conntrack::ConntrackError;

const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Why connections were not adopted.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// The flows cannot be read or written.
    #[error(transparent)]
    Flows(#[from] FlowError),
    /// The kernel's tables of sockets cannot be read.
    #[error("cannot read the host's sockets: {0}")]
    Sockets(#[from] ProcError),
    /// The kernel's table of connections cannot be read.
    #[error(transparent)]
    Conntrack(#[from] ConntrackError),
}

/// The result of an adoption.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Adopted {
    /// Connections that have a flow now.
    pub flows: usize,
    /// Connections that the policy does not permit, as `tcp LOCAL to REMOTE`.
    pub refused: Vec<String>,
}

/// A connection, as its packets look on the wire.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Connection {
    protocol: u8,
    local: SocketAddr,
    remote: SocketAddr,
}

impl Connection {
    fn new(protocol: IpProtocol, local: SocketAddr, remote: SocketAddr) -> Self {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            protocol: protocol.0,
            local: canonical(local),
            remote: canonical(remote),
        }
    }

    /// The key of its flow.
    fn key(self) -> Option<Key> {
        flows::key(CONNECTION, self.protocol, self.local, self.remote)
    }

    /// The same connection, seen from the other end.
    const fn reversed(self) -> Self {
        Self {
            local: self.remote,
            remote: self.local,
            ..self
        }
    }
}

/// Connections that exist.
#[derive(Clone, Debug, Default)]
struct Connections {
    /// The host began them: nothing listens at their local port.
    begun: BTreeSet<Connection>,
    /// Something listens at their local port. The kernel does not record who began a connection, so
    /// these count as begun by the peer, and no flow is opened for them.
    served: BTreeSet<Connection>,
}

/// Adopts every TCP connection and connected UDP socket that this host has begun: those that `image`
/// permits get a flow in the flow table pinned under `pins`.
///
/// This includes the network namespaces of all processes that the agent may examine, and connections
/// of others that leave with an address of this host (NAT). Connections of guests are adopted
/// mid-stream, during `adoption_grace`.
pub fn adopt(pins: &Pins, image: &Image) -> Result<Adopted, AdoptError> {
    let connections = connections()?;
    let mut adopted = Adopted::default();
    if connections.begun.is_empty() && connections.served.is_empty() {
        return Ok(adopted);
    }
    let mut flows = Snapshot::to_be_shown(pins)?;
    let begun = connections.begun.into_iter().map(|begun| (begun, true));
    let served = connections.served.into_iter().map(|served| (served, false));
    for (connection, begun) in begun.chain(served) {
        let Some(frame) = frame(connection, begun) else {
            continue;
        };
        let outcome = shown(&frame, image, &flows);
        match (outcome.reason(), outcome.verdict()) {
            (Reason::Unprotected | Reason::Reply, _) => {}
            (_, Verdict::Pass) => adopted.flows += usize::from(begun),
            (_, Verdict::Drop) => adopted.refused.push(described(connection)),
        }
    }
    flows.write_back()?;
    Ok(adopted)
}

/// Keeps the flows of connections that a socket of the host still has, and that have been silent for more
/// than half of the time that a flow lasts by `image`. How many.
///
/// # Errors
///
/// [`AdoptError`].
pub fn keep_silent(pins: &Pins, image: &Image) -> Result<usize, AdoptError> {
    let begun: Vec<_> = connections()?
        .begun
        .into_iter()
        .filter_map(|it| Some((it, it.key()?)))
        .collect();
    let silent = flows::silent(pins, image, begun.iter().map(|(_, key)| *key))?;
    let silent = begun.into_iter().zip(silent).filter(|(_, silent)| *silent);
    let silent: Vec<_> = silent.map(|((connection, _), _)| connection).collect();
    if silent.is_empty() {
        return Ok(0);
    }
    let mut flows = Snapshot::to_be_shown(pins)?;
    let mut kept = 0;
    for connection in silent {
        if let Some(frame) = frame(connection, true) {
            let outcome = shown(&frame, image, &flows);
            kept += usize::from(outcome.verdict() == Verdict::Pass);
        }
    }
    flows.write_back()?;
    Ok(kept)
}

/// What is decided about a packet of a connection that exists already.
fn shown(frame: &[u8], image: &Image, flows: &Snapshot<OnDemand>) -> Outcome {
    let frame = Frame {
        bytes: frame,
        ifindex: LOOPBACK,
        vlan: None,
    };
    full::outbound(&frame, image, &flows.by(image))
}

/// Connections of the host's sockets, as they look on the wire.
fn connections() -> Result<Connections, AdoptError> {
    let mut connections = sockets::connections()?;
    for translated in conntrack::translated()? {
        connections.begun.remove(&translated.at_socket);
        connections.begun.insert(translated.on_wire);
    }
    Ok(connections)
}

fn described(connection: Connection) -> String {
    let protocol = if connection.protocol == IpProtocol::TCP.0 {
        "tcp"
    } else {
        "udp"
    };
    format!("{protocol} {} to {}", connection.local, connection.remote)
}

/// An Ethernet frame with a packet of the connection; `None` if the addresses are of two families.
///
/// For TCP it is an ACK if the host has `begun` the connection, else a SYN-ACK, which opens no flow.
fn frame(connection: Connection, begun: bool) -> Option<Vec<u8>> {
    let builder = ip_header(connection.local.ip(), connection.remote.ip())?;
    let mut frame = ETHERNET.to_vec();
    frame.extend(ether_type(connection.remote.ip()));
    let (from, to) = (connection.local.port(), connection.remote.port());
    let written = if connection.protocol == IpProtocol::TCP.0 {
        let segment = builder.tcp(from, to, 0, 0).ack(0);
        let segment = if begun { segment } else { segment.syn() };
        segment.write(&mut frame, &[])
    } else {
        builder.udp(from, to).write(&mut frame, &[])
    };
    written.ok().map(|()| frame)
}
