//! Following a connection: what each packet of either side makes of it.
//!
//! A connection has ended when the host's own stack would have ended it: forged packets that it
//! ignores change nothing here. The host's packets are believed, and what either side sends after an
//! end shows that there was none.

use super::{
    entry::{New, Slot},
    half::Half,
    key::Key,
    table::{Flows, expired, open_at},
};
use crate::{
    frame::transport::{ACK, FIN, IpProtocol, RST, SYN, Segment, TAG_REFLECTED},
    image::{line::Missing, lookup::Lookup},
    reason::Reason,
};

/// How far a sequence number may lie from the one expected: 128 MiB. Windows are smaller wherever the
/// memory of sockets (`tcp_rmem`, `tcp_wmem`) is.
const WINDOW: i32 = 128 << 20;

/// Most data that the answer to a SYN acknowledges beside it (RFC 7413).
const MAX_EARLY_DATA: u32 = u16::MAX as u32;

/// Flags of an answer that sends all of its data at once (RFC 7413).
const ACK_FIN: u8 = ACK | FIN;

/// How far `sequence` lies behind `expected`.
#[inline(always)]
const fn distance(sequence: u32, expected: u32) -> i32 {
    sequence.wrapping_sub(expected).cast_signed()
}

/// What a packet makes of its side: flags that it takes away and adds, and its new number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Step {
    gone: u64,
    flags: u64,
    number: Option<u32>,
}

impl Step {
    const fn new(flags: u64) -> Self {
        Self {
            gone: 0,
            flags,
            number: None,
        }
    }
}

/// Notes a packet of `bytes` bytes from the remote side of the flow in `slot`.
///
/// # Errors
///
/// [`Reason::NoFlow`], [`Reason::TcpFlags`], [`Reason::OutOfWindow`] if it cannot be part of this
/// connection. The flow is then as before.
#[inline(always)]
pub fn receive<F: Flows>(
    flows: &F,
    slot: Slot<'_>,
    protocol: u8,
    segment: Segment,
    bytes: u64,
    now: u32,
) -> Result<(), Reason> {
    let (sent, received) = (slot.sent(), slot.received());
    let step = match IpProtocol(protocol) {
        IpProtocol::TCP => tcp(slot, sent, received, segment)?,
        IpProtocol::SCTP => sctp(slot, sent, received, segment),
        _ => Step::new(Half::SEEN),
    };
    if flows.writable() {
        let received = received.after(bytes, step.gone, step.flags);
        if let Some(number) = step.number {
            slot.set_remote_number(number);
        }
        slot.set_received(received);
        slot.note(now, sent, received);
    }
    Ok(())
}

/// What a segment from outside makes of a TCP connection (RFC 9293, RFC 5961).
#[inline(always)]
fn tcp(slot: Slot<'_>, sent: Half, received: Half, segment: Segment) -> Result<Step, Reason> {
    let answered = received.has(Half::SEEN);
    let local_spoke = sent.has(Half::KNOWN);
    let (expects, next) = (slot.local_number(), slot.remote_number());
    let sequence = segment.sequence;
    let expected = if local_spoke {
        (-WINDOW..=WINDOW).contains(&distance(sequence, expects))
    } else if answered {
        // Taken over mid-stream, and the host has not said yet what it expects.
        true
    } else {
        segment.has(ACK) && segment.acknowledgement.wrapping_sub(expects) <= MAX_EARLY_DATA
    };
    let checked = |step| {
        if expected {
            Ok(step)
        } else {
            Err(Reason::OutOfWindow)
        }
    };
    if segment.has(SYN) {
        return match segment.flags & (ACK | RST | FIN) {
            ACK | ACK_FIN if answered => checked(Step::new(0)),
            ACK | ACK_FIN => checked(Step {
                number: Some(segment.next),
                ..Step::new(Half::SEEN | Half::KNOWN | fin(segment))
            }),
            // Both sides open at once.
            0 if answered => Err(Reason::NoFlow),
            0 => Ok(Step::default()),
            _ => Err(Reason::TcpFlags),
        };
    }
    // What the host expects, or what follows on what it has not acknowledged yet.
    let in_order =
        local_spoke && sequence == expects || received.has(Half::KNOWN) && sequence == next;
    if segment.has(RST) {
        // The stack answers any other with a challenge, or not at all.
        let ends = in_order || !answered && !local_spoke;
        return checked(Step::new(if ends { Half::ENDED } else { 0 }));
    }
    if !segment.has(ACK) {
        return Err(Reason::TcpFlags);
    }
    if !answered && !local_spoke {
        // The remote side still has an older connection open. The host answers with RST, and then
        // opens anew (RFC 9293, 3.5.1).
        return Ok(Step::default());
    }
    let goes_on = received.has(Half::KNOWN) && distance(sequence, next) >= 0;
    let gone = if goes_on { Half::ENDED } else { 0 };
    checked(if in_order {
        Step {
            gone,
            flags: Half::SEEN | Half::KNOWN | fin(segment),
            number: Some(segment.next),
        }
    } else {
        Step {
            gone,
            ..Step::new(Half::SEEN)
        }
    })
}

