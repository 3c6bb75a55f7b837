//! Packets that an exemption lets pass, as [`verdict::decision::exempt`] says. Functions of their own for
//! the kernel: only packets that the policy refuses get here, while there are exemptions.

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};
use verdict::{
    counters::Direction,
    decision::exempt,
    reason::Outcome,
    state::exemption::{self, Case, EXEMPTIONS, Exemption, Exemptions},
};

use crate::{
    control,
    frame::{SkbFrame, SocketPacket, XdpFrame},
    maps, settings,
};

/// The exemptions, as every packet finds them.
struct InForce;

impl Exemptions for InForce {
    #[inline(always)]
    fn exemptions(&self) -> Option<&[Exemption; EXEMPTIONS]> {
        maps::EXEMPTED.get(0)
    }

    #[inline(always)]
    fn clock(&self) -> u64 {
        settings::lease_clock()
    }

    #[inline(always)]
    fn covers(&self, case: &Case) -> bool {
        let [a, b, c, d, e] = case.to_words();
        is_covered(a, b, c, d, e) != 0
    }
}

/// [`exemption::is_covered`] for the case of these words; not 0 if it is.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_covered(a: u64, b: u64, c: u64, d: u64, e: u64) -> u32 {
    exemption::is_covered(&InForce, &Case::from_words([a, b, c, d, e])).into()
}

/// [`exempt::considered`], where there are exemptions.
#[inline(always)]
pub fn considered(outcome: Outcome, is_exempt: impl FnOnce() -> u32) -> Outcome {
    exempt::considered(outcome, || control::exempting() && is_exempt() != 0)
}

/// Not 0 if an exemption lets the frame of an XDP program pass.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn exempt_xdp(context: *mut xdp_md) -> u32 {
    let context = XdpContext::new(context);
    exempt::frame(&XdpFrame::new(&context), &InForce, Direction::In).into()
}

/// Not 0 if an exemption lets the frame of a classifier pass, which comes in.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn exempt_tcx(context: *mut __sk_buff) -> u32 {
    let context = TcContext::new(context);
    exempt::frame(&SkbFrame::new(&context), &InForce, Direction::In).into()
}

/// Not 0 if an exemption lets the frame of a classifier pass, which goes out.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn exempt_out(context: *mut __sk_buff) -> u32 {
    let context = TcContext::new(context);
    exempt::frame(&SkbFrame::new(&context), &InForce, Direction::Out).into()
}

/// Not 0 if an exemption lets a packet pass that has arrived at a socket.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn exempt_door_in(context: *mut __sk_buff) -> u32 {
    at_socket(&SocketPacket::new(context), Direction::In).into()
}

/// Not 0 if an exemption lets a packet pass that a socket has sent.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn exempt_door_out(context: *mut __sk_buff) -> u32 {
    at_socket(&SocketPacket::new(context), Direction::Out).into()
}

#[inline(always)]
fn at_socket(packet: &SocketPacket, direction: Direction) -> bool {
    exempt::at(packet, &InForce, direction, packet.ether_type(), 0)
}
