//! Enrolment: datagrams with which an endpoint proves who it is, before it has a lease.
//!
//! Anyone who takes an endpoint's address can send them, and the agent has to parse them, so only as
//! many pass as a proof takes. A session is the datagrams between two addresses and ports; all of them
//! have to come from the origin (MAC address, VLAN, interface) of the first, which begins a handshake.
//!
//! Sessions lie in a table of their own, so that they take no place from the host's connections. A source
//! has shown that it receives at its address once an Initial packet of it carries a token of the agent's
//! Retry: at the front of these lies a mark that only the agent and these programs can make. Until then a
//! session lasts a second, and only such make room for others.

use crate::{
    frame::{origin::Origin, packet::Packet, quic},
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

/// Bytes of the UDP header before a packet of QUIC.
const UDP: u32 = 8;

/// A session that a datagram belongs to.
pub struct Session<A> {
    /// The address that it comes from, and the port.
    pub source: A,
    /// Its UDP port.
    pub port: u32,
    /// Hash of its addresses and ports.
    pub hash: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the source holds a lease: others cannot use up what it may send.
    pub proven: bool,
}

/// Decides about a datagram of `session`, whose UDP header lies at `transport` and which has `len` bytes from
/// there on.
///
/// # Errors
///
/// [`Reason::NotInitial`], [`Reason::RateLimited`], and those of [`Origin::check`].
#[inline(always)]
pub fn admit<A: Ip, F: Flows, P: Packet>(
    flows: &F,
    session: &Session<A>,
    packet: &P,
    transport: u16,
    len: u32,
) -> Result<(), Reason> {
    let admitted = decide(flows, session, packet, transport, len);
    if let Err(Reason::NotInitial | Reason::RateLimited) = admitted
        && flows.writable()
        && let Some(refused) = flows.limit(sessions::REFUSED)
    {
        refused.set(refused.get().wrapping_add(1));
    }
    admitted
}

#[inline(always)]
fn decide<A: Ip, F: Flows, P: Packet>(
    flows: &F,
    session: &Session<A>,
    packet: &P,
    transport: u16,
    len: u32,
) -> Result<(), Reason> {
    let now = flows.now();
    let limited = |index: u32, most: u32| {
        let limit = flows.limit(index);
        limit.is_some_and(|limit| limit.admit(now, most, flows.writable()))
    };
    let origin = session.origin;
    let Some(entry) = Entry::at(flows, flows.enrolling(session.hash)) else {
        // All places of its set are those of others that have shown where they receive.
        return Err(Reason::RateLimited);
    };
    let begun = entry.is(session.hash, now);
    let lasts = begun && entry.lasts();
    let payload = u32::from(transport) + UDP;
    let initial = !lasts && quic::is_initial(packet, payload, len.wrapping_sub(UDP));
    let mark = if initial { packet.token(payload) } else { 0 };
    let shown = mark != 0 && mark == flows.shown(session.source.to_words(), session.port);
    if begun && !shown {
        entry.origin().check(origin)?;
        if !entry
            .sent
            .admit(now, DATAGRAMS_OF_SESSION, flows.writable())
        {
            return Err(Reason::RateLimited);
        }
    } else {
        if !initial {
            return Err(Reason::NotInitial);
        }
        let place = origin.mac ^ origin.link.rotate_left(24);
        let source = lease::hash(session.source, flows.seed() ^ place);
        let source = SOURCES + ((source >> 40) as u32 & SOURCES_MASK);
        // One that has begun was counted then.
        if !begun && (!limited(source, NEW_OF_SOURCE) || !limited(SESSIONS, NEW_IN_ALL)) {
            return Err(Reason::RateLimited);
        }
        if flows.writable() {
            entry.put(session.hash, origin, shown, now);
        }
    }
    if !session.proven && !limited(DATAGRAMS, DATAGRAMS_IN_ALL) {
        return Err(Reason::RateLimited);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
