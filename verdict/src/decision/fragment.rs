//! Later fragments, which carry no ports: they follow the first one, which was judged.

use super::{Ip, inbound::Inbound, outbound::Outbound, pass, path::FullPath};
use crate::{
    frame::{network::Datagram, packet::Packet},
    image::lookup::Lookup,
    reason::{Outcome, Reason, Verdict},
    state::flow::{
        Flows, Half, Key, New,
        key::{FRAGMENTS_IN, FRAGMENTS_OUT},
        table::{find, open},
    },
};

/// The key of the fragments of one datagram, which its identification tells from others.
#[inline(always)]
fn key<A: Ip>(kind: u8, local: A, remote: A, datagram: &Datagram<A>) -> Key {
    Key::new(
        kind,
        local,
        remote,
        datagram.protocol,
        datagram.identification,
    )
}

/// What is remembered of a first fragment with this outcome.
#[inline(always)]
const fn first_fragment(outcome: Outcome) -> Half {
    let dropped = match outcome.verdict() {
        Verdict::Pass => 0,
        Verdict::Drop => Half::ENDED,
    };
    Half::new(dropped, outcome.rule_bits())
}

/// Whether a rule lets what has this outcome pass.
#[inline(always)]
const fn is_permitted(outcome: Outcome) -> bool {
    outcome.rule() != 0 && !outcome.audited() && matches!(outcome.verdict(), Verdict::Pass)
}

/// The outcome of a later fragment whose first one is remembered like this.
#[inline(always)]
const fn as_first_fragment(first: Half, id: u32) -> Outcome {
    let reason = if first.has(Half::ENDED) {
        Reason::FragmentUnpermitted
    } else {
        Reason::Fragment
    };
    Outcome::with_rule(reason, first.mark(), id)
}

impl<P: Packet, T: Lookup, F: Flows> Inbound<'_, P, T, F, FullPath> {
    /// Remembers what became of a first fragment to `local`, for those that follow.
    ///
    /// Where there is no room, the others are judged by their source alone.
    #[inline(always)]
    pub fn note_first_fragment<A: Ip>(&self, local: A, datagram: &Datagram<A>, outcome: Outcome) {
        if datagram.position.is_first() && outcome.endpoint() != 0 {
            let key = key(FRAGMENTS_IN, local, datagram.source, datagram);
            let now = self.flows.now();
            let new = New {
                received: first_fragment(outcome),
                ruled: is_permitted(outcome),
                ..New::default()
            };
            open(self.flows, &key, now, &new);
        }
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
        if id == 0 {
            return Err(Reason::FragmentUnpermitted);
        }
        let key = key(FRAGMENTS_IN, local, datagram.source, datagram);
        if let Some(slot) = find(self.flows, self.tables, &key, self.flows.now())? {
            return Ok(as_first_fragment(slot.received(), id));
        }
        if self.policy.knows(peer.role()) {
            return Ok(pass(Reason::Fragment, id));
        }
        Ok(self.ungoverned(Reason::FragmentUnpermitted, id))
    }
}

impl<P: Packet, T: Lookup, F: Flows> Outbound<'_, P, T, F, FullPath> {
    /// Remembers what became of a first fragment to `remote`, for those that follow.
    #[inline(always)]
    pub fn note_first_fragment<A: Ip>(&self, remote: A, datagram: &Datagram<A>, outcome: Outcome) {
        if datagram.position.is_first() {
            let key = key(FRAGMENTS_OUT, datagram.source, remote, datagram);
            let now = self.flows.now();
            let new = New {
                sent: first_fragment(outcome),
                ruled: is_permitted(outcome),
                ..New::default()
            };
            open(self.flows, &key, now, &new);
        }
    }

    /// Decides about a later fragment to `remote`: the stack has sent the first one before.
    #[inline(always)]
    pub fn later_fragment<A: Ip>(
        &self,
        remote: A,
        datagram: &Datagram<A>,
    ) -> Result<Outcome, Reason> {
        let id = remote.endpoint(self.tables)?.id();
        let key = key(FRAGMENTS_OUT, datagram.source, remote, datagram);
        Ok(
            match find(self.flows, self.tables, &key, self.flows.now())? {
                Some(slot) => as_first_fragment(slot.sent(), id),
                None => self.ungoverned(Reason::FragmentUnpermitted, id),
            },
        )
    }
}
