//! Later fragments, which carry no ports: they follow the first one, which was judged.
//!
//! What became of a first fragment is remembered in one of two places. The table of flows holds those
//! that a permission, or a connection of the host's, let in, and those that the host sent. Of all others,
//! which anybody can send, there are [notes](NOTES): few words, which no other memory depends on. A note
//! is replaced by the next one of the same hash.

use super::{Ip, enrolment, inbound::Inbound, outbound::Outbound, pass, path::FullPath};
use crate::{
    frame::{network::Datagram, packet::Packet},
    image::{line::Missing, lookup::Lookup},
    reason::{Outcome, Reason},
    state::{
        flow::{
            Flows, Half, Key, New, State,
            key::{FRAGMENTS_IN, FRAGMENTS_OUT},
            table::{find, open, timeout},
        },
        note::Note,
    },
};

/// Notes about first fragments that nothing permitted let in.
pub const NOTES: u32 = 1 << 12;

/// Index of the first note.
const FIRST_NOTE: u32 = enrolment::LIMITS;

/// The key of the fragments of one datagram, which its identification tells from others.
#[inline(always)]
fn key<A: Ip, P: Packet>(
    packet: &P,
    kind: u8,
    (local, remote): (A, A),
    datagram: &Datagram<A>,
) -> Key {
    let identification = A::identification(packet, datagram.identification);
    Key::new(kind, local, remote, datagram.protocol, identification)
}

/// What is remembered of a first fragment with this outcome.
#[inline(always)]
const fn first_fragment(outcome: Outcome) -> Half {
    Half::new(0, outcome.cell() as u16)
}

/// The outcome of a later fragment of the endpoint `id`, whose first one was counted in this cell.
#[inline(always)]
const fn as_first_fragment(cell: u16, id: u32) -> Outcome {
    let first = Outcome::in_cell(cell, id);
    if first.is_refusal() {
        first
    } else {
        first.because(Reason::Fragment)
    }
}

/// The index of the note about the fragment with this `hash`.
#[inline(always)]
const fn index(hash: u64) -> u32 {
    FIRST_NOTE + ((hash >> 20) as u32 & (NOTES - 1))
}

impl<P: Packet, T: Lookup, F: Flows> Inbound<'_, P, T, F, FullPath> {
    /// Remembers what became of a first fragment to `local`, for those that follow.
    ///
    /// Where there is no room, the others are judged by their source alone.
    #[inline(always)]
    pub fn note_first_fragment<A: Ip>(&self, local: A, datagram: &Datagram<A>, outcome: Outcome) {
        let ends = (local, datagram.source);
        let key = key(self.packet, FRAGMENTS_IN, ends, datagram);
        let now = self.flows.now();
        if matches!(outcome.code(), PERMITTED | ESTABLISHED) {
            let new = New {
                received: first_fragment(outcome),
                ruled: outcome.is_ruled() && !outcome.is_refusal(),
                ..New::default()
            };
            open(self.flows, &key, now, &new);
            return;
        }
        let hash = key.hash(self.flows.seed());
        if self.flows.writable()
            && let Some(word) = self.flows.limit(index(hash))
        {
            word.set(Note::new(hash, now, outcome.cell() as u16).0);
        }
    }

    /// The cell that the first fragment with this `key` was counted in, if that is remembered.
    #[inline(always)]
    fn noted(&self, key: &Key) -> Result<Option<u16>, Missing> {
        let now = self.flows.now();
        if let Some(slot) = find(self.flows, self.tables, key, now)? {
            return Ok(Some(slot.received().mark()));
        }
        let hash = key.hash(self.flows.seed());
        let lasts = timeout(self.tables, State::Fragments.code())?;
        let word = self.flows.limit(index(hash));
        Ok(word.and_then(|word| Note(word.get()).of(hash, now, lasts)))
    }

    /// Decides about a later fragment to `local`.
    ///
    /// One that arrives before the first passes if the peer holds some permission. The stack keeps
    /// it until the first arrives, which it never does if that one is dropped.
    #[inline(always)]
    pub fn later_fragment<A: Ip>(
        &self,
        local: A,
        datagram: &Datagram<A>,
    ) -> Result<Outcome, Reason> {
        let peer = self.peer(datagram.source)?;
        let id = peer.id();
        if peer.is_bound()
            && let Err(reason) = self.check_origin(peer, datagram.source)?
        {
            return Ok(self.ungoverned(reason, id));
        }
        let ends = (local, datagram.source);
        let key = key(self.packet, FRAGMENTS_IN, ends, datagram);
        if let Some(cell) = self.noted(&key)? {
            return Ok(as_first_fragment(cell, id));
        }
        if self.policy.knows(peer.role()) {
            return Ok(pass(Reason::Fragment, id));
        }
        Ok(self.ungoverned(Reason::FragmentUnpermitted, id))
    }
}

const PERMITTED: u8 = Reason::Permitted.code();
const ESTABLISHED: u8 = Reason::Established.code();

impl<P: Packet, T: Lookup, F: Flows> Outbound<'_, P, T, F, FullPath> {
    /// Remembers what became of a first fragment to `remote`, for those that follow.
    #[inline(always)]
    pub fn note_first_fragment<A: Ip>(&self, remote: A, datagram: &Datagram<A>, outcome: Outcome) {
        let ends = (datagram.source, remote);
        let key = key(self.packet, FRAGMENTS_OUT, ends, datagram);
        let now = self.flows.now();
        let new = New {
            sent: first_fragment(outcome),
            ruled: outcome.is_ruled() && !outcome.is_refusal(),
            ..New::default()
        };
        open(self.flows, &key, now, &new);
    }

    /// Decides about a later fragment to `remote`: the stack has sent the first one before.
    #[inline(always)]
    pub fn later_fragment<A: Ip>(
        &self,
        remote: A,
        datagram: &Datagram<A>,
    ) -> Result<Outcome, Reason> {
        let id = remote.endpoint(self.tables)?.id();
        let ends = (datagram.source, remote);
        let key = key(self.packet, FRAGMENTS_OUT, ends, datagram);
        Ok(
            match find(self.flows, self.tables, &key, self.flows.now())? {
                Some(slot) => as_first_fragment(slot.sent().mark(), id),
                None => self.ungoverned(Reason::FragmentUnpermitted, id),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::WORDS;

    #[test]
    fn notes_lie_behind_the_limits_of_enrolments() {
        assert!((FIRST_NOTE..WORDS).contains(&index(u64::MAX)));
        assert_eq!(index(0), FIRST_NOTE);
    }
}
