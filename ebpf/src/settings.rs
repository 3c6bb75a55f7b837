//! Constants that user space sets before it loads the programs.
//!
//! They lie in read-only data that the kernel freezes, so the verifier knows their values and
//! removes the code that they turn off.

use core::ptr::read_volatile;

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use verdict::state::clock::{tick as tick_of_nanoseconds, tick_of_jiffies};

/// 1 in a program that is loaded to explain its verdicts.
#[unsafe(no_mangle)]
static EXPLAIN: u8 = 0;

/// 1 where the kernel knows frames of several buffers (Linux 5.18).
#[unsafe(no_mangle)]
static MULTI_BUFFER: u8 = 0;

/// Number of sets of the table of flows, less one.
#[unsafe(no_mangle)]
static FLOW_SETS_MASK: u32 = 0;

/// Seed of the hashes of flows.
#[unsafe(no_mangle)]
static FLOW_SEED: u64 = 0;

/// 1 in a program that changes no flow.
#[unsafe(no_mangle)]
static OBSERVE: u8 = 0;

/// Jiffies at boot.
#[unsafe(no_mangle)]
static INITIAL_JIFFIES: u64 = 0;

/// Ticks in a jiffy, in units of 2^-32; 0 where that is not known.
#[unsafe(no_mangle)]
static TICKS_PER_JIFFY: u64 = 0;

/// 1 where the kernel has a clock that is cheap to read (Linux 5.11).
#[unsafe(no_mangle)]
static COARSE_CLOCK: u8 = 0;

/// Offset in bytes of the pointer to its socket in a packet (`sk_buff`).
#[unsafe(no_mangle)]
static SOCKET_OF_PACKET: u32 = 0;

/// Offset in bytes of the pointer to its network namespace in a socket (`sock`).
#[unsafe(no_mangle)]
static NAMESPACE_OF_SOCKET: u32 = 0;

/// Offset in bytes of the inode of a network namespace (`net`).
#[unsafe(no_mangle)]
static INODE_OF_NAMESPACE: u32 = 0;

/// Whether every outcome is written to `TRACE`.
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

/// Number of sets of the table of flows, less one.
#[inline(always)]
pub fn flow_sets_mask() -> u32 {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const FLOW_SETS_MASK) }
}

/// Seed of the hashes of flows.
#[inline(always)]
pub fn flow_seed() -> u64 {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const FLOW_SEED) }
}

/// Whether flows stay as they are.
#[inline(always)]
pub fn observe() -> bool {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const OBSERVE) != 0 }
}

/// Offsets in bytes on the way from a packet to the inode of its socket's network namespace.
#[inline(always)]
pub fn namespace_path() -> [usize; 3] {
    // SAFETY: as above.
    unsafe {
        [
            read_volatile(&raw const SOCKET_OF_PACKET) as usize,
            read_volatile(&raw const NAMESPACE_OF_SOCKET) as usize,
            read_volatile(&raw const INODE_OF_NAMESPACE) as usize,
        ]
    }
}

/// The time by the clock of leases.
#[inline(always)]
pub fn lease_clock() -> u64 {
    // SAFETY: as above; the helper only reads a clock.
    unsafe {
        if read_volatile(&raw const TICKS_PER_JIFFY) != 0 {
            return bpf_jiffies64();
        }
    }
    tick().into()
}

/// The tick of now.
///
/// The kernel puts a load where jiffies are asked for, and a call of 18 ns where another clock is.
#[inline(always)]
pub fn tick() -> u32 {
    // SAFETY: as above; the helper only reads a clock.
    unsafe {
        let ticks_per_jiffy = read_volatile(&raw const TICKS_PER_JIFFY);
        if ticks_per_jiffy != 0 {
            let jiffies = bpf_jiffies64().wrapping_sub(read_volatile(&raw const INITIAL_JIFFIES));
            return tick_of_jiffies(jiffies, ticks_per_jiffy);
        }
    }
    // SAFETY: as above; the helpers only read a clock.
    let nanoseconds = unsafe {
        if read_volatile(&raw const COARSE_CLOCK) != 0 {
            bpf_ktime_get_coarse_ns()
        } else {
            bpf_ktime_get_ns()
        }
    };
    tick_of_nanoseconds(nanoseconds)
}
