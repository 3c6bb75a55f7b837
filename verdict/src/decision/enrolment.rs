//! Enrolment: datagrams with which an endpoint proves who it is, before it has a lease.
//!
//! Anyone who takes an endpoint's address can send them, and the agent has to parse them, so only as
//! many pass as a proof takes. A session is the datagrams between two addresses and ports; all of them
//! have to come from the origin (MAC address, VLAN, interface) of the first, which begins a handshake.
//!
//! Sessions lie in a table of their own, so that they take no place from the host's connections. One
//! that has proven nothing yet lasts as long as a handshake may take, and only such make room for others.

use crate::{
    frame::{origin::Origin, packet::Packet},
    reason::Reason,
    state::{
        flow::Flows,
        lease,
        sessions::{self, Entry},
    },
};

use super::Ip;

/// Sessions that may begin in a tick from one source: an address at one origin, so that who takes an
/// address elsewhere uses up nothing of its owner's.
pub const NEW_OF_SOURCE: u32 = 4;
/// Sessions that may begin in a tick.
pub const NEW_IN_ALL: u32 = 256;
/// Datagrams of one session in a tick.
pub const DATAGRAMS_OF_SESSION: u32 = 64;
/// Datagrams in a tick from sources that hold no lease.
pub const DATAGRAMS_IN_ALL: u32 = 4096;

/// Index of the limit of all datagrams.
const DATAGRAMS: u32 = sessions::WORDS;
/// Index of the limit of all sessions.
const SESSIONS: u32 = DATAGRAMS + 1;
/// Index of the first limit of a source; each of them is shared by those with the same hash.
const SOURCES: u32 = SESSIONS + 1;
const SOURCES_MASK: u32 = (1 << 12) - 1;

/// Limits in all, with the words about sessions.
pub const LIMITS: u32 = SOURCES + SOURCES_MASK + 1;

/// Smallest UDP payload that begins a handshake (RFC 9000, 14.1), and the bytes of the UDP header before
/// it.
const INITIAL: u32 = 1200;
const UDP: u32 = 8;
/// What the first byte of an Initial packet is in its upper half, and the version after it (RFC 9000,
/// 17.2.2).
const INITIAL_TYPE: u8 = 0xc0;
const VERSION: [u8; 4] = [0, 0, 0, 1];

/// A session that a datagram belongs to.
pub struct Session<A> {
    /// The address that it comes from.
    pub source: A,
    /// Hash of its addresses and ports.
    pub hash: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the source holds a lease: others cannot use up what it may send.
    pub proven: bool,
}

/// Whether the datagram with its UDP header at `transport` and of `len` bytes from there on begins a
/// handshake of QUIC version 1.
#[inline(always)]
pub fn is_initial<P: Packet>(packet: &P, transport: u16, len: u32) -> bool {
    let payload = usize::from(transport) + UDP as usize;
    let Some(&[first, version @ ..]) = packet.view::<5>(payload) else {
        return false;
    };
    len >= UDP + INITIAL && first & 0xf0 == INITIAL_TYPE && version == VERSION
}

/// Decides about a datagram of `session`; `is_initial` is asked where it is the first.
///
/// # Errors
///
/// [`Reason::NotInitial`], [`Reason::RateLimited`], and those of [`Origin::check`].
#[inline(always)]
pub fn admit<A: Ip, F: Flows>(
    flows: &F,
    session: &Session<A>,
    is_initial: impl FnOnce() -> bool,
) -> Result<(), Reason> {
    let now = flows.now();
    let limited = |index: u32, most: u32| {
        let limit = flows.limit(index);
        limit.is_some_and(|limit| limit.admit(now, most, flows.writable()))
    };
    let origin = session.origin;
    let Some(entry) = Entry::at(flows, flows.enrolling(session.hash)) else {
        // All places of its set are those of others that have proven who they are.
        return Err(Reason::RateLimited);
    };
    if entry.is(session.hash, now) {
        entry.origin().check(origin)?;
        if !entry
            .sent
            .admit(now, DATAGRAMS_OF_SESSION, flows.writable())
        {
            return Err(Reason::RateLimited);
        }
    } else {
        if !is_initial() {
            return Err(Reason::NotInitial);
        }
        let place = origin.mac ^ origin.link.rotate_left(24);
        let source = lease::hash(session.source, flows.seed() ^ place);
        let source = SOURCES + ((source >> 40) as u32 & SOURCES_MASK);
        if !limited(source, NEW_OF_SOURCE) || !limited(SESSIONS, NEW_IN_ALL) {
            return Err(Reason::RateLimited);
        }
        if flows.writable() {
            entry.put(session.hash, origin, now);
        }
    }
    if !session.proven && !limited(DATAGRAMS, DATAGRAMS_IN_ALL) {
        return Err(Reason::RateLimited);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
