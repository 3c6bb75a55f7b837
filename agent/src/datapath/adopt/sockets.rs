//! The connections of sockets, from `/proc/PID/net` of every network namespace.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use procfs::{
    ProcError,
    net::{TcpState, UdpState},
    process::{Process, all_processes},
};
use verdict::frame::transport::IpProtocol;

use super::{Connection, Connections};

/// All connections, of every network namespace that this process may examine.
pub(super) fn connections() -> Result<Connections, ProcError> {
    let own = Process::myself()?;
    let mut connections = Connections::default();
    collect(&own)?.sort_into(&mut connections);
    let mut seen = BTreeSet::from_iter(namespace(&own));
    for process in all_processes()?.flatten() {
        if let Some(namespace) = namespace(&process)
            && seen.insert(namespace)
            // A process may end at any time.
            && let Ok(sockets) = collect(&process)
        {
            sockets.sort_into(&mut connections);
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

/// The sockets of one network namespace.
#[derive(Debug, Default)]
struct Sockets {
    connections: BTreeSet<Connection>,
    /// Protocols and ports at which somebody waits for peers.
    listening: BTreeSet<(u8, u16)>,
}

/// The sockets in the network namespace of `process`.
fn collect(process: &Process) -> Result<Sockets, ProcError> {
    let mut sockets = Sockets::default();
    // A host without IPv6 has no such tables.
    let tcp = process.tcp()?.into_iter();
    for socket in tcp.chain(process.tcp6().unwrap_or_default()) {
        match socket.state {
            TcpState::Listen => sockets.listens(IpProtocol::TCP, socket.local_address),
            TcpState::Close | TcpState::TimeWait | TcpState::NewSynRecv => {}
            _ => sockets.add(IpProtocol::TCP, socket.local_address, socket.remote_address),
        }
    }
    let udp = process.udp()?.into_iter();
    for socket in udp.chain(process.udp6().unwrap_or_default()) {
        if socket.state == UdpState::Established {
            sockets.add(IpProtocol::UDP, socket.local_address, socket.remote_address);
        } else {
            sockets.listens(IpProtocol::UDP, socket.local_address);
        }
    }
    Ok(sockets)
}

impl Sockets {
    fn add(&mut self, protocol: IpProtocol, local: SocketAddr, remote: SocketAddr) {
        let connection = Connection::new(protocol, local, remote);
        if !connection.local.ip().is_loopback() && !connection.remote.ip().is_unspecified() {
            self.connections.insert(connection);
        }
    }

    fn listens(&mut self, protocol: IpProtocol, local: SocketAddr) {
        self.listening.insert((protocol.0, local.port()));
    }

    /// Adds the connections that leave this namespace. Of one that does not, both ends are here.
    fn sort_into(self, found: &mut Connections) {
        for &connection in &self.connections {
            if self.connections.contains(&connection.reversed()) {
                continue;
            }
            let local = (connection.protocol, connection.local.port());
            if !self.listening.contains(&local) {
                found.begun.insert(connection);
            } else if connection.protocol == IpProtocol::TCP.0 {
                found.served.insert(connection);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(connections: &[(&str, &str)], listening: &[u16]) -> Connections {
        let mut sockets = Sockets::default();
        for (local, remote) in connections {
            let [local, remote] = [local, remote].map(|end| end.parse().expect("an address"));
            sockets.add(IpProtocol::TCP, local, remote);
        }
        for port in listening {
            sockets.listens(IpProtocol::TCP, SocketAddr::from(([0; 4], *port)));
        }
        let mut found = Connections::default();
        sockets.sort_into(&mut found);
        found
    }

    #[test]
    fn a_connection_at_a_listening_port_counts_as_the_peers() {
        let connections = [
            ("192.0.2.1:22", "192.0.2.9:5000"),
            ("192.0.2.1:5000", "192.0.2.9:22"),
        ];
        let found = sockets(&connections, &[22]);
        let ports = |connections: &BTreeSet<Connection>| {
            let ports = connections.iter().map(|found| found.local.port());
            ports.collect::<Vec<_>>()
        };
        assert_eq!(ports(&found.served), [22]);
        assert_eq!(ports(&found.begun), [5000]);
    }

    #[test]
    fn a_connection_within_the_namespace_is_none_on_the_wire() {
        let connections = [
            ("192.0.2.1:22", "[::ffff:192.0.2.1]:5000"),
            ("192.0.2.1:5000", "192.0.2.1:22"),
            ("127.0.0.1:6000", "192.0.2.9:22"),
        ];
        let found = sockets(&connections, &[22]);
        assert!(found.served.is_empty() && found.begun.is_empty());
    }
}
