//! The table of flows: sets of eight entries, two sets for each flow.
//!
//! The hash names two sets, and an entry in the first of them, where most flows lie. Only packets
//! that the host sends open connections, so nobody outside can fill the table with them. Where all
//! entries of both sets are taken, a new flow replaces one that has ended, else it may
//! [displace](super::displace) one.

use super::{
    displace,
    entry::{New, Set, Slot},
    key::Key,
    tag::Tag,
};
use crate::{
    image::{
        fixed::TIMEOUTS,
        line::{Missing, Tables},
    },
    state::{
        lease::Leases,
        limit::Limit,
        note, served, sessions,
        sets::{self, NOWHERE, WAYS},
    },
};

/// The table, in a kernel map or in memory.
pub trait Flows: Leases {
    /// The set `index`; `None` past the end of the table.
    fn set(&self, index: u32) -> Option<&Set>;

    /// Number of sets, less one; a power of two of sets, at most
    /// [`MAX_FLOW_SETS`](crate::layout::MAX_FLOW_SETS).
    fn mask(&self) -> u32;

    /// The tick of now.
    fn now(&self) -> u32;

    /// Whether all that sockets of the host receive from groups is judged there.
    #[inline(always)]
    fn groups_at_sockets(&self) -> bool {
        false
    }

    /// The key on the wire of the packet that is judged, if it is one to a socket that has opened what it
    /// belongs to, and the host has translated its addresses in between.
    #[inline(always)]
    fn on_wire(&self) -> Option<Key> {
        None
    }

    /// Whether TCP connections of guests may be taken over mid-stream.
    fn adopting(&self) -> bool;

    /// Whether the packet stands for a connection that a socket of the host has already.
    fn adopts_socket(&self) -> bool;

    /// The set `index` of the memory of what is served; `None` past its end.
    fn served(&self, index: u32) -> Option<&served::Set>;

    /// Number of its sets, less one; half as many as of flows.
    #[inline(always)]
    fn served_mask(&self) -> u32 {
        self.mask() >> 1
    }

    /// [`served::remember`]; the kernel verifies it once, as a function of its own.
    fn remember(&self, key: &Key)
    where
        Self: Sized,
    {
        served::remember(self, key);
    }

    /// [`served::idle`]; the kernel verifies it once, as a function of its own.
    fn served_idle(&self, key: &Key) -> u32
    where
        Self: Sized,
    {
        served::idle(self, key)
    }

    /// Whether packets change the table; not those that are only explained.
    fn writable(&self) -> bool;

    /// The limit `index` of enrolments; `None` past the last one.
    fn limit(&self, index: u32) -> Option<&Limit>;

    /// [`sessions::search`]; the kernel verifies it once, as a function of its own.
    fn enrolling(&self, hash: u64) -> u32
    where
        Self: Sized,
    {
        sessions::search(self, hash)
    }

    /// [`sessions::shown`]; the kernel verifies it once, as a function of its own.
    fn shown(&self, address: [u64; 2], port: u32) -> u64
    where
        Self: Sized,
    {
        sessions::shown(self, address, port)
    }

    /// [`search`]; the kernel verifies it once, as a function of its own.
    fn search(&self, key: &Key) -> u32
    where
        Self: Sized,
    {
        search(self, key)
    }

    /// [`free`], by the image in force; the kernel verifies it once, as a function of its own.
    fn free(&self, hash: u64) -> u32;

    /// [`displace::crowd`]; the kernel verifies it once, as a function of its own.
    fn crowd(&self, hash: u64) -> u64
    where
        Self: Sized,
    {
        displace::crowd(self, hash)
    }

    /// [`displace::displace`]; the kernel verifies it once, as a function of its own.
    fn displace(&self, hash: u64, new: Tag, crowd: u64) -> u32
    where
        Self: Sized,
    {
        displace::displace(self, hash, new, crowd)
    }

    /// [`note::is_noted`]; the kernel verifies it once, as a function of its own.
    fn is_noted(&self, index: u32, hash: u64, lasts: u32) -> bool
    where
        Self: Sized,
    {
        note::is_noted(self, index, hash, lasts)
    }