#[inline(always)]
const fn fin(segment: Segment) -> u64 {
    if segment.has(FIN) { Half::FIN } else { 0 }
}

/// What a packet from outside makes of an SCTP association (RFC 9260, 8.5).
#[inline(always)]
fn sctp(slot: Slot<'_>, sent: Half, received: Half, segment: Segment) -> Step {
    let own = !received.has(Half::KNOWN) || segment.tag() == slot.remote_number();
    if !segment.has(RST) {
        // The stack discards what carries another tag; an INIT carries none.
        return Step {
            gone: if own { Half::ENDED } else { 0 },
            ..Step::new(if own { Half::SEEN } else { 0 })
        };
    }
    let reflected = segment.has(TAG_REFLECTED);
    let ends = if reflected {
        sent.has(Half::KNOWN) && segment.tag() == slot.local_number()
    } else {
        received.has(Half::KNOWN) && own
    };
    Step::new(if ends { Half::SEEN | Half::ENDED } else { 0 })
}

/// What a packet of the local side makes of it.
#[inline(always)]
const fn sent(protocol: u8, segment: Segment) -> Step {
    // Whoever goes on has not ended.
    let (gone, ended) = if segment.has(RST) {
        (0, Half::ENDED)
    } else {
        (Half::ENDED, 0)
    };
    let (flags, number) = match IpProtocol(protocol) {
        // A reset may answer what belongs to no connection, so its numbers say nothing.
        IpProtocol::TCP if segment.has(RST) => (ended, None),
        IpProtocol::TCP if segment.has(ACK) => {
            (fin(segment) | Half::KNOWN, Some(segment.acknowledgement))
        }
        IpProtocol::TCP if segment.has(SYN) => (0, Some(segment.sequence.wrapping_add(1))),
        IpProtocol::TCP => (fin(segment), None),
        IpProtocol::SCTP if segment.opens() || segment.has(RST) => (ended, None),
        IpProtocol::SCTP => (Half::KNOWN, Some(segment.tag())),
        _ => (0, None),
    };
    Step {
        gone,
        flags,
        number,
    }
}

/// Whether `segment` opens another connection than the one in `slot`, and repeats not only what opened
/// that: it was answered, or either side has ended it, or the association has another tag. What is
/// remembered of it must not reach the next one.
#[inline(always)]
fn opens_anew(slot: Slot<'_>, protocol: u8, segment: Segment) -> bool {
    let over = Half::FIN | Half::ENDED;
    segment.opens()
        && (slot.received().has(Half::SEEN | over)
            || slot.sent().has(over)
            || protocol == IpProtocol::SCTP.0 && segment.initiate_tag() != slot.remote_number())
}

