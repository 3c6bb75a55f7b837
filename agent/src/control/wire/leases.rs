//! Leases.

use jiff::Timestamp;
use manoward_api::{BarEntry, LeaseEntry, LeaseList, RefusedCount};

use crate::{
    datapath::interface::Interfaces,
    leases::{Barred, Lease, Registry},
    policy::protocol::Mac,
};

/// The leases in force, and what was refused.
pub fn list(registry: &Registry, interfaces: &Interfaces) -> LeaseList {
    let leases = registry.leases().into_iter();
    LeaseList {
        leases: leases.map(|lease| entry(lease, interfaces)).collect(),
        refused: refused(registry),
        barred: registry.barred().into_iter().map(bar).collect(),
    }
}

fn bar(barred: Barred) -> BarEntry {
    BarEntry {
        identity: barred.identity.to_string(),
        endpoint: barred.endpoint,
        until: barred.until.map(seconds),
    }
}

/// RFC 3339, in whole seconds.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
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
    let certificate = lease.certificate;
    LeaseEntry {
        endpoint: lease.endpoint,
        role: lease.role,
        identity: lease.identity.to_string(),
        address: lease.address,
        mac: Mac::from_word(lease.origin.mac).to_string(),
        routed: lease.routed,
        ifindex,
        interface: interfaces.get(ifindex).map(|found| found.name.clone()),
        since: lease.lives.then(|| lease.since.to_string()),
        expires_in_seconds: lease.left.as_secs(),
        serial: certificate.serial,
        fingerprint: certificate.fingerprint,
        not_after: certificate.not_after.to_string(),
    }
}
