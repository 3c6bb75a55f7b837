//! The clock that flows are timed by.

/// Ticks of the clock that flows are timed by: 2^28 ns, about a quarter of a second.
pub const TICK_SHIFT: u32 = 28;

/// The tick of a time in nanoseconds; wraps after 36 years.
#[inline(always)]
#[must_use]
pub const fn tick(nanoseconds: u64) -> u32 {
    (nanoseconds >> TICK_SHIFT) as u32
}

/// Ticks in a jiffy, in units of 2^-32.
#[must_use]
pub const fn ticks_per_jiffy(jiffy_nanoseconds: u64) -> u64 {
    jiffy_nanoseconds << (32 - TICK_SHIFT)
}

/// The tick of a time in jiffies since boot.
#[inline(always)]
#[must_use]
pub const fn tick_of_jiffies(jiffies: u64, ticks_per_jiffy: u64) -> u32 {
    (jiffies.wrapping_mul(ticks_per_jiffy) >> 32) as u32
}

/// Ticks in which at least so many seconds pass; at most half of the ticks there are.
#[must_use]
pub const fn ticks(seconds: u32) -> u32 {
    let ticks = ((seconds as u64 * 1_000_000_000) >> TICK_SHIFT) + 1;
    if ticks > i32::MAX as u64 {
        i32::MAX as u32
    } else {
        ticks as u32
    }
}
