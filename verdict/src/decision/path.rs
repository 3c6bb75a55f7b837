//! The two paths that a decision can take.
//!
//! The policy is stated once, in [`inbound`](super::inbound) and [`outbound`](super::outbound),
//! over the trait [`Path`]. On the [`FullPath`] it is decided to the end. The [`FastPath`] is the
//! same statement without a call and without a write that could fail: where either would be
//! needed it stops, nothing has been written, and the full path decides.

use super::{Ip, conversation::Conversation};
use crate::{
    frame::{ethernet::Frame, packet::Packet, transport::Segment},
    image::{
        endpoint::{self, Peer},
        line::Missing,
        lookup::{self, Lookup},
    },
    reason::Reason,
    state::{
        clock::ticks,
        flow::{
            Flows, Key, Slot,
            follow::{self, Opening, Sent, says_what_opens},
            table::{at_home, expired, find},
        },
        lease,
        served::is_fresh,
    },
};

/// How far a decision goes, and how it looks things up on its way.
pub trait Path {
    /// Why there is no outcome: for the full path a [`Reason`] that no rule governs.
    type Stop: From<Reason> + From<Missing>;

    /// Goes on with what takes calls.
    ///
    /// # Errors
    ///
    /// The fast path stops here.
    fn go_on() -> Result<(), Self::Stop>;

    /// What `packet` says about the connection of `about`.
    ///
    /// # Errors
    ///
    /// [`Reason::TransportTruncated`] if the frame ends too early to tell.
    fn segment<A: Ip, P: Packet>(
        packet: &P,
        about: &Conversation<A>,
    ) -> Result<Segment, Self::Stop>;

    /// The endpoint whose longest prefix covers `address`, if one does.
    ///
    /// # Errors
    ///
    /// If the image lacks a line.
    fn endpoint<A: Ip, T: Lookup>(tables: &T, address: A) -> Result<Peer, Self::Stop>;

    /// Checks that the endpoint `id` holds a lease at `source`, and that `packet` comes from where
    /// it was given.
    ///
    /// # Errors
    ///
    /// The fast path stops unless the lease holds; the inner result is that of [`lease::check`].
    fn lease<A: Ip, P: Packet, F: Flows>(
        flows: &F,
        id: u32,
        source: A,
        packet: &P,
        frame: &Frame,
    ) -> Result<Result<(), Reason>, Self::Stop>;

    /// Remembers what is served, if `segment` begins it, or has not been refreshed for a while.
    ///
    /// # Errors
    ///
    /// The fast path stops if there is something to remember.
    #[inline(always)]
    fn remember<A: Ip, F: Flows>(
        flows: &F,
        about: &Conversation<A>,
        segment: Segment,
    ) -> Result<(), Self::Stop> {
        let key = about.key_served();
        let is_known = if says_what_opens(about.protocol) {
            !segment.opens()
        } else {
            is_fresh(flows, &key)
        };
        if !is_known {
            Self::go_on()?;
            flows.remember(&key);
        }
        Ok(())
    }

    /// The flow with `key`; `None` if there is none or it has outlived its state.
    ///
    /// # Errors
    ///
    /// The fast path stops unless there is one.
    fn flow<'a, F: Flows, T: Lookup>(
        flows: &'a F,
        tables: &T,
        key: &Key,
        now: u32,
    ) -> Result<Option<Slot<'a>>, Self::Stop>;

    /// Notes a packet of `bytes` bytes from the local side, and opens its flow if there is none (see
    /// [`follow::send_or_open`]).
    ///
    /// # Errors
    ///
    /// The fast path stops where there is none.
    fn send<F: Flows, T: Lookup>(
        flows: &F,
        tables: &T,
        key: &Key,
        segment: Segment,
        bytes: u64,
        opening: Opening<impl FnOnce() -> Result<bool, Missing>, impl FnOnce() -> bool>,
    ) -> Result<Sent, Self::Stop>;
}

/// Every packet, to the end.
pub struct FullPath;

impl Path for FullPath {
    type Stop = Reason;

    #[inline(always)]
    fn go_on() -> Result<(), Reason> {
        Ok(())
    }

