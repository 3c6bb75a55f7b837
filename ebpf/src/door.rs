//! The inner door: programs at the root of the control groups, before packets reach a socket and after
//! one has sent them.

use aya_ebpf::{bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext};
use verdict::{
    counters::Direction,
    decision::door,
    frame::packet::Packet,
    layout::{DoorControl, INSIDE},
    reason::{Outcome, Verdict},
};

use crate::{
    control::is_released,
    exempt::{considered, exempt_door_in, exempt_door_out},
    frame::SocketPacket,
    maps::{self, Image},
    remembered::OpenFlows,
    settings,
};

/// Codes of programs at a control group.
const DROP: i32 = 0;
pub const PASS: i32 = 1;

/// Index of the loopback interface in every network namespace.
const LOOPBACK: u32 = 1;

/// Index of no interface. The policy in force judges at sockets, whichever interfaces it names.
const NO_INTERFACE: u32 = u32::MAX;

/// Before a packet reaches a socket.
#[cgroup_skb(ingress)]
#[inline(always)]
pub fn manoward_door_in(context: SkBuffContext) -> i32 {
    let skb = context.skb.skb;
    let packet = SocketPacket::new(skb);
    let Some(control) = judging(&packet, Direction::In) else {
        return PASS;
    };
    let outcome = outcome_in(skb, control);
    finish(Direction::In, outcome, &packet);
    code(outcome)
}

/// After a socket has sent a packet.
#[cgroup_skb(egress)]
#[inline(always)]
pub fn manoward_door_out(context: SkBuffContext) -> i32 {
    let skb = context.skb.skb;
    let packet = SocketPacket::new(skb);
    let Some(control) = judging(&packet, Direction::Out) else {
        return PASS;
    };
    let outcome = outcome_out(skb, control);
    finish(Direction::Out, outcome, &packet);
    code(outcome)
}

/// What the agent says about the door, if it is for the door to judge `packet`.
#[inline(always)]
fn judging(packet: &SocketPacket, direction: Direction) -> Option<DoorControl> {
    let known = maps::interface_at_door(packet.ifindex());
    if is_inside(packet, known) || is_elsewhere(packet, known, direction) {
        return None;
    }
    of_host(packet)
}

/// What the agent says about the door, whoever judges `packet`, and what is known of the interface.
#[inline(always)]
pub fn concerned(packet: &SocketPacket) -> Option<(DoorControl, u32)> {
    let known = maps::interface_at_door(packet.ifindex());
    if is_inside(packet, known) {
        return None;
    }
    of_host(packet).map(|control| (control, known))
}

/// Whether everything passes where `packet` comes from or goes to, of which this is `known`.
#[inline(always)]
fn is_inside(packet: &SocketPacket, known: u32) -> bool {
    let ifindex = packet.ifindex();
    ifindex == LOOPBACK || known == ifindex | INSIDE
}

/// Whether a program at an interface judges `packet`.
#[inline(always)]
pub fn is_elsewhere(packet: &SocketPacket, known: u32, direction: Direction) -> bool {
    let ifindex = packet.ifindex();
    known == ifindex
        && !is_released(ifindex)
        && Image::enforced(|| NO_INTERFACE).is_some_and(|image| {
            door::is_judged_elsewhere(packet, &image, packet.ether_type(), direction)
        })
}

/// What the agent says about the door, if the packet's socket does not lie in a network namespace that the
/// host does not protect.
#[inline(always)]
fn of_host(packet: &SocketPacket) -> Option<DoorControl> {
    let control = maps::door();
    let is_foreign = packet
        .namespace()
        .is_some_and(|inode| u64::from(inode) != control.namespace);
    (!is_foreign).then_some(control)
}

/// Has the socket of the packet, which it has sent, keep how the host has translated that; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn keep_translation(context: *mut __sk_buff) -> u32 {
    let packet = SocketPacket::new(context);
    let wire = door::key(&packet, packet.ether_type(), Direction::Out);
    if let Some(wire) = wire
        && let Some(seen) = packet.ends().and_then(|ends| ends.see(&wire))
        // SAFETY: what a socket keeps stays as long as the program runs; threads that send at once may both write.
        && let Some(kept) = unsafe { packet.translated(true).as_mut() }
    {
        kept.keep(&seen, &wire);
    }
    0
}

/// [`door::inbound`]; an [`Outcome`] as a word.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_door_in(context: *mut __sk_buff) -> u64 {
    let packet = SocketPacket::new(context);
    let outcome = match Image::enforced(|| NO_INTERFACE) {
        Some(image) => door::inbound(
            &packet,
            &image,
            &OpenFlows::of(packet, &image),
            packet.ether_type(),
        ),
        None => Outcome::NO_POLICY,
    };
    outcome.0
}

/// [`door::outbound`]; an [`Outcome`] as a word.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_door_out(context: *mut __sk_buff) -> u64 {
    let packet = SocketPacket::new(context);
    let outcome = match Image::enforced(|| NO_INTERFACE) {
        Some(image) => door::outbound(
            &packet,
            &image,
            &OpenFlows::beside(&image),
            packet.ether_type(),
        ),
        None => Outcome::NO_POLICY,
    };
    outcome.0
}

/// What becomes of a packet in, in the door's mode.
#[inline(always)]
pub fn outcome_in(skb: *mut __sk_buff, control: DoorControl) -> Outcome {
    in_mode(
        considered(Outcome(judge_door_in(skb)), || exempt_door_in(skb)),
        control,
    )
}

/// What becomes of a packet out, in the door's mode.
#[inline(always)]
pub fn outcome_out(skb: *mut __sk_buff, control: DoorControl) -> Outcome {
    let outcome = Outcome(judge_door_out(skb));
    if door::opens(outcome) {
        keep_translation(skb);
    }
    in_mode(considered(outcome, || exempt_door_out(skb)), control)
}

#[inline(always)]
fn in_mode(outcome: Outcome, control: DoorControl) -> Outcome {
    if control.flags & DoorControl::AUDIT != 0 {
        outcome.in_audit()
    } else {
        outcome
    }
}

/// The door's one exit: counts, and leaves a trace if asked to.
#[inline(always)]
pub fn finish(direction: Direction, outcome: Outcome, packet: &SocketPacket) {
    maps::count_at_door(direction, outcome, packet.frame_len());
    if settings::explain() {
        maps::trace(outcome);
    }
}

/// Whether the packet goes on, as the code of the program.
#[inline(always)]
pub const fn code(outcome: Outcome) -> i32 {
    match outcome.verdict() {
        Verdict::Pass => PASS,
        Verdict::Drop => DROP,
    }
}
