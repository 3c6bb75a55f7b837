//! The programs that manoward runs in the kernel: thin shells around [`verdict`].

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod control;
mod door;
mod exempt;
mod frame;
mod index;
mod maps;
mod remembered;
mod settings;
mod shadow;

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action, xdp_md},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use exempt::{considered, exempt_out, exempt_tcx, exempt_xdp};
use frame::{SkbFrame, XdpFrame};
use maps::Image;
use remembered::OpenFlows;
use verdict::{
    counters::Direction,
    decision::{
        dhcp::{self, UNCONCERNED},
        fast, full,
    },
    frame::packet::Packet,
    reason::{Outcome, Verdict},
};

/// XDP ingress, for drivers and kernels with frames of several buffers.
#[xdp(frags)]
#[inline(always)]
pub fn manoward_xdp(context: XdpContext) -> u32 {
    let frame = XdpFrame::new(&context);
    let outcome = outcome_xdp(&context, &frame);
    xdp_code(finish(Direction::In, outcome, frame.frame_len()))
}

/// TCX or clsact ingress, for interfaces whose XDP slot is taken.
#[classifier]
#[inline(always)]
pub fn manoward_tcx(context: TcContext) -> i32 {
    let frame = SkbFrame::new(&context);
    let outcome = outcome_tcx(&context, &frame);
    action(finish(Direction::In, outcome, frame.frame_len()))
}

/// TCX or clsact egress.
#[classifier]
#[inline(always)]
pub fn manoward_out(context: TcContext) -> i32 {
    let frame = SkbFrame::new(&context);
    let outcome = outcome_out(&context, &frame);
    action(finish(Direction::Out, outcome, frame.frame_len()))
}

/// What becomes of the frame of an XDP program.
#[inline(always)]
fn outcome_xdp(context: &XdpContext, frame: &XdpFrame<'_>) -> Outcome {
    let outcome = match Image::enforced(|| frame.ifindex()) {
        Some(image) => match fast::inbound(frame, &image, &OpenFlows::beside(&image)) {
            Ok(outcome) => outcome,
            Err(_) => in_full(dhcp_xdp(context.ctx), || judge_xdp(context.ctx)),
        },
        None => Outcome::NO_POLICY,
    };
    considered(outcome, || exempt_xdp(context.ctx))
}

/// What becomes of the frame of a classifier at the ingress.
#[inline(always)]
fn outcome_tcx(context: &TcContext, frame: &SkbFrame<'_>) -> Outcome {
    let outcome = match Image::enforced(|| frame.ifindex()) {
        Some(image) => match fast::inbound(frame, &image, &OpenFlows::beside(&image)) {
            Ok(outcome) => outcome,
            Err(_) => in_full(dhcp_tcx(context.skb.skb), || judge_tcx(context.skb.skb)),
        },
        None => Outcome::NO_POLICY,
    };
    considered(outcome, || exempt_tcx(context.skb.skb))
}

/// What becomes of the frame of a classifier at the egress.
#[inline(always)]
fn outcome_out(context: &TcContext, frame: &SkbFrame<'_>) -> Outcome {
    let outcome = match Image::enforced(|| frame.ifindex()) {
        Some(image) => match fast::outbound(frame, &image, &OpenFlows::beside(&image)) {
            Ok(outcome) => outcome,
            Err(_) => Outcome(judge_out(context.skb.skb)),
        },
        None => Outcome::NO_POLICY,
    };
    considered(outcome, || exempt_out(context.skb.skb))
}

/// The outcome of the full path for a packet in: that of [`dhcp::answer`], or what the rest of it decides.
#[inline(always)]
fn in_full(answer: u64, rest: impl FnOnce() -> u64) -> Outcome {
    match Outcome(answer) {
        UNCONCERNED => Outcome(rest()),
        outcome => outcome,
    }
}

// Functions of their own: the kernel verifies the full path apart from the fast one.

/// [`dhcp::answer`] about the frame of an XDP program; an [`Outcome`] as a word.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn dhcp_xdp(context: *mut xdp_md) -> u64 {
    answered(&XdpFrame::new(&XdpContext::new(context)))
}

/// [`dhcp::answer`] about the frame of a classifier; an [`Outcome`] as a word.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn dhcp_tcx(context: *mut __sk_buff) -> u64 {
    answered(&SkbFrame::new(&TcContext::new(context)))
}

#[inline(always)]
fn answered<P: Packet>(frame: &P) -> u64 {
    match Image::enforced(|| frame.ifindex()) {
        Some(image) => dhcp::answer(frame, &image, &OpenFlows::beside(&image)).0,
        None => Outcome::NO_POLICY.0,
    }
}

/// [`full::inbound_but_dhcp`] about the frame of an XDP program; an [`Outcome`] as a word.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_xdp(context: *mut xdp_md) -> u64 {
    received(&XdpFrame::new(&XdpContext::new(context)))
}

/// [`full::inbound_but_dhcp`] about the frame of a classifier; an [`Outcome`] as a word.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_tcx(context: *mut __sk_buff) -> u64 {
    received(&SkbFrame::new(&TcContext::new(context)))
}

/// [`full::outbound`] about the frame of a classifier; an [`Outcome`] as a word.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_out(context: *mut __sk_buff) -> u64 {
    let context = TcContext::new(context);
    let frame = SkbFrame::new(&context);
    let outcome = match Image::enforced(|| frame.ifindex()) {
        Some(image) => full::outbound(&frame, &image, &OpenFlows::beside(&image)),
        None => Outcome::NO_POLICY,
    };
    outcome.0
}

#[inline(always)]
fn received<P: Packet>(frame: &P) -> u64 {
    let outcome = match Image::enforced(|| frame.ifindex()) {
        Some(image) => full::inbound_but_dhcp(frame, &image, &OpenFlows::beside(&image)),
        None => Outcome::NO_POLICY,
    };
    outcome.0
}

/// A verdict as the code of an XDP program.
#[inline(always)]
const fn xdp_code(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Drop => xdp_action::XDP_DROP,
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
