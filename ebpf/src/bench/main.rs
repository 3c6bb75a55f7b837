//! What `cargo xtask bench` runs around the program it measures.
//!
//! `drive` gives every packet another source address and then tail-calls the program under test,
//! so that caches are as honest as on a wire; `bare` is the floor that all costs are above. Both
//! exist with and without support for frames of several buffers and for classifiers, as the kernel
//! tail-calls only between programs that agree on it.

#![no_std]
#![no_main]
#![allow(
    missing_docs,
    reason = "beside each documented program its macro puts a function without documentation"
)]

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    btf_maps::{Array, ProgramArray},
    helpers::generated::bpf_redirect,
    macros::{btf_map, classifier, xdp},
    programs::{TcContext, XdpContext},
};

/// How a field of the frame changes from packet to packet.
#[repr(C)]
pub struct Walk {
    /// Its first value, host byte order.
    first: u64,
    /// Its offset in the frame.
    offset: u32,
    /// Its length, bytes: 4 or 8. The program under test reads all of it at once, and a CPU stalls
    /// where a load covers more than the store before it.
    bytes: u32,
    /// How far a step is shifted to the left before it is added to the first value.
    shift: u32,
    /// Number of values.
    count: u32,
    /// Steps from one to the next, less than `count` and coprime to it.
    stride: u32,
    /// Where the walk is, less than `count`.
    at: u32,
}

impl Walk {
    /// Takes the next step, and returns the value there.
    #[inline(always)]
    fn next(&mut self) -> u64 {
        let mut at = self.at + self.stride;
        if at >= self.count {
            at -= self.count;
        }
        self.at = at;
        self.first + (u64::from(at) << (self.shift & 63))
    }
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

/// Where a flood goes.
#[repr(C)]
pub struct Exit {
    /// Index of the interface that it leaves by.
    interface: u32,
    /// Sum of the IPv4 header's 16-bit words but source address and checksum.
    header_sum: u32,
}

/// Key 0: the exit. Written by user space before a run.
#[btf_map]
static EXIT: Array<Exit, 1> = Array::new();

/// Offset in an untagged frame of the IPv4 header's checksum.
const CHECKSUM_OFFSET: usize = 14 + 10;

/// Sends every packet out, as the kernel gives live frames to it. The source address changes, and
/// the checksum with it.
#[xdp]
pub fn flood(context: XdpContext) -> u32 {
    let Some(exit) = EXIT.get(0) else {
        return xdp_action::XDP_ABORTED;
    };
    let source = change(context.data(), context.data_end());
    let sum = exit.header_sum + (source >> 16) + (source & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let checksum = !((sum >> 16) + sum) as u16;
    write(
        context.data() + CHECKSUM_OFFSET,
        context.data_end(),
        checksum.to_be_bytes(),
    );
    // SAFETY: the helper takes numbers alone.
    unsafe { bpf_redirect(exit.interface, 0) as u32 }
}

/// Drives all others.
#[xdp]
pub fn drive_single(context: XdpContext) -> u32 {
    drive(&context)
}

/// Drives classifiers.
#[classifier]
pub fn drive_out(context: TcContext) -> i32 {
    change(context.data(), context.data_end());
    // SAFETY: the context is the one this program was called with; a failed call returns.
    unsafe { TARGET.tail_call(&context, 0) };
    TC_ACT_SHOT
}

/// The floor.
#[xdp(frags)]
pub fn bare_frags(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// The floor for all other XDP programs.
#[xdp]
pub fn bare_single(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// What passing costs: the floor for all who pass packets.
#[xdp]
pub fn bare_pass(_context: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The floor for classifiers.
#[classifier]
pub fn bare_out(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// What reading a packet takes that asks no table: a second floor.
#[xdp(frags)]
pub fn parse_frags(context: XdpContext) -> u32 {
    match parse(context.data(), context.data_end()) {
        Some(_) => xdp_action::XDP_PASS,
        None => xdp_action::XDP_DROP,
    }
}

const ETHERNET_LEN: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TCP: u8 = 6;

/// The two ports of a TCP segment in an untagged frame, without options or extensions.
#[inline(always)]
fn parse(data: usize, data_end: usize) -> Option<[u8; 4]> {
    let (length, protocol) = match *view(data, data_end, 12)? {
        IPV4 => {
            let header: &[u8; 20] = view(data, data_end, ETHERNET_LEN)?;
            if header[0] != 0x45 {
                return None;
            }
            (20, header[9])
        }
        IPV6 => {
            let header: &[u8; 40] = view(data, data_end, ETHERNET_LEN)?;
            (40, header[6])
        }
        _ => return None,
    };
    if protocol != TCP {
        return None;
    }
    view(data, data_end, ETHERNET_LEN + length).copied()
}

/// The bytes of a packet from `offset` on.
#[inline(always)]
fn view<'a, const N: usize>(data: usize, data_end: usize, offset: usize) -> Option<&'a [u8; N]> {
    let start = data + offset;
    if start + N > data_end {
        return None;
    }
    // SAFETY: start to start + N lies within the packet, as checked above.
    Some(unsafe { &*(start as *const [u8; N]) })
}

#[inline(always)]
fn drive(context: &XdpContext) -> u32 {
    change(context.data(), context.data_end());
    // SAFETY: the context is the one this program was called with; a failed call returns.
    unsafe { TARGET.tail_call(context, 0) };
    xdp_action::XDP_ABORTED
}

/// Makes another packet of the one between `data` and `data_end`; returns the last 4 bytes of what it
/// has changed.
#[inline(always)]
fn change(data: usize, data_end: usize) -> u32 {
    let Some(walk) = WALK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: one run at a time uses the map, on one CPU.
    let walk = unsafe { &mut *walk };
    let value = walk.next();
    let start = data + (walk.offset & 0xff) as usize;
    if walk.bytes == 4 {
        write(start, data_end, (value as u32).to_be_bytes());
    } else {
        write(start, data_end, value.to_be_bytes());
    }
    value as u32
}

/// Writes `bytes` at `start`, if the packet reaches that far.
#[inline(always)]
fn write<const N: usize>(start: usize, data_end: usize, bytes: [u8; N]) {
    if start + N <= data_end {
        // SAFETY: start lies within the packet, and start + N, too, as checked above.
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
