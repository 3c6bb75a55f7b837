//! Datagrams that nobody has asked for, and the host's answers to them.
//!
//! A datagram does not say whether it begins something. So a peer is noted whose datagram was let in by an
//! audit, or because it was for a group; what the host sends to it soon after, from whatever port, is an
//! answer, and opens nothing: otherwise whoever asks would have got in.
//!
//! Anybody can write these notes, also over one another. A place where that has happened takes every peer
//! for noted until it is quiet; what a rule permits the host is never asked here.

use super::{Ip, conversation::Conversation, enrolment, fragment};
use crate::{
    image::service::ServiceKey,
    state::{
        clock::ticks,
        flow::{Flows, Key, follow::says_what_opens, key::UNASKED},
        note,
    },
};

/// Notes about peers.
pub const NOTES: u32 = 1 << 12;

/// Index of the first note.
const FIRST_NOTE: u32 = enrolment::LIMITS + fragment::NOTES;

/// How long what is sent to a peer counts as an answer, ticks.
const LASTS: u32 = ticks(4);

/// Hash of the remote side of a conversation: any port of the host may answer.
#[inline(always)]
fn hash<A: Ip, F: Flows>(flows: &F, about: &Conversation<A>) -> u64 {
    let port = about.ports & 0xffff;
    let key = Key::new(UNASKED, about.remote, about.remote, about.protocol, port);
    key.hash(flows.seed())
}

#[inline(always)]
const fn index(hash: u64) -> u32 {
    FIRST_NOTE + ((hash >> 20) as u32 & (NOTES - 1))
}

/// Notes the peer of a packet that was let in although no rule permits it.
#[inline(always)]
pub fn note<A: Ip, F: Flows>(flows: &F, about: &Conversation<A>) {
    if says_what_opens(about.protocol) {
        return;
    }
    let hash = hash(flows, about);
    note::write(flows, index(hash), hash, LASTS);
}

/// Whether what the host sends answers a peer that has not been asked. TCP and SCTP say so themselves.
#[inline(always)]
pub fn is_answered<A: Ip, F: Flows>(flows: &F, about: &Conversation<A>) -> bool {
    // A reply of ICMP asks for nothing.
    if about.remote_key == ServiceKey::NONE {
        return true;
    }
    if about.is_to_group() {
        return false;
    }
    let hash = hash(flows, about);
    flows.is_noted(index(hash), hash, LASTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::WORDS;

    #[test]
    fn notes_are_the_last_words() {
        assert_eq!(index(0), FIRST_NOTE);
        assert_eq!(index(u64::MAX), WORDS - 1);
    }
}
