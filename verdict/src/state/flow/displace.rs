//! Which flow makes room for a new one where all places are taken.
//!
//! The one that is worth least ([`Worth`]), and of these the one that has been silent longest. A connection
//! that a rule permits and that was answered makes room only where one local address has crowded the
//! sets, and only for another address; whoever has crowded them displaces only its own.
//!
//! There is no branch in what is done for each place, so that the kernel's verifier follows it once.

use core::hint::black_box;

use super::{
    entry::Set,
    table::Flows,
    tag::{Tag, Worth},
};
use crate::state::sets::{self, NOWHERE, WAYS};

/// So many of both sets' places, if they count for one local address, are a crowd.
const CROWD: u64 = 12;

/// A bit of an owner in each byte.
#[inline(always)]
const fn spread(owner: u64) -> u64 {
    owner.wrapping_mul(0x0002_0408_1020_4081) & 0x0101_0101_0101_0101
}

// What the compiler recognises as a comparison it turns into a branch; so each passes through `black_box`.

/// 1 if both are equal, else 0.
#[inline(always)]
fn equal(left: u64, right: u64) -> u64 {
    let difference = left ^ right;
    (black_box(difference.wrapping_sub(1)) & !difference) >> 63
}

/// 1 if `left` is greater, else 0; both below 2^63.
#[inline(always)]
fn greater(left: u64, right: u64) -> u64 {
    black_box(right.wrapping_sub(left)) >> 63
}

/// Whom more than half of these places count for, as [`spread`] writes it, if there is anyone: each bit
/// of its number is that of more than half.
#[inline(always)]
fn most_frequent(sets: [&Set; 2]) -> u64 {
    let mut sum = 0;
    let mut way = 0;
    while way < WAYS {
        sum += spread(sets[0].tag(way).owner()) + spread(sets[1].tag(way).owner());
        way += 1;
    }
    (sum + 0x0077_7777_7777_7777) >> 7 & 0x0101_0101_0101_0101
}

/// Both sets of a flow whose key has this `hash`.
#[inline(always)]
fn both_sets<F: Flows>(flows: &F, hash: u64) -> Option<[&Set; 2]> {
    let set = |step| flows.set(sets::index(hash, flows.mask(), step) / WAYS);
    Some([set(0)?, set(WAYS)?])
}

/// Whom at least [`CROWD`] places count for, of those that a flow can have whose key has this `hash`:
/// as [`spread`] writes it; `u64::MAX` if there is nobody.
#[inline(always)]
pub fn crowd<F: Flows>(flows: &F, hash: u64) -> u64 {
    let Some(sets) = both_sets(flows, hash) else {
        return u64::MAX;
    };
    let most = most_frequent(sets);
    // Read again: kept, they would take the stack that the verifier allows.
    let sets = sets.map(black_box);
    let mut count = 0;
    let mut way = 0;
    while way < WAYS {
        count += equal(spread(sets[0].tag(way).owner()), most)
            + equal(spread(sets[1].tag(way).owner()), most);
        way += 1;
    }
    most | greater(CROWD, count).wrapping_neg()
}

/// The index of the entry that makes room for a flow that `new` tells of, whose key has this `hash`, among
/// those that `crowd` has crowded; [`NOWHERE`] if it displaces none.
#[inline(always)]
pub fn displace<F: Flows>(flows: &F, hash: u64, new: Tag, crowd: u64) -> u32 {
    let Some([first, second]) = both_sets(flows, hash) else {
        return NOWHERE;
    };
    let displacing = Displacing::new(new, crowd, flows.now());
    let way = sets::index(hash, flows.mask(), 0);
    let least = displacing.least(HELD, first, way, 0);
    let least = displacing.least(least, second, way, WAYS);
    if least >= HELD {
        return NOWHERE;
    }
    sets::index(hash, flows.mask(), least as u32 & (2 * WAYS - 1))
}

/// Cost from which on a flow is not replaced.
const HELD: u64 = 1 << 62;

/// Where in a cost the worth lies; below it how recent the last packet is, and the step of the place.
const WORTH_SHIFT: u32 = 36;
const RECENT_SHIFT: u32 = 4;

/// What a new flow may displace.
struct Displacing {
    /// Twice the most that a flow may be worth.
    limit: u64,
    /// See [`crowd`].
    crowd: u64,
    /// 1 if the new flow is the crowd's.
    from_crowd: u64,
    /// 1 if it is another's, and a connection that a rule permits.
    from_others: u64,
    now: u32,
}

impl Displacing {
    #[inline(always)]
    fn new(new: Tag, crowd: u64, now: u32) -> Self {
        let limit = 2 * u64::from(new.worth().displaces().0);
        let from_crowd = equal(spread(new.owner()), crowd);
        Self {
            limit,
            crowd,
            from_crowd,
            from_others: equal(limit, 2 * u64::from(Worth::RULED_UNANSWERED.0)) & (from_crowd ^ 1),
            now,
        }
    }

    /// The least of `least` and what it costs to replace one in `set`, of which the place at `way` is that
    /// of this `step`; the step of the place lies in the lowest bits.
    #[inline(always)]
    fn least(&self, mut least: u64, set: &Set, way: u32, step: u32) -> u64 {
        let mut further = 0;
        while further < WAYS {
            let cost = self.cost(set.tag(way + further)) | u64::from(step + further);
            let less = greater(least, cost).wrapping_neg();
            least ^= (least ^ cost) & less;
            further += 1;
        }
        least
    }

    /// What it costs to replace the flow of this `tag`; the least is replaced.
    #[inline(always)]
    fn cost(&self, tag: Tag) -> u64 {
        let worth = u64::from(tag.worth().0);
        let of_crowd = equal(spread(tag.owner()), self.crowd);
        let ruled = greater(worth + 1, Worth::RULED_UNANSWERED.0.into())
            & greater(Worth::HELD.0.into(), worth);
        // The crowd's connections come right below those of others that wait for an answer.
        let crowded = (ruled & of_crowd & self.from_others).wrapping_neg();
        let below = 2 * u64::from(Worth::RULED_UNANSWERED.0) - 1;
        let rank = (2 * worth) & !crowded | below & crowded;
        let held = greater(rank, self.limit) | ruled & self.from_crowd & (of_crowd ^ 1);
        let recent = u64::from(u32::MAX - tag.idle(self.now));
        held.wrapping_neg() & HELD | rank << WORTH_SHIFT | recent << RECENT_SHIFT
    }
}
