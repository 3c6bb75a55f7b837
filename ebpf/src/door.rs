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
const PASS: i32 = 1;

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
    let outcome = considered(Outcome(judge_door_in(skb)), || exempt_door_in(skb));
    finish(Direction::In, outcome, &packet, control)
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
    let outcome = Outcome(judge_door_out(skb));
    if door::opens(outcome) {
        keep_translation(skb);
    }
    let outcome = considered(outcome, || exempt_door_out(skb));
    finish(Direction::Out, outcome, &packet, control)
}

/// What the agent says about the door, if it is for the door to judge `packet`.
#[inline(always)]
fn judging(packet: &SocketPacket, direction: Direction) -> Option<DoorControl> {
    let ifindex = packet.ifindex();
    let known = maps::interface_at_door(ifindex);
    if ifindex == LOOPBACK || known == ifindex | INSIDE {
        return None;
    }
    if known == ifindex
        && !is_released(ifindex)
        && let Some(image) = Image::enforced(|| NO_INTERFACE)
        && door::is_judged_elsewhere(packet, &image, packet.ether_type(), direction)
    {
        return None;
    }
    let control = maps::door();
    (!is_foreign(packet, control)).then_some(control)
}

/// Whether the packet's socket lies in a network namespace that the host does not protect.
#[inline(always)]
fn is_foreign(packet: &SocketPacket, control: DoorControl) -> bool {
    packet
        .namespace()
        .is_some_and(|inode| u64::from(inode) != control.namespace)
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

/// The door's one exit: counts, and says whether the packet goes on.
#[inline(always)]
fn finish(
    direction: Direction,
    outcome: Outcome,
    packet: &SocketPacket,
    control: DoorControl,
) -> i32 {
    let mut outcome = outcome;
    if control.flags & DoorControl::AUDIT != 0 {
        outcome = outcome.in_audit();
    }
    maps::count_at_door(direction, outcome, packet.frame_len());
    if settings::explain() {
        maps::trace(outcome);
    }
    match outcome.verdict() {
        Verdict::Pass => PASS,
        Verdict::Drop => DROP,
    }
}
