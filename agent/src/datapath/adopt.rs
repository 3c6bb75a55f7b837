//! Adoption of the connections that exist when enforcement begins, so that they are not cut off.
//!
//! They are found among the host's sockets. For each, a copy of the egress program is run on a
//! packet mid-stream; if the policy permits the connection, the program opens a flow for it.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use procfs::{
    ProcError,
    net::{TcpState, UdpState},
    process::{Process, all_processes},
};
use thiserror::Error;
use verdict::{
    frame::transport::IpProtocol,
    reason::{Reason, Verdict},
};

use super::{
    ExplainError, Explainer, Features, LOOPBACK, LoadError, Pins, Program, settings::Purpose,
};
use crate::frame::{ether_type, ip_header};

const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Why connections were not adopted.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// The copy of the program cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The copy of the program gave no verdict.
    #[error(transparent)]
    Run(#[from] ExplainError),
    /// The kernel's tables of sockets cannot be read.
    #[error("cannot read the host's sockets: {0}")]
    Sockets(#[from] ProcError),
}

/// The result of an adoption.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Adopted {
    /// Connections that have a flow now.
    pub flows: usize,
    /// Connections that the policy does not permit, as `tcp LOCAL to REMOTE`.
    pub refused: Vec<String>,
}

/// A connection of a socket.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Connection {
    protocol: u8,
    local: SocketAddr,
    remote: SocketAddr,
}

/// Adopts every TCP connection and connected UDP socket of this host: those that the image pinned
/// under `pins` permits get a flow in the flow table there.
///
/// This includes the network namespaces of all processes that the agent may examine. Connections in
/// others count as those of guests: they are adopted mid-stream, during `adoption_grace`.
pub fn adopt(pins: &Pins, features: Features) -> Result<Adopted, AdoptError> {
    let connections = connections()?;
    let mut adopted = Adopted::default();
    if connections.is_empty() {
        return Ok(adopted);
    }
    let mut twin = Explainer::load_for(Purpose::Adopt, pins, Program::Out, features)?;
    for connection in connections {
        let Some(frame) = frame(connection) else {
            continue;
        };
        let outcome = twin.outcome(&frame, LOOPBACK)?;
        match (outcome.reason(), outcome.verdict()) {
            (Reason::Unprotected | Reason::Reply, _) => {}
            (_, Verdict::Pass) => adopted.flows += 1,
            (_, Verdict::Drop) => adopted.refused.push(described(connection)),
        }
    }
    Ok(adopted)
}

fn described(connection: Connection) -> String {
    let protocol = if connection.protocol == IpProtocol::TCP.0 {
        "tcp"
    } else {
        "udp"
    };
    format!("{protocol} {} to {}", connection.local, connection.remote)
}

/// All connections, of every network namespace that this process may examine.
fn connections() -> Result<BTreeSet<Connection>, ProcError> {
    let own = Process::myself()?;
    let mut connections = BTreeSet::new();
    collect(&own, &mut connections)?;
    let mut seen = BTreeSet::from_iter(namespace(&own));
    for process in all_processes()?.flatten() {
        if let Some(namespace) = namespace(&process)
            && seen.insert(namespace)
        {
            // A process may end at any time.
            let _ = collect(&process, &mut connections);
        }
    }
    Ok(connections)
}

/// Name of the network namespace of `process`, such as `net:[4026531840]`; `None` if the agent may
/// not read it.
fn namespace(process: &Process) -> Option<String> {
    let link = fs::read_link(format!("/proc/{}/ns/net", process.pid())).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Adds the connections in the network namespace of `process`.
fn collect(process: &Process, connections: &mut BTreeSet<Connection>) -> Result<(), ProcError> {
    let live = |state: &TcpState| {
        !matches!(
            state,
            TcpState::Listen | TcpState::Close | TcpState::TimeWait | TcpState::NewSynRecv
        )
    };
    // A host without IPv6 has no such tables.
    let tcp = process.tcp()?.into_iter();
    for socket in tcp.chain(process.tcp6().unwrap_or_default()) {
        if live(&socket.state) {
            add(
                IpProtocol::TCP,
                socket.local_address,
                socket.remote_address,
                connections,
            );
        }
    }
    let udp = process.udp()?.into_iter();
    for socket in udp.chain(process.udp6().unwrap_or_default()) {
        if socket.state == UdpState::Established {
            add(
                IpProtocol::UDP,
                socket.local_address,
                socket.remote_address,
                connections,
            );
        }
    }
    Ok(())
}

fn add(
    protocol: IpProtocol,
    local: SocketAddr,
    remote: SocketAddr,
    connections: &mut BTreeSet<Connection>,
) {
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (local, remote) = (canonical(local), canonical(remote));
    if !local.ip().is_loopback() && !remote.ip().is_unspecified() {
        connections.insert(Connection {
            protocol: protocol.0,
            local,
            remote,
        });
    }
}

/// An Ethernet frame with a packet of the connection, for TCP an ACK; `None` if the addresses are
/// of two families.
fn frame(connection: Connection) -> Option<Vec<u8>> {
    let builder = ip_header(connection.local.ip(), connection.remote.ip())?;
    let mut frame = ETHERNET.to_vec();
    frame.extend(ether_type(connection.remote.ip()));
    let (from, to) = (connection.local.port(), connection.remote.port());
    let written = if connection.protocol == IpProtocol::TCP.0 {
        builder.tcp(from, to, 0, 0).ack(0).write(&mut frame, &[])
    } else {
        builder.udp(from, to).write(&mut frame, &[])
    };
    written.ok().map(|()| frame)
}
