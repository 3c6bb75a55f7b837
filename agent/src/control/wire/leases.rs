//! Leases.

use manoward_api::{LeaseEntry, LeaseList, RefusedCount};

use crate::{
    datapath::interface::Interfaces,
    leases::{Lease, Registry, Session},
    policy::protocol::Mac,
};

/// The leases in force, and what was refused.
pub fn list(registry: &Registry, interfaces: &Interfaces) -> LeaseList {
    let leases = registry.leases().into_iter();
    LeaseList {
        leases: leases.map(|lease| entry(lease, interfaces)).collect(),
        refused: refused(registry),
    }
}

/// Refused proofs, by reason.
pub fn refused(registry: &Registry) -> Vec<RefusedCount> {
    let refused = registry.refused().into_iter();
    refused
        .map(|(reason, count)| RefusedCount {
            reason: reason.name().to_owned(),
            count,
        })
        .collect()
}

fn entry(lease: Lease, interfaces: &Interfaces) -> LeaseEntry {
    let ifindex = lease.origin.ifindex();
    let session = lease.session;
    LeaseEntry {
        endpoint: lease.endpoint,
        role: lease.role,
        identity: lease.identity.to_string(),
        address: lease.address,
        mac: Mac::from_word(lease.origin.mac).to_string(),
        ifindex,
        interface: interfaces.get(ifindex).map(|found| found.name.clone()),
        since: session.as_ref().map(|session| session.since.to_string()),
        expires_in_seconds: lease.left.as_secs(),
        not_after: session
            .as_ref()
            .map(|session| session.not_after.to_string()),
        serial: session.map(|Session { serial, .. }| serial),
    }
}
