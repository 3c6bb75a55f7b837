//! Whether a policy would cut the session that it is applied from.
//!
//! The question is whether the peer could open the session again: an established one would go on
//! for a while, and the operator would be locked out when it ends.

use std::net::SocketAddr;

use verdict::{
    counters::Direction,
    decision::full,
    frame::transport::IpProtocol,
    host::Frame,
    layout::FlowControl,
    reason::{Outcome, Reason, Verdict},
};

use super::{ApplyError, Current};
use crate::{
    caller::Connection,
    datapath::{
        flows::Snapshot,
        interface::{Arrival, Interfaces},
        sockets::{self, Progress, TcpSocket},
    },
    explain::{self, Packet, covering},
    frame::{ether_type, ip_header},
    image::{Facts, Image, Numbers},
    leases::Registry,
    policy::{Authenticate, Policy, ServiceMatch},
};

/// A session, and how its packets arrive.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its ends.
    pub connection: Connection,
    /// Where the far end's packets arrive; `None` if the host does not know.
    pub arrival: Option<Arrival>,
}

impl Session {
    /// Looks at how the packets of `connection` arrive; `None` if it does not leave the host, so that no
    /// policy can cut it.
    pub async fn over(connection: Connection, interfaces: &Interfaces) -> Option<Self> {
        let peer = connection.peer.ip().to_canonical();
        if peer.is_loopback() || interfaces.addresses().any(|own| own == peer) {
            return None;
        }
        Some(Self {
            connection,
            arrival: Arrival::of(peer, interfaces).await,
        })
    }
}

/// Sessions that are open when an agent starts: of those that were opened from elsewhere one for each
/// peer and port, at most [`MOST`], SSH before others.
pub async fn open(interfaces: &Interfaces) -> Vec<Session> {
    let sockets = sockets::tcp().unwrap_or_default().into_iter();
    let begun = sockets.filter(|it| it.is_served && it.progress == Progress::Established);
    let ends = |it: TcpSocket| Connection {
        local: it.local,
        peer: it.remote,
    };
    let mut open: Vec<Connection> = begun.map(ends).collect();
    open.sort_by_key(|it| (it.local.port() != SSH, it.peer.ip()));
    open.dedup_by_key(|it| (it.local.port(), it.peer.ip()));
    let mut sessions = Vec::new();
    for connection in open.into_iter().take(MOST) {
        sessions.extend(Session::over(connection, interfaces).await);
    }
    sessions
}

/// Most sessions that are looked at when an agent starts.
const MOST: usize = 32;

/// SSH, where the policy does not say otherwise.
const SSH: u16 = 22;

/// The sessions of `open` that use the service `ssh` and that the policy `current` admits. Those that a
/// lease admits are left out: who has proven an identity is not known yet.
pub fn admitted(open: &[Session], current: &Current) -> Vec<Session> {
    let judged = Judged::by(current, None);
    let is_ssh = |session: &&Session| is_ssh(current.policy(), session.connection.local.port());
    let ssh = open.iter().filter(is_ssh);
    let admitted = ssh.filter(|session| judged.admits(session).is_ok());
    admitted.cloned().collect()
}

fn is_ssh(policy: &Policy, port: u16) -> bool {
    let Some(service) = policy.services.get("ssh") else {
        return port == SSH;
    };
    service.matches.iter().any(|it| match it {
        ServiceMatch::Ports { first, last, .. } => (*first..=*last).contains(&port),
        _ => false,
    })
}

/// Why the policy `current` would drop packets of `session`, in either direction; `None` if it admits
/// it. Of leases it takes those of `registry` for granted: who has proven an identity can prove it
/// again.
pub fn blocked(
    session: Connection,
    current: &Current,
    registry: Option<&Registry>,
) -> Option<String> {
    Judged::by(current, registry).blocks(session, None)
}

/// A policy that a session is judged by.
pub struct Judged<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What it was compiled into.
    pub image: &'a Image,
    /// The numbers of its names.
    pub numbers: &'a Numbers,
    /// What it was compiled for.
    pub facts: &'a Facts,
    /// Who has proven an identity.
    pub registry: Option<&'a Registry>,
}

