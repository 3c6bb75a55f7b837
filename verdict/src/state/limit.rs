//! Words that strangers' packets may change: limits of what is admitted in a tick, and notes.

use core::cell::Cell;

/// A word. Of a limit: how much has been admitted in the tick of the last admission: tick in the lower half, number in
/// the upper. What several CPUs admit at once may count as one.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Limit(Cell<u64>);

impl Limit {
    /// The limit in this word.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(Cell::new(word))
    }

    /// The word.
    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    /// Replaces the word.
    #[inline(always)]
    pub fn set(&self, word: u64) {
        self.0.set(word);
    }

    /// Whether one more may be admitted at `now`, of `most` in a tick; it is counted if `writable`.
    #[inline(always)]
    pub fn admit(&self, now: u32, most: u32, writable: bool) -> bool {
        let word = self.get();
        let count = if word as u32 == now { word >> 32 } else { 0 };
        if count >= u64::from(most) {
            return false;
        }
        if writable {
            self.set((count + 1) << 32 | u64::from(now));
        }
        true
    }
}
