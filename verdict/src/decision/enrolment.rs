//! Enrolment: datagrams with which an endpoint proves who it is, before it has a lease.
//!
//! Anyone who holds an endpoint's address can send them, and the agent has to parse them, so only as
//! many pass as a proof takes. A session is the datagrams between two addresses and ports; all of them
//! have to come from the origin (MAC address, VLAN, interface) of the first.

use crate::{
    frame::origin::Origin,
    image::lookup::Lookup,
    reason::Reason,
    state::{
        flow::{
            Flows, Half, Key, New,
            table::{find, open},
        },
        lease,
    },
};

use super::Ip;

/// Sessions of one source that may begin in a tick.
pub const NEW_OF_SOURCE: u32 = 4;
/// Sessions that may begin in a tick.
pub const NEW_IN_ALL: u32 = 256;
/// Datagrams of one session in a tick.
pub const DATAGRAMS_OF_SESSION: u32 = 64;
/// Datagrams in a tick from sources that hold no lease.
pub const DATAGRAMS_IN_ALL: u32 = 4096;

/// Index of the limit of all datagrams.
const DATAGRAMS: u32 = 0;
/// Index of the limit of all sessions.
const SESSIONS: u32 = 1;
/// Index of the first limit of a source; each of them is shared by those with the same hash.
const SOURCES: u32 = 2;
const SOURCES_MASK: u32 = (1 << 12) - 1;

/// Limits in all.
pub const LIMITS: u32 = SOURCES + SOURCES_MASK + 1;

/// Decides about an enrolment datagram of the session with `key`, which comes from `source`.
///
/// `proven` says that the source holds a lease: others cannot use up what it may send.
///
/// # Errors
///
/// [`Reason::RateLimited`], [`Reason::FlowTableFull`], and those of [`Origin::check`].
#[inline(always)]
pub fn admit<A: Ip, T: Lookup, F: Flows>(
    tables: &T,
    flows: &F,
    key: &Key,
    source: A,
    origin: Origin,
    proven: bool,
) -> Result<(), Reason> {
    let now = flows.now();
    let limited = |index: u32, most: u32| {
        let limit = flows.limit(index);
        limit.is_some_and(|limit| limit.admit(now, most, flows.writable()))
    };
    if let Some(slot) = find(flows, tables, key, now)? {
        slot.origin().check(origin)?;
        if !slot.admit(now, DATAGRAMS_OF_SESSION, flows.writable()) {
            return Err(Reason::RateLimited);
        }
    } else {
        let source = SOURCES + ((lease::hash(source, flows.seed()) >> 40) as u32 & SOURCES_MASK);
        if !limited(source, NEW_OF_SOURCE) || !limited(SESSIONS, NEW_IN_ALL) {
            return Err(Reason::RateLimited);
        }
        let new = New {
            sent: Half(origin.mac),
            received: Half(origin.link),
            // This datagram is the first one of its tick.
            numbers: [1, 0],
            ruled: true,
        };
        if !open(flows, key, now, &new) {
            return Err(Reason::FlowTableFull);
        }
    }
    if !proven && !limited(DATAGRAMS, DATAGRAMS_IN_ALL) {
        return Err(Reason::RateLimited);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
