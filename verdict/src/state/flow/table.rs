//! The table of flows: sets of eight entries, two sets for each flow.
//!
//! The hash names two sets, and an entry in the first of them, where most flows lie. Only packets
//! that the host sends open connections, so nobody outside can fill the table with them. Where all
//! entries of both sets are taken, a new flow replaces one that has ended, else fragments, else the
//! connection that has waited longest for its answer. A connection that was answered is never
//! replaced.

use core::hint::black_box;

use super::{
    entry::{Entry, Half},
    key::{CONNECTION, ENROLMENT, Key},
};
use crate::{
    image::{
        fixed::TIMEOUTS,
        line::{Missing, Tables},
    },
    state::{
        lease::Leases,
        limit::Limit,
        sets::{self, NOWHERE, WAYS},
    },
};

/// The table, in a kernel map or in memory.
pub trait Flows: Leases {
    /// The entry `index`; `None` past the end of the table.
    fn entry(&self, index: u32) -> Option<&Entry>;

    /// Number of sets, less one; a power of two of sets, at most
    /// [`MAX_FLOW_SETS`](crate::layout::MAX_FLOW_SETS).
    fn mask(&self) -> u32;

    /// The tick of now.
    fn now(&self) -> u32;

    /// Whether TCP connections of guests may be taken over mid-stream.
    fn adopting(&self) -> bool;

    /// Whether the packet stands for a connection that a socket of the host has already.
    fn adopts_socket(&self) -> bool;

    /// Whether packets change the table; not those that are only explained.
    fn writable(&self) -> bool;

    /// The limit `index` of enrolments; `None` past the last one.
    fn limit(&self, index: u32) -> Option<&Limit>;

    /// [`search`]; the kernel verifies it once, as a function of its own.
    fn search(&self, key: &Key) -> u32
    where
        Self: Sized,
    {
        search(self, key)
    }

    /// [`choose`], by the image in force; the kernel verifies it once, as a function of its own.
    fn choose(&self, hash: u64, kind: u8) -> u32;
}

/// How long the state with this code lasts, ticks.
#[inline(always)]
pub fn timeout<T: Tables>(tables: &T, state: u8) -> Result<u32, Missing> {
    let line = tables.line(TIMEOUTS.into())?;
    Ok((line[((state / 2) & 7) as usize] >> (32 * u32::from(state % 2))) as u32)
}

/// Whether the flow in `entry` has outlived its state.
#[inline(always)]
pub fn expired<T: Tables>(entry: &Entry, tables: &T, now: u32) -> Result<bool, Missing> {
    Ok(entry.idle(now) > timeout(tables, entry.state())?)
}

/// The flow with `key`, alive or not; `None` if there is none. Most lie right where the hash names.
#[inline(always)]
pub fn at_home<'a, F: Flows>(flows: &'a F, key: &Key) -> Option<&'a Entry> {
    let hash = key.hash(flows.seed());
    match flows.entry(sets::index(hash, flows.mask(), 0)) {
        Some(home) if home.is(key, hash) => Some(home),
        _ => flows.entry(flows.search(key)),
    }
}

/// The index of the flow with `key`, alive or not; [`NOWHERE`] if there is none.
#[inline(always)]
pub fn search<F: Flows>(flows: &F, key: &Key) -> u32 {
    let hash = key.hash(flows.seed());
    let mask = flows.mask();
    let mut step = 0;
    while step < 2 * WAYS {
        let index = sets::index(hash, mask, step);
        if flows.entry(index).is_some_and(|entry| entry.is(key, hash)) {
            return index;
        }
        step += 1;
    }
    NOWHERE
}

/// The index of the entry for a new flow of this `kind` whose key has this `hash`; [`NOWHERE`] if all
/// are taken by flows that are not replaced.
#[inline(always)]
pub fn choose<F: Flows, T: Tables>(flows: &F, tables: &T, hash: u64, kind: u8) -> u32 {
    let mask = flows.mask();
    let now = flows.now();
    let mut chosen = NOWHERE;
    let mut least = HELD;
    let mut step = 0;
    while step < 2 * WAYS {
        let index = sets::index(hash, mask, step);
        let Some(entry) = flows.entry(index) else {
            return NOWHERE;
        };
        let cost = cost(entry, tables, kind, now);
        if cost < least {
            least = cost;
            chosen = index;
            if cost == 0 {
                break;
            }
        }
        step += 1;
    }
    chosen
}

/// Cost of a flow that is never replaced.
const HELD: u64 = u64::MAX;

/// What it costs to replace the flow in `entry` by one of this `kind`; the least is replaced.
#[inline(always)]
fn cost<T: Tables>(entry: &Entry, tables: &T, kind: u8, now: u32) -> u64 {
    // Its origin is hidden from the kernel's verifier, which then follows what comes next only once.
    let state = black_box(entry.state());
    if entry.is_empty() || timeout(tables, state).is_ok_and(|lasts| entry.idle(now) > lasts) {
        return 0;
    }
    // Never 0, as no wait is longer than half of the ticks there are.
    let fresh = u64::from(u32::MAX - entry.idle(now));
    if entry.kind() == ENROLMENT {
        return HELD;
    }
    if !entry.is_connection() {
        return fresh;
    }
    // Fragments never displace a connection.
    if kind == CONNECTION && !entry.received().has(Half::SEEN) {
        return fresh + (1 << 32);
    }
    HELD
}

/// The flow with `key`; `None` if there is none, or it has outlived its state.
#[inline(always)]
pub fn find<'a, F: Flows, T: Tables>(
    flows: &'a F,
    tables: &T,
    key: &Key,
    now: u32,
) -> Result<Option<&'a Entry>, Missing> {
    match flows.entry(flows.search(key)) {
        Some(entry) if !expired(entry, tables, now)? => Ok(Some(entry)),
        _ => Ok(None),
    }
}

/// Opens the flow with `key`, which is not in the table or has outlived its state. `false` if there is
/// no room for it.
#[inline(always)]
pub fn open<F: Flows>(flows: &F, key: &Key, now: u32, sent: Half, received: Half) -> bool {
    if !flows.writable() {
        return true;
    }
    let hash = key.hash(flows.seed());
    let mut index = flows.search(key);
    if index == NOWHERE {
        index = flows.choose(hash, key.kind());
    }
    let Some(entry) = flows.entry(index) else {
        return false;
    };
    entry.put(key, hash, now, sent, received);
    true
}
