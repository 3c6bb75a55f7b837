//! Where a change comes from.

use manoward_api::Claim;

use crate::{
    caller::{connections_of, terminal},
    control::requests::Peer,
    enforcer::Place,
    store::history::{Reason, Who},
};

/// Where `peer` asks for a change from, and what is kept of it in the history. What it claims counts
/// where this agent may not look into other processes.
pub fn origin(peer: Peer, claim: Claim) -> (Place, Reason) {
    let seen = peer.pid.and_then(connections_of);
    let claimed = || claim.came_over.into_iter().map(Into::into).collect();
    let place = Place {
        terminal: peer.pid.and_then(terminal),
        connections: seen.unwrap_or_else(claimed),
    };
    let who = Who {
        uid: peer.uid,
        pid: peer.pid,
        terminal: place.terminal.map(|terminal| terminal.to_string()),
        peer: place.connections.first().map(|connection| connection.peer),
    };
    let reason = Reason {
        message: claim.message,
        who: Some(who),
        restores: None,
    };
    (place, reason)
}