impl<'a> Judged<'a> {
    /// By the policy `current`.
    fn by(current: &'a Current, registry: Option<&'a Registry>) -> Self {
        Self {
            policy: current.policy(),
            image: &current.image,
            numbers: current.numbers(),
            facts: &current.facts,
            registry,
        }
    }
}

impl Judged<'_> {
    /// Refuses a policy that would drop the packets of `session`.
    pub fn admits(&self, session: &Session) -> Result<(), ApplyError> {
        let connection = session.connection;
        let Some(because) = self.blocks(connection, session.arrival.as_ref()) else {
            return Ok(());
        };
        let Connection { local, peer } = connection;
        Err(ApplyError::CutsSession {
            session: format!("{peer} to {local}"),
            because,
        })
    }

    /// Why packets of `session` would be dropped, in either direction.
    fn blocks(&self, session: Connection, arrival: Option<&Arrival>) -> Option<String> {
        self.blocks_inbound(session, arrival)
            .or_else(|| self.blocks_outbound(session))
    }

    /// Packets in are judged as they arrive, as far as that is known; else as the policy says they do.
    fn blocks_inbound(&self, session: Connection, arrival: Option<&Arrival>) -> Option<String> {
        let mut packet = packet(session.peer, session.local);
        let found = covering(self.policy, packet.from);
        let binding = found.as_ref().map(|found| &found.endpoint.binding);
        let bound = binding.into_iter().flat_map(|binding| &binding.interfaces);
        let bound = bound.filter_map(|interface| self.facts.arrivals.get(interface));
        let mut ifindexes: Vec<u32> = bound.flatten().copied().collect();
        if ifindexes.is_empty() {
            let homes = self.facts.homes.get(&packet.to);
            ifindexes = homes.cloned().unwrap_or_else(|| vec![0]);
        }
        if let Some(arrival) = arrival {
            packet.mac = arrival.mac;
            packet.vlan = Some(arrival.vlan);
            ifindexes.clone_from(&arrival.ifindexes);
        }
        // Mixed families are no connection.
        let bytes = packet.frame(binding).ok()?;
        let proven = || match found.as_ref().map(|found| &found.endpoint.authenticate) {
            Some(Authenticate::Certificate { identity, .. }) => self
                .registry
                .is_some_and(|registry| registry.holds(identity, packet.from)),
            _ => false,
        };
        let mut blocked = None;
        for ifindex in ifindexes {
            let frame = Frame {
                bytes: &bytes,
                ifindex,
                vlan: None,
            };
            let flows = Snapshot::empty(1, FlowControl::default(), 0);
            let outcome = full::inbound(&frame, self.image, &flows.by(self.image));
            let lacks_lease = outcome.reason() == Reason::NoLease;
            if outcome.verdict() == Verdict::Pass || (lacks_lease && proven()) {
                return None;
            }
            blocked = Some(self.because(outcome, Direction::In));
        }
        blocked
    }

    fn blocks_outbound(&self, session: Connection) -> Option<String> {
        let bytes = answer(session)?;
        let frame = Frame {
            bytes: &bytes,
            ifindex: 0,
            vlan: None,
        };
        let flows = Snapshot::empty(1, FlowControl::default(), 0);
        let outcome = full::outbound(&frame, self.image, &flows.by(self.image));
        (outcome.verdict() != Verdict::Pass).then(|| self.because(outcome, Direction::Out))
    }

    fn because(&self, outcome: Outcome, direction: Direction) -> String {
        explain::because(outcome, direction, self.policy, self.numbers)
    }
}

/// A frame that answers the far end of `session`; `None` if its ends are of two families.
fn answer(session: Connection) -> Option<Vec<u8>> {
    let Connection { local, peer } = session;
    let (from, to) = (local.ip().to_canonical(), peer.ip().to_canonical());
    let segment = ip_header(from, to)?.tcp(local.port(), peer.port(), 0, 0);
    let mut frame = vec![2; 12];
    frame.extend(ether_type(to));
    segment.syn().ack(0).write(&mut frame, &[]).ok()?;
    Some(frame)
}

fn packet(from: SocketAddr, to: SocketAddr) -> Packet {
    Packet {
        from: from.ip().to_canonical(),
        to: to.ip().to_canonical(),
        protocol: IpProtocol::TCP.0,
        port: Some(to.port()),
        source_port: from.port(),
        mac: None,
        vlan: None,
        mid_stream: None,
    }
}
