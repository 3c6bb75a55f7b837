//! Following a connection: what each packet of either side makes of it.
//!
//! TCP is followed as far as it takes to let nothing in that the host has not asked for, and to
//! remember nothing for longer than it lasts. The host's own stack checks the rest, so a packet
//! from outside never removes a flow; it only shortens its time, and the host's next packet
//! lengthens it again.

use super::{
    entry::{Entry, Half},
    key::Key,
    table::{Flows, find, open},
};
use crate::{
    frame::transport::{ACK, FIN, IpProtocol, RST, SYN, Segment},
    image::{line::Missing, lookup::Lookup},
    reason::Reason,
};

/// How far a sequence number may lie from the one expected: 2048 times 64 KiB, 128 MiB. Windows are
/// smaller wherever the memory of sockets (`tcp_rmem`, `tcp_wmem`) is.
const WINDOW: i16 = 2048;

const ACK_FIN: u8 = ACK | FIN;

#[inline(always)]
const fn upper(number: u32) -> u16 {
    (number >> 16) as u16
}

/// Notes a packet of `bytes` bytes from the remote side of the flow in `entry`.
///
/// # Errors
///
/// [`Reason::NoFlow`], [`Reason::TcpFlags`], [`Reason::OutOfWindow`] if it cannot be part of this
/// connection. The flow is then as before.
#[inline(always)]
pub fn receive<F: Flows>(
    flows: &F,
    entry: &Entry,
    protocol: u8,
    segment: Segment,
    bytes: u64,
    now: u32,
) -> Result<(), Reason> {
    let received = entry.received();
    let flags = match IpProtocol(protocol) {
        IpProtocol::TCP => tcp_flags(entry.sent(), received, segment)?,
        _ if segment.has(RST) => Half::SEEN | Half::ENDED,
        _ => Half::SEEN,
    };
    if flows.writable() {
        entry.touch(now);
        entry.set_received(received.after(bytes, flags));
    }
    Ok(())
}

/// What a segment from outside makes of a TCP connection (RFC 9293, RFC 5961).
#[inline(always)]
fn tcp_flags(sent: Half, received: Half, segment: Segment) -> Result<u64, Reason> {
    let answered = received.has(Half::SEEN);
    let expected = if sent.has(Half::SEEN) {
        let distance = upper(segment.sequence)
            .wrapping_sub(sent.mark())
            .cast_signed();
        (-WINDOW..=WINDOW).contains(&distance)
    } else if answered {
        // Taken over mid-stream, and the host has not said yet what it expects.
        true
    } else {
        // One more where data sent with the SYN (RFC 7413) are acknowledged, too.
        segment.has(ACK) && upper(segment.acknowledgement).wrapping_sub(sent.mark()) <= 1
    };
    let checked = |flags| {
        if expected {
            Ok(flags)
        } else {
            Err(Reason::OutOfWindow)
        }
    };
    if segment.has(SYN) {
        return match segment.flags & (ACK | RST | FIN) {
            ACK => checked(Half::SEEN),
            // A server that answers at once, and ends its side (RFC 7413).
            ACK_FIN => checked(Half::SEEN | Half::FIN),
            // Both sides open at once.
            0 if answered => Err(Reason::NoFlow),
            0 => Ok(0),
            _ => Err(Reason::TcpFlags),
        };
    }
    if segment.has(RST) {
        return checked(Half::ENDED);
    }
    if !segment.has(ACK) {
        return Err(Reason::TcpFlags);
    }
    if !answered && !sent.has(Half::SEEN) {
        // The remote side still has an older connection open. The host answers with RST, and then
        // opens anew (RFC 9293, 3.5.1).
        return Ok(0);
    }
    let fin = if segment.has(FIN) { Half::FIN } else { 0 };
    checked(Half::SEEN | fin)
}

/// What a packet of the local side adds to its [`Half`]: flags, and for TCP the new mark.
#[inline(always)]
const fn sent(protocol: u8, segment: Segment) -> (u64, u16) {
    let mut flags = if segment.has(RST) { Half::ENDED } else { 0 };
    if protocol != IpProtocol::TCP.0 {
        return (flags, 0);
    }
    if segment.has(FIN) {
        flags |= Half::FIN;
    }
    if segment.has(ACK) {
        (flags | Half::SEEN, upper(segment.acknowledgement))
    } else {
        (flags, upper(segment.sequence.wrapping_add(1)))
    }
}

/// Whether what opens a connection can no longer be a repetition of what opened the one in `entry`: that
/// was answered, or either side has ended it. What is remembered of it must not reach the next one.
#[inline(always)]
fn is_over_or_answered(entry: &Entry) -> bool {
    let over = Half::FIN | Half::ENDED;
    entry.received().has(Half::SEEN | over) || entry.sent().has(over)
}

/// Notes a packet of `bytes` bytes from the local side of the flow in `entry`.
///
/// Returns `false`, and leaves the flow unchanged, if the packet opens another connection with the same
/// five-tuple.
#[inline(always)]
pub fn send<F: Flows>(
    flows: &F,
    entry: &Entry,
    protocol: u8,
    segment: Segment,
    bytes: u64,
    now: u32,
) -> bool {
    let tcp = protocol == IpProtocol::TCP.0;
    if segment.opens() && is_over_or_answered(entry) {
        return false;
    }
    if flows.writable() {
        let (flags, mark) = sent(protocol, segment);
        let mut half = entry.sent();
        if tcp && segment.has(SYN | ACK) {
            half = half.marked(mark);
        }
        entry.touch(now);
        entry.set_sent(half.after(bytes, flags));
    }
    true
}

/// Notes a packet of `bytes` bytes from the local side, and opens the flow if there is none.
///
/// Returns `false` if the table has no room for it.
#[inline(always)]
pub fn send_or_open<F: Flows, T: Lookup>(
    flows: &F,
    tables: &T,
    key: &Key,
    segment: Segment,
    bytes: u64,
) -> Result<bool, Missing> {
    let now = flows.now();
    let protocol = key.protocol();
    if let Some(entry) = find(flows, tables, key, now)?
        && send(flows, entry, protocol, segment, bytes, now)
    {
        return Ok(true);
    }
    let (mut flags, mark) = sent(protocol, segment);
    let mut received = 0;
    if protocol == IpProtocol::TCP.0 && !segment.opens() {
        if !segment.continues() {
            // Nothing comes back to this.
            return Ok(true);
        }
        received = Half::SEEN;
    }
    // A datagram tells not whether it begins something: only of what a socket has is that known.
    let mid_stream = protocol == IpProtocol::TCP.0 || flows.adopts_socket();
    if flows.adopting() && mid_stream && !segment.opens() {
        // What the local side expects next is not known.
        received = Half::SEEN;
        flags &= !Half::SEEN;
    }
    let sent = Half::new(flags, mark).after(bytes, 0);
    Ok(open(flows, key, now, sent, Half(received)))
}
