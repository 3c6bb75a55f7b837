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
    reason::{Reason, Verdict},
};

use super::ApplyError;
use crate::{
    datapath::flows::Snapshot,
    explain::{self, Packet, covering},
    image::{Facts, Image, Numbers},
    leases::Registry,
    policy::{Authenticate, Policy},
};

/// A TCP connection to the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Session {
    /// The far end.
    pub peer: SocketAddr,
    /// This host's end.
    pub local: SocketAddr,
}

/// Refuses a policy whose `image` would drop the packets of `session`. Of leases it takes those of
/// `registry` for granted: who has proven an identity can prove it again.
pub fn check(
    session: Session,
    policy: &Policy,
    image: &Image,
    numbers: &Numbers,
    facts: &Facts,
    registry: Option<&Registry>,
) -> Result<(), ApplyError> {
    let packet = Packet {
        from: session.peer.ip().to_canonical(),
        to: session.local.ip().to_canonical(),
        protocol: IpProtocol::TCP.0,
        port: Some(session.local.port()),
        source_port: session.peer.port(),
        mac: None,
        vlan: None,
    };
    // Mixed families are no connection.
    let found = covering(policy, packet.from);
    let binding = found.as_ref().map(|found| &found.endpoint.binding);
    let Ok(bytes) = packet.frame(binding) else {
        return Ok(());
    };
    let bound = binding.and_then(|binding| binding.interface.as_ref());
    let arrivals = bound.and_then(|interface| facts.arrivals.get(interface));
    let ifindex = arrivals
        .and_then(|indexes| indexes.first())
        .copied()
        .unwrap_or(0);
    let frame = Frame {
        bytes: &bytes,
        ifindex,
        vlan: None,
    };
    let flows = Snapshot::empty(1, FlowControl::default(), 0);
    let outcome = full::inbound(&frame, image, &flows.by(image));
    let proven = || match found.as_ref().map(|found| &found.endpoint.authenticate) {
        Some(Authenticate::Certificate { identity, .. }) => {
            registry.is_some_and(|registry| registry.holds(identity, packet.from))
        }
        _ => false,
    };
    if outcome.verdict() == Verdict::Pass || (outcome.reason() == Reason::NoLease && proven()) {
        return Ok(());
    }
    Err(ApplyError::CutsSession {
        session: format!("{} to {}", session.peer, session.local),
        because: explain::because(outcome, Direction::In, policy, numbers),
    })
}