    #[inline(always)]
    fn segment<A: Ip, P: Packet>(packet: &P, about: &Conversation<A>) -> Result<Segment, Reason> {
        Ok(about.segment(packet)?.opaque())
    }

    #[inline(always)]
    fn endpoint<A: Ip, T: Lookup>(tables: &T, address: A) -> Result<Peer, Reason> {
        Ok(address.endpoint(tables)?)
    }

    #[inline(always)]
    fn lease<A: Ip, P: Packet, F: Flows>(
        flows: &F,
        id: u32,
        source: A,
        packet: &P,
        frame: &Frame,
    ) -> Result<Result<(), Reason>, Reason> {
        Ok(lease::check(flows, id, source, packet, frame))
    }

    #[inline(always)]
    fn flow<'a, F: Flows, T: Lookup>(
        flows: &'a F,
        tables: &T,
        key: &Key,
        now: u32,
    ) -> Result<Option<Slot<'a>>, Reason> {
        Ok(find(flows, tables, key, now)?)
    }

    #[inline(always)]
    fn send<F: Flows, T: Lookup>(
        flows: &F,
        tables: &T,
        key: &Key,
        segment: Segment,
        bytes: u64,
        opening: Opening<impl FnOnce() -> Result<bool, Missing>, impl FnOnce() -> bool>,
    ) -> Result<Sent, Reason> {
        Ok(follow::send_or_open(
            flows, tables, key, segment, bytes, opening,
        )?)
    }
}

/// The common packets, in one straight line.
pub struct FastPath;

/// The fast path has no outcome, and has written nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Undecided;

impl From<Reason> for Undecided {
    #[inline(always)]
    fn from(_: Reason) -> Self {
        Self
    }
}

impl From<Missing> for Undecided {
    #[inline(always)]
    fn from(_: Missing) -> Self {
        Self
    }
}

/// The shortest time that a state of a flow lasts, ticks: policies give each a second at least.
const MIN_TIMEOUT: u32 = ticks(1) - 1;

impl Path for FastPath {
    type Stop = Undecided;

    #[inline(always)]
    fn go_on() -> Result<(), Undecided> {
        Err(Undecided)
    }

    #[inline(always)]
    fn segment<A: Ip, P: Packet>(
        packet: &P,
        about: &Conversation<A>,
    ) -> Result<Segment, Undecided> {
        Ok(about.segment(packet)?)
    }

    #[inline(always)]
    fn endpoint<A: Ip, T: Lookup>(tables: &T, address: A) -> Result<Peer, Undecided> {
        Ok(match endpoint::find_longest(tables, address)? {
            Peer(0) => lookup::find_shorter(tables, address)?,
            peer => peer,
        })
    }

    #[inline(always)]
    fn lease<A: Ip, P: Packet, F: Flows>(
        flows: &F,
        id: u32,
        source: A,
        packet: &P,
        frame: &Frame,
    ) -> Result<Result<(), Reason>, Undecided> {
        if lease::holds(flows, id, source, packet, frame) {
            return Ok(Ok(()));
        }
        Err(Undecided)
    }

    #[inline(always)]
    fn flow<'a, F: Flows, T: Lookup>(
        flows: &'a F,
        tables: &T,
        key: &Key,
        now: u32,
    ) -> Result<Option<Slot<'a>>, Undecided> {
        let Some(slot) = at_home(flows, key) else {
            return Err(Undecided);
        };
        // How long the state lasts is looked up for flows that are seldom used.
        if slot.tag().idle(now) > MIN_TIMEOUT && expired(slot.tag(), tables, now)? {
            return Err(Undecided);
        }
        Ok(Some(slot))
    }

    #[inline(always)]
    fn send<F: Flows, T: Lookup>(
        flows: &F,
        tables: &T,
        key: &Key,
        segment: Segment,
        bytes: u64,
        _: Opening<impl FnOnce() -> Result<bool, Missing>, impl FnOnce() -> bool>,
    ) -> Result<Sent, Undecided> {
        let now = flows.now();
        match Self::flow(flows, tables, key, now)? {
            Some(slot) if follow::send(flows, slot, key.protocol(), segment, bytes, now) => {
                Ok(Sent::FOLLOWED)
            }
            _ => Err(Undecided),
        }
    }
}
