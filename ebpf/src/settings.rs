//! Constants that user space sets before it loads the programs.
//!
//! They lie in read-only data that the kernel freezes, so the verifier knows their values and
//! removes the code that they turn off.

use core::ptr::read_volatile;

/// 1 in a program that is loaded to explain its verdicts.
#[unsafe(no_mangle)]
static EXPLAIN: u8 = 0;

/// 1 where the kernel knows frames of several buffers (Linux 5.18).
#[unsafe(no_mangle)]
static MULTI_BUFFER: u8 = 0;

/// Whether every outcome is left for whoever asks for an explanation.
#[inline(always)]
pub fn explain() -> bool {
    // SAFETY: a static is always readable; volatile, as user space replaces the value.
    unsafe { read_volatile(&raw const EXPLAIN) != 0 }
}

/// Whether a frame can have several buffers.
#[inline(always)]
pub fn multi_buffer() -> bool {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const MULTI_BUFFER) != 0 }
}
