//! The programs that manoward runs in the kernel: thin shells around [`verdict`].

#![no_std]
#![no_main]

mod frame;
mod maps;
mod settings;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use frame::{SkbFrame, XdpFrame};
use maps::{Image, OpenFlows};
use verdict::{
    counters::Direction,
    inbound, outbound,
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
    action(finish(Direction::In, received(&frame), frame.frame_len()))
}

/// TCX or clsact egress.
#[classifier]
#[inline(always)]
pub fn manoward_out(context: TcContext) -> i32 {
    let frame = SkbFrame::new(&context);
    let outcome = match Image::enforced() {
        Some(image) => outbound::judge(&frame, &image, &OpenFlows),
        None => Outcome::NO_POLICY,
    };
    action(finish(Direction::Out, outcome, frame.frame_len()))
}

#[inline(always)]
fn xdp(context: &XdpContext) -> u32 {
    let frame = XdpFrame::new(context);
    match finish(Direction::In, received(&frame), frame.frame_len()) {
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Drop => xdp_action::XDP_DROP,
    }
}

/// Decides about a frame that came in, by the image in force.
#[inline(always)]
fn received<P: Packet>(frame: &P) -> Outcome {
    match Image::enforced() {
        Some(image) => inbound::judge(frame, &image, &OpenFlows),
        None => Outcome::NO_POLICY,
    }
}

/// A verdict as the code of a classifier.
#[inline(always)]
const fn action(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Pass => TC_ACT_UNSPEC,
        Verdict::Drop => TC_ACT_SHOT,
    }
}

/// The one exit: counts, and leaves a trace if asked to.
#[inline(always)]
fn finish(direction: Direction, outcome: Outcome, bytes: u64) -> Verdict {
    maps::count(direction, outcome, bytes);
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
