//! Another size for the table of flows, with the flows that it has.
//!
//! The size of a map does not change. So a new one is made and pinned in its place; flows are moved to it
//! when it is made, and what the programs before have opened since then once the new ones are attached.

use std::fs;

use aya::maps::{Array, Map, MapData};
use verdict::state::{
    flow::{Set, entry::SET_WORDS},
    sets::{self, WAYS},
};

use super::{
    LoadError, Pins,
    error::map_failed,
    flow_control,
    maps::{SetValue, name},
    pinned::{array, pinned_map},
};

/// The table before, as long as programs may use it.
#[derive(Debug)]
pub(super) struct Before(Map);

/// Takes the table under `pins` away if it has not this number of sets; what it served is forgotten.
pub(super) fn take(pins: &Pins, flow_sets: u32) -> Result<Option<Before>, LoadError> {
    if !pins.map(name::FLOWS).exists() {
        return Ok(None);
    }
    let before = pinned_map(pins, name::FLOWS)?;
    let size = before
        .info()
        .map_err(map_failed(name::FLOWS))?
        .max_entries();
    if size == flow_sets {
        return Ok(None);
    }
    for name in [name::FLOWS, name::SERVED] {
        let path = pins.map(name);
        if path.exists() {
            fs::remove_file(&path).map_err(|source| LoadError::Unpin { path, source })?;
        }
    }
    Ok(Some(Before(Map::Array(before))))
}

impl Before {
    /// `table`, to move what is in it.
    pub(super) const fn of(table: Map) -> Self {
        Self(table)
    }

    /// Moves flows to the table pinned under `pins`, as far as it does not have them, and has room.
    pub(super) fn move_to(&self, pins: &Pins) -> Result<(), LoadError> {
        let seed = flow_control::read(pins)?.seed;
        let mut after: Array<MapData, SetValue> = array(pins, name::FLOWS)?;
        let before: Array<&MapData, SetValue> =
            (&self.0).try_into().map_err(map_failed(name::FLOWS))?;
        let mask = after.len().saturating_sub(1);
        for index in 0..before.len() {
            let value = before.get(&index, 0).map_err(map_failed(name::FLOWS))?;
            let set = Set::from_words(&value.0);
            for way in 0..WAYS {
                let Some(flow) = set.slot(way).read() else {
                    continue;
                };
                let hash = flow.key.hash_under(seed);
                let words = flow.key.to_words();
                for step in [0, WAYS] {
                    let there = sets::index(hash, mask, step) / WAYS;
                    let mut found = after.get(&there, 0).map_err(map_failed(name::FLOWS))?;
                    match place(&mut found.0, words, (&value.0, way)) {
                        Placed::Known => break,
                        Placed::Full => {}
                        Placed::New => {
                            after
                                .set(there, found, 0)
                                .map_err(map_failed(name::FLOWS))?;
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// What has come of a flow that is to be moved to a set.
enum Placed {
    Known,
    New,
    Full,
}

/// Puts the flow at a way of the set `from` into the set `to`.
fn place(
    to: &mut [u64; SET_WORDS],
    key: [u64; 5],
    (from, way): (&[u64; SET_WORDS], u32),
) -> Placed {
    const TAGS: usize = 8 * WAYS as usize;
    let set = Set::from_words(to);
    let known = |way: u32| {
        let flow = set.slot(way).read();
        flow.is_some_and(|flow| flow.key.to_words() == key)
    };
    if (0..WAYS).any(known) {
        return Placed::Known;
    }
    let Some(free) = (0..WAYS).find(|&way| set.tag(way).is_empty()) else {
        return Placed::Full;
    };
    let (free, way) = (free as usize, way as usize);
    to[8 * free..8 * free + 8].copy_from_slice(&from[8 * way..8 * way + 8]);
    to[TAGS + free] = from[TAGS + way];
    Placed::New
}