/// Notes a packet of `bytes` bytes from the local side of the flow in `slot`.
///
/// Returns `false`, and leaves the flow unchanged, if the packet opens another connection with the same
/// five-tuple.
#[inline(always)]
pub fn send<F: Flows>(
    flows: &F,
    slot: Slot<'_>,
    protocol: u8,
    segment: Segment,
    bytes: u64,
    now: u32,
) -> bool {
    // What is shown of a socket tells less than its flow does: only that the connection is open.
    if flows.adopts_socket() {
        if flows.writable() {
            slot.note(now, slot.sent(), slot.received());
        }
        return true;
    }
    if opens_anew(slot, protocol, segment) {
        return false;
    }
    if flows.writable() {
        let step = sent(protocol, segment);
        let sent = slot.sent().after(bytes, step.gone, step.flags);
        if let Some(number) = step.number {
            slot.set_local_number(number);
        }
        slot.set_sent(sent);
        slot.note(now, sent, slot.received());
    }
    true
}

/// What is asked of a packet of the local side for which there is no flow.
pub struct Opening<M, N> {
    /// Whether a rule permits it.
    pub ruled: bool,
    /// Whether a connection that is open already may be taken over.
    pub may_adopt: M,
    /// Whether a datagram answers a peer that was not asked.
    pub answers: N,
}

/// What has come of a packet of the local side. A number, as the kernel's verifier follows that best.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sent(u8);

impl Sent {
    /// It belongs to a flow, or has opened one.
    pub const FOLLOWED: Self = Self(0);
    /// It goes on with, or answers, what the local side has not begun, and opens nothing.
    pub const ANSWER: Self = Self(1);
    /// It opens a flow that the table has no room for.
    pub const NO_ROOM: Self = Self(2);
}

/// Notes a packet of `bytes` bytes from the local side, and opens the flow if there is none and the packet
/// can begin one.
#[inline(always)]
pub fn send_or_open<F: Flows, T: Lookup>(
    flows: &F,
    tables: &T,
    key: &Key,
    segment: Segment,
    bytes: u64,
    opening: Opening<impl FnOnce() -> Result<bool, Missing>, impl FnOnce() -> bool>,
) -> Result<Sent, Missing> {
    let now = flows.now();
    let protocol = key.protocol();
    let continues = !segment.opens() && says_what_opens(protocol);
    let index = flows.search(key);
    if let Some(slot) = flows.slot(index)
        // What the local side goes on with has not ended, however long it was silent.
        && (continues || !expired(slot.tag(), tables, now)?)
        && send(flows, slot, protocol, segment, bytes, now)
    {
        return Ok(Sent::FOLLOWED);
    }
    let mut new = New {
        ruled: opening.ruled,
        ..New::default()
    };
    if continues || flows.adopts_socket() {
        // Whoever answers has begun nothing, so nobody gets in by it.
        if segment.has(SYN | RST) || !(opening.may_adopt)()? {
            return Ok(Sent::ANSWER);
        }
        // What either side expects next is not known.
        new.received = Half(Half::SEEN);
    } else if !says_what_opens(protocol) && (opening.answers)() {
        return Ok(Sent::ANSWER);
    } else {
        let step = sent(protocol, segment);
        new.sent = Half(step.flags);
        new.numbers[0] = step.number.unwrap_or(0);
        if protocol == IpProtocol::SCTP.0 {
            new.received = Half(Half::KNOWN);
            new.numbers[1] = segment.initiate_tag();
        }
    }
    new.sent = new.sent.after(bytes, 0, 0);
    Ok(if open_at(flows, index, key, now, &new) {
        Sent::FOLLOWED
    } else {
        Sent::NO_ROOM
    })
}

/// Whether a packet of this protocol says whether it opens a connection.
#[inline(always)]
#[must_use]
pub const fn says_what_opens(protocol: u8) -> bool {
    matches!(IpProtocol(protocol), IpProtocol::TCP | IpProtocol::SCTP)
}
