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
    datapath::flows::Snapshot,
    explain::{self, Packet, covering},
    frame::{ether_type, ip_header},
    image::{Facts, Image, Numbers},
    leases::Registry,
    policy::{Authenticate, Policy},
};

/// Why the policy `current` would drop packets of `session`, in either direction; `None` if it admits
/// it. Of leases it takes those of `registry` for granted: who has proven an identity can prove it
/// again.
pub fn blocked(
    session: Connection,
    current: &Current,
    registry: Option<&Registry>,
) -> Option<String> {
    let judged = Judged {
        policy: current.policy(),
        image: &current.image,
        numbers: current.numbers(),
        facts: &current.facts,
        registry,
    };
    judged
        .blocks_inbound(session)
        .or_else(|| judged.blocks_outbound(session))
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

impl Judged<'_> {
    /// Refuses a policy that would drop the packets of `session`.
    pub fn admits(&self, session: Connection) -> Result<(), ApplyError> {
        let Some(because) = self.blocks_inbound(session) else {
            return Ok(());
        };
        Err(ApplyError::CutsSession {
            session: format!("{} to {}", session.peer, session.local),
            because,
        })
    }

    fn blocks_inbound(&self, session: Connection) -> Option<String> {
        let packet = packet(session.peer, session.local);
        let found = covering(self.policy, packet.from);
        let binding = found.as_ref().map(|found| &found.endpoint.binding);
        // Mixed families are no connection.
        let bytes = packet.frame(binding).ok()?;
        let bound = binding.and_then(|binding| binding.interface.as_ref());
        let arrivals = bound.and_then(|interface| self.facts.arrivals.get(interface));
        let arrivals = arrivals.or_else(|| self.facts.homes.get(&packet.to));
        let ifindex = arrivals.and_then(|indexes| indexes.first()).copied();
        let frame = Frame {
            bytes: &bytes,
            ifindex: ifindex.unwrap_or(0),
            vlan: None,
        };
        let flows = Snapshot::empty(1, FlowControl::default(), 0);
        let outcome = full::inbound(&frame, self.image, &flows.by(self.image));
        let proven = || match found.as_ref().map(|found| &found.endpoint.authenticate) {
            Some(Authenticate::Certificate { identity, .. }) => self
                .registry
                .is_some_and(|registry| registry.holds(identity, packet.from)),
            _ => false,
        };
        if outcome.verdict() == Verdict::Pass || (outcome.reason() == Reason::NoLease && proven()) {
            return None;
        }
        Some(self.because(outcome, Direction::In))
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
