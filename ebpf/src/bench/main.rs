//! What `cargo xtask bench` runs around the program it measures.
//!
//! `drive` gives every packet another source address and then tail-calls the program under test,
//! so that caches are as honest as on a wire; `bare` is the floor that all costs are above. Both
//! exist with and without support for frames of several buffers, as the kernel tail-calls only
//! between programs that agree on it.

#![no_std]
#![no_main]
#![allow(
    missing_docs,
    reason = "beside each documented program its macro puts a function without documentation"
)]

use aya_ebpf::{
    bindings::xdp_action,
    btf_maps::{Array, ProgramArray},
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// How the source address goes from packet to packet.
#[repr(C)]
pub struct Walk {
    /// Offset in the frame of the last 4 bytes of the source address.
    offset: u32,
    /// First address of the walk: those 4 bytes, host byte order.
    base: u32,
    /// Number of addresses.
    count: u32,
    /// Steps from one to the next, less than `count` and coprime to it.
    stride: u32,
    /// Where the walk is, less than `count`.
    at: u32,
    /// Not 0 to write the 4 bytes before, too, as zeros: the program under test reads both at once,
    /// and a CPU stalls where a load covers more than the store before it.
    wide: u32,
}

/// Key 0: the walk. Written by user space before a run.
#[btf_map]
static WALK: Array<Walk, 1> = Array::new();

/// Key 0: the program under test.
#[btf_map]
static TARGET: ProgramArray<1> = ProgramArray::new();

/// Drives programs that take frames of several buffers.
#[xdp(frags)]
pub fn drive_frags(context: XdpContext) -> u32 {
    drive(&context)
}

/// Drives all others.
#[xdp]
pub fn drive_single(context: XdpContext) -> u32 {
    drive(&context)
}

/// The floor.
#[xdp(frags)]
pub fn bare_frags(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// The floor for all others.
#[xdp]
pub fn bare_single(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

#[inline(always)]
fn drive(context: &XdpContext) -> u32 {
    if let Some(walk) = WALK.get_ptr_mut(0) {
        // SAFETY: one run at a time uses the map, on one CPU.
        let walk = unsafe { &mut *walk };
        let mut at = walk.at + walk.stride;
        if at >= walk.count {
            at -= walk.count;
        }
        walk.at = at;
        let address = walk.base + at;
        if walk.wide == 0 {
            write(context, walk.offset, address.to_be_bytes());
        } else {
            let address = u64::from(address);
            write(context, walk.offset.wrapping_sub(4), address.to_be_bytes());
        }
    }
    // SAFETY: the context is the one this program was called with; a failed call returns.
    unsafe { TARGET.tail_call(context, 0) };
    xdp_action::XDP_ABORTED
}

/// Writes `bytes` at `offset` of the frame.
#[inline(always)]
fn write<const N: usize>(context: &XdpContext, offset: u32, bytes: [u8; N]) {
    let start = context.data() + (offset & 0xff) as usize;
    if start + N <= context.data_end() {
        // SAFETY: start to start + N lies within the packet, as checked above.
        unsafe { *(start as *mut [u8; N]) = bytes };
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// See the datapath's.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
