//! The programs that manoward runs in the kernel: thin shells around [`verdict`].

#![no_std]
#![no_main]

mod frame;
mod maps;
mod settings;

use aya_ebpf::{
    bindings::{TC_ACT_OK, TC_ACT_SHOT, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use frame::{SkbFrame, XdpFrame};
use maps::Image;
use verdict::{
    judge::judge,
    packet::Packet,
    reason::{Outcome, Verdict},
};

/// XDP ingress, for drivers and kernels with frames of several buffers.
#[xdp(frags)]
#[inline(always)]
pub fn manoward_xdp(context: XdpContext) -> u32 {
    xdp(&context)
}

/// TCX or clsact ingress, for interfaces whose XDP slot is taken.
#[classifier]
#[inline(always)]
pub fn manoward_tcx(context: TcContext) -> i32 {
    let frame = SkbFrame::new(&context);
    let outcome = decide(&frame);
    match finish(outcome, frame.len()) {
        Verdict::Pass => TC_ACT_OK,
        Verdict::Drop => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn xdp(context: &XdpContext) -> u32 {
    let frame = XdpFrame::new(context);
    let outcome = decide(&frame);
    match finish(outcome, frame.len()) {
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Drop => xdp_action::XDP_DROP,
    }
}

/// Judges a frame by the image in force.
#[inline(always)]
fn decide<P: Packet>(frame: &P) -> Outcome {
    match Image::enforced() {
        Some(image) => judge(frame, &image),
        None => Outcome::NO_POLICY,
    }
}

/// The one exit: counts, and leaves a trace if asked to.
#[inline(always)]
fn finish(outcome: Outcome, bytes: u64) -> Verdict {
    maps::count(outcome, bytes);
    if settings::explain() {
        maps::trace(outcome);
    }
    outcome.verdict()
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel asks for a GPL-compatible licence before it lends some of its helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
