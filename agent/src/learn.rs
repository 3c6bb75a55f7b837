//! Learns from traffic what a host is used for, and writes a draft of a policy.
//!
//! Only what was answered counts: a port that somebody scans is no service, and a peer that does not
//! answer is none.

mod draft;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use etherparse::{LaxPacketHeaders, NetHeaders, TransportHeader};

use crate::policy::Direction;

pub use draft::{Draft, Host};

/// Connections of which only one side has spoken; further ones are not followed.
const OPENINGS: usize = 1 << 16;

/// What is used: IP protocol, and port, or type of ICMP.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Used {
    /// Who opens the connection.
    pub inbound: bool,
    /// IP protocol.
    pub protocol: u8,
    /// Port of the side that is connected to; type of ICMP; 0 of others.
    pub port: u16,
}

impl Used {
    /// Who opens the connection.
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.inbound {
            Direction::Inbound
        } else {
            Direction::Outbound
        }
    }
}

/// What is known of a peer.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// What is used, with packets.
    pub uses: BTreeMap<Used, u64>,
    /// MAC addresses that its packets came from.
    pub macs: BTreeSet<[u8; 6]>,
    /// VLAN tags of its packets, the outer one first; empty for none.
    pub vlans: BTreeSet<Vec<u16>>,
    /// Interfaces that its packets arrived on.
    pub interfaces: BTreeSet<String>,
}

/// A packet, as far as it tells of a connection.
#[derive(Clone, Copy, Debug)]
struct Seen {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    /// Source and destination port; of ICMP the type of what asks, and 0.
    ports: (u16, u16),
    /// Whether it can only be what begins a connection, or what answers that.
    opens: Option<bool>,
}

/// A connection: the peer, the protocol, the local port, the remote one.
type Connection = (IpAddr, u8, u16, u16);

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Learner {
    own: BTreeSet<IpAddr>,
    /// Who has opened each connection that was not answered yet: whether the peer did.
    opened: BTreeMap<Connection, bool>,
    peers: BTreeMap<IpAddr, Peer>,
}

impl Learner {
    /// A learner on a host with these addresses.
    #[must_use]
    pub fn new(own: impl IntoIterator<Item = IpAddr>) -> Self {
        let own = own.into_iter().filter(|address| !address.is_loopback());
        Self {
            own: own.collect(),
            ..Self::default()
        }
    }

    /// Looks at a frame on an interface.
    pub fn see(&mut self, frame: &[u8], interface: &str) {
        let Ok(headers) = LaxPacketHeaders::from_ethernet(frame) else {
            return;
        };
        let Some(seen) = read(&headers, frame) else {
            return;
        };
        let (is_in, is_out) = (self.own.contains(&seen.to), self.own.contains(&seen.from));
        if is_in == is_out {
            return;
        }
        let peer = if is_in { seen.from } else { seen.to };
        self.follow(&seen, is_in, peer);
        if is_in && let Some(known) = self.peers.get_mut(&peer) {
            if let Some(mac) = frame.get(6..12).and_then(|mac| mac.try_into().ok()) {
                known.macs.insert(mac);
            }
            let vlans = headers.vlan_ids();
            known
                .vlans
                .insert(vlans.iter().map(|id| id.value()).collect());
            known.interfaces.insert(interface.to_owned());
        }
    }

    /// Follows the connection that a packet of `peer` belongs to.
    fn follow(&mut self, seen: &Seen, is_in: bool, peer: IpAddr) {
        let (local, remote) = if is_in {
            (seen.ports.1, seen.ports.0)
        } else {
            seen.ports
        };
        let connection = (peer, seen.protocol, local, remote);
        match (self.opened.get(&connection).copied(), seen.opens) {
            // What answers shows that it is used.
            (Some(by_peer), opens) if by_peer != is_in && opens != Some(true) => {
                let port = if by_peer { local } else { remote };
                let used = Used {
                    inbound: by_peer,
                    protocol: seen.protocol,
                    port,
                };
                *self
                    .peers
                    .entry(peer)
                    .or_default()
                    .uses
                    .entry(used)
                    .or_default() += 1;
            }
            (Some(_), _) => {}
            (None, opens) => {
                // Of a connection from before, the side with the lower port is taken for the service.
                let by_peer = match opens {
                    Some(false) => !is_in,
                    None if seen.protocol == TCP => local < remote,
                    Some(true) | None => is_in,
                };
                if self.opened.len() < OPENINGS {
                    self.opened.insert(connection, by_peer);
                }
            }
        }
    }

    /// A draft of a policy of what was seen.
    #[must_use]
    pub fn draft(&self) -> Draft<'_> {
        Draft::of(&self.peers)
    }
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMPV6: u8 = 58;

/// What a packet tells; `None` if it belongs to no connection between two hosts.
fn read(headers: &LaxPacketHeaders<'_>, frame: &[u8]) -> Option<Seen> {
    let (from, to): (IpAddr, IpAddr) = match headers.net.as_ref()? {
        NetHeaders::Ipv4(header, _) => (header.source.into(), header.destination.into()),
        NetHeaders::Ipv6(header, _) => (header.source.into(), header.destination.into()),
        NetHeaders::Arp(_) => return None,
    };
    let group = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
    };
    if group(from) || group(to) || frame.first()? & 1 == 1 {
        return None;
    }
    let seen = |protocol, ports, opens| Seen {
        from,
        to,
        protocol,
        ports,
        opens,
    };
    // An echo has one port: its type, where what asks is told from what answers.
    let echo = |protocol, kind, asks| {
        let ports = if asks { (0, kind) } else { (kind, 0) };
        Some(seen(protocol, ports, Some(asks)))
    };
    match headers.transport.as_ref() {
        Some(TransportHeader::Tcp(tcp)) => {
            let opens = tcp.syn.then_some(!tcp.ack);
            // What is refused was not used.
            if tcp.rst {
                return None;
            }
            Some(seen(TCP, (tcp.source_port, tcp.destination_port), opens))
        }
        Some(TransportHeader::Udp(udp)) => {
            Some(seen(17, (udp.source_port, udp.destination_port), None))
        }
        Some(TransportHeader::Icmpv4(icmp)) => match icmp.to_bytes().first()? {
            8 => echo(ICMP, 8, true),
            0 => echo(ICMP, 8, false),
            _ => None,
        },
        Some(TransportHeader::Icmpv6(icmp)) => match icmp.to_bytes().first()? {
            128 => echo(ICMPV6, 128, true),
            129 => echo(ICMPV6, 128, false),
            _ => None,
        },
        None => {
            let protocol = match headers.net.as_ref()? {
                NetHeaders::Ipv4(header, _) => header.protocol.0,
                NetHeaders::Ipv6(header, _) => header.next_header.0,
                NetHeaders::Arp(_) => return None,
            };
            let sctp = headers.payload.slice().first_chunk::<4>();
            match (protocol, sctp) {
                (132, Some(&[a, b, c, d])) => {
                    let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                    Some(seen(132, ports, None))
                }
                // Fragments, and extension headers.
                (TCP | 17 | 132 | 0 | 43 | 44 | 60 | ICMP | ICMPV6, _) => None,
                _ => Some(seen(protocol, (0, 0), None)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
