//! Notes that strangers' packets may write, each over another of the same place.

use super::flow::Flows;

/// A note about what has a hash: in bits 0 to 15 what is noted, in 16 to 31 the lower half of the tick, in
/// 32 to 63 the upper half of the hash.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Note(pub u64);

impl Note {
    /// Notes `what` at `now` of what has this `hash`.
    #[inline(always)]
    #[must_use]
    pub const fn new(hash: u64, now: u32, what: u16) -> Self {
        Self(hash >> 32 << 32 | (now as u16 as u64) << 16 | what as u64)
    }

    /// What is noted, of whatever.
    #[inline(always)]
    #[must_use]
    pub const fn what(self) -> u16 {
        self.0 as u16
    }

    /// Whether this is no older than `lasts` ticks.
    #[inline(always)]
    #[must_use]
    pub const fn is_recent(self, now: u32, lasts: u32) -> bool {
        (now as u16).wrapping_sub((self.0 >> 16) as u16) as u32 <= lasts
    }

    /// Whether this is about what has this `hash`.
    #[inline(always)]
    #[must_use]
    pub const fn is_about(self, hash: u64) -> bool {
        self.0 >> 32 == hash >> 32
    }

    /// What is noted of what has this `hash`, if it is no older than `lasts` ticks.
    #[inline(always)]
    #[must_use]
    pub const fn of(self, hash: u64, now: u32, lasts: u32) -> Option<u16> {
        if self.is_about(hash) && self.is_recent(now, lasts) {
            Some(self.what())
        } else {
            None
        }
    }
}

/// What is noted, where notes may not be lost: of one hash, or that there were several at once.
const ONE: u16 = 1;
const SEVERAL: u16 = 2;

/// Notes at `index` what has this `hash`; over another that is no older than `lasts` ticks, that there are
/// several.
#[inline(always)]
pub fn write<F: Flows>(flows: &F, index: u32, hash: u64, lasts: u32) {
    let now = flows.now();
    let Some(word) = flows.limit(index) else {
        return;
    };
    let before = Note(word.get());
    let others = before.what() == SEVERAL || before.what() == ONE && !before.is_about(hash);
    let what = if others && before.is_recent(now, lasts) {
        SEVERAL
    } else {
        ONE
    };
    if flows.writable() {
        word.set(Note::new(hash, now, what).0);
    }
}

/// Whether what has this `hash` may have been noted at `index` in the last `lasts` ticks.
#[inline(always)]
pub fn is_noted<F: Flows>(flows: &F, index: u32, hash: u64, lasts: u32) -> bool {
    let Some(word) = flows.limit(index) else {
        return false;
    };
    let note = Note(word.get());
    note.is_recent(flows.now(), lasts)
        && (note.what() == SEVERAL || note.what() == ONE && note.is_about(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_about_one_hash_for_a_time() {
        let (hash, now) = (0x0123_4567_89ab_cdef, 0x1_fffe);
        let note = Note::new(hash, now, 0xabcd);
        assert_eq!(note.of(hash, now, 0), Some(0xabcd));
        assert_eq!(note.of(hash, now + 5, 5), Some(0xabcd));
        assert_eq!(note.of(hash, now + 6, 5), None);
        assert_eq!(note.of(hash ^ 1 << 32, now, 5), None);
    }
}