    /// The place `index`; `None` past the end of the table.
    #[inline(always)]
    fn slot(&self, index: u32) -> Option<Slot<'_>> {
        Some(self.set(index / WAYS)?.slot(index))
    }
}

/// How long the state with this code lasts, ticks.
#[inline(always)]
pub fn timeout<T: Tables>(tables: &T, state: u8) -> Result<u32, Missing> {
    let line = tables.line(TIMEOUTS.into())?;
    Ok((line[((state / 2) & 7) as usize] >> (32 * u32::from(state % 2))) as u32)
}

/// Whether the flow of this `tag` has outlived its state.
#[inline(always)]
pub fn expired<T: Tables>(tag: Tag, tables: &T, now: u32) -> Result<bool, Missing> {
    Ok(tag.idle(now) > timeout(tables, tag.state())?)
}

/// The flow with `key`, alive or not; `None` if there is none. Most lie right where the hash names.
#[inline(always)]
pub fn at_home<'a, F: Flows>(flows: &'a F, key: &Key) -> Option<Slot<'a>> {
    let hash = key.hash(flows.seed());
    match flows.slot(sets::index(hash, flows.mask(), 0)) {
        Some(home) if home.is(key, hash) => Some(home),
        _ => flows.slot(flows.search(key)),
    }
}

/// The index of the flow with `key`, alive or not; [`NOWHERE`] if there is none.
#[inline(always)]
pub fn search<F: Flows>(flows: &F, key: &Key) -> u32 {
    let hash = key.hash(flows.seed());
    let mut step = 0;
    while step < 2 * WAYS {
        let first = sets::index(hash, flows.mask(), step);
        let Some(set) = flows.set(first / WAYS) else {
            return NOWHERE;
        };
        let mut way = 0;
        while way < WAYS {
            if set.tag(way).may_be(hash) && set.slot(way).is(key, hash) {
                return first / WAYS * WAYS + way;
            }
            way += 1;
        }
        step += WAYS;
    }
    NOWHERE
}

/// The index of an entry for a flow whose key has this `hash`, where there is none or one that has ended;
/// [`NOWHERE`] if all are taken.
#[inline(always)]
pub fn free<F: Flows, T: Tables>(flows: &F, tables: &T, hash: u64) -> u32 {
    let now = flows.now();
    let mut step = 0;
    while step < 2 * WAYS {
        let index = sets::index(hash, flows.mask(), step);
        let Some(set) = flows.set(index / WAYS) else {
            return NOWHERE;
        };
        let tag = set.tag(index);
        if tag.is_empty() || expired(tag, tables, now).unwrap_or(false) {
            return index;
        }
        step += 1;
    }
    NOWHERE
}

/// The flow with `key`; `None` if there is none, or it has outlived its state.
#[inline(always)]
pub fn find<'a, F: Flows, T: Tables>(
    flows: &'a F,
    tables: &T,
    key: &Key,
    now: u32,
) -> Result<Option<Slot<'a>>, Missing> {
    match flows.slot(flows.search(key)) {
        Some(slot) if !expired(slot.tag(), tables, now)? => Ok(Some(slot)),
        _ => Ok(None),
    }
}

/// Opens the flow with `key`, which is not in the table or has outlived its state. `false` if there is
/// no room for it.
#[inline(always)]
pub fn open<F: Flows>(flows: &F, key: &Key, now: u32, new: &New) -> bool {
    open_at(flows, flows.search(key), key, now, new)
}

/// Opens the flow with `key` at `index`, where it was found; [`NOWHERE`] if it was not.
#[inline(always)]
pub fn open_at<F: Flows>(flows: &F, index: u32, key: &Key, now: u32, new: &New) -> bool {
    let hash = key.hash(flows.seed());
    let mut index = index;
    if index == NOWHERE {
        index = flows.free(hash);
    }
    if index == NOWHERE {
        let tag = Tag::new(key, hash, new.ruled);
        let tag = tag.at(now, new.sent, new.received);
        index = flows.displace(hash, tag, flows.crowd(hash));
    }
    let Some(slot) = flows.slot(index) else {
        return false;
    };
    if flows.writable() {
        slot.put(key, hash, now, new);
    }
    true
}
