//! A shadow: a candidate policy that judges the same packets beside the one in force, and only counts.
//!
//! There are two more programs for each hook, which are loaded only while there is a shadow. The
//! *watched* one does what the hook's own program does, hands its outcome on and goes over (by a tail
//! call) to the *candidate* one. This was loaded with maps of its own: image, flows, what is served,
//! limits and notes. It judges by them, counts where that makes a difference, and returns what was
//! decided before. Where there is nothing to go over to, the watched program returns that itself.

use core::arch::asm;

use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST, xdp_md},
    btf_maps::{Array, HashMap, PerCpuArray, ProgramArray},
    helpers::bpf_ktime_get_ns,
    macros::{btf_map, cgroup_skb, classifier, xdp},
    programs::{SkBuffContext, TcContext, XdpContext},
};
use verdict::{
    counters::Direction,
    decision::{
        pass,
        shadow::{self, Difference, Stranger, Tally, Total, place},
    },
    frame::packet::Packet,
    reason::{Outcome, Reason},
};

use crate::{
    action, door, finish,
    frame::{SkbFrame, SocketPacket, XdpFrame},
    outcome_out, outcome_tcx, outcome_xdp, xdp_code,
};

/// Key 0: the candidate's program. One map for each kind of program.
///
/// Written by the agent before a watched program is attached; read by that for every packet. A miss ends
/// the comparison, and nothing else.
#[btf_map]
static NEXT_XDP: ProgramArray<1> = ProgramArray::new();

/// Key: 0 in, 1 out. As `NEXT_XDP`.
#[btf_map]
static NEXT_TC: ProgramArray<2> = ProgramArray::new();

/// As `NEXT_XDP`.
#[btf_map]
static NEXT_DOOR_IN: ProgramArray<1> = ProgramArray::new();

/// As `NEXT_XDP`.
#[btf_map]
static NEXT_DOOR_OUT: ProgramArray<1> = ProgramArray::new();

/// Key 0: the outcome by the policy in force, from a watched program to the candidate's at an interface.
///
/// Both run in one go on their CPU. At the sockets, where a packet may come between, the packet itself
/// carries it.
#[btf_map]
static HANDED: PerCpuArray<u64, 1> = PerCpuArray::new();

/// Key: what two policies would do with a packet. Value: how often, and when.
///
/// Written by the candidate's programs; read and emptied by the agent. As many entries as the policies
/// make differences: nobody outside adds one with an address that he invents. When it is full, packets
/// are counted as [`Total::Unrecorded`].
#[btf_map]
static DIFFERENCES: HashMap<Difference, Tally, { shadow::DIFFERENCES as usize }> = HashMap::new();

/// The same for sources that no policy knows, with their address. When it is full, packets are noted in
/// `DIFFERENCES`, without it.
#[btf_map]
static STRANGERS: HashMap<Stranger, Tally, { shadow::STRANGERS as usize }> = HashMap::new();

/// Key: [`Total`]. Value: how many packets.
#[btf_map]
static TOTALS: Array<Tally, { Total::COUNT as usize }> = Array::new();

/// As [`manoward_xdp`](crate::manoward_xdp), and hands its outcome on.
#[xdp(frags)]
#[inline(always)]
pub fn manoward_xdp_watched(context: XdpContext) -> u32 {
    let frame = XdpFrame::new(&context);
    let outcome = outcome_xdp(&context, &frame);
    let verdict = finish(Direction::In, outcome, frame.frame_len());
    hand_on(outcome);
    // SAFETY: nothing waits to be dropped.
    unsafe { NEXT_XDP.tail_call(&context, 0) };
    xdp_code(verdict)
}

/// Judges by the candidate, and returns what was decided before.
#[xdp(frags)]
#[inline(always)]
pub fn manoward_xdp_candidate(context: XdpContext) -> u32 {
    let candidate = outcome_xdp(&context, &XdpFrame::new(&context));
    let enforced = handed();
    if enforced.verdict() != candidate.verdict() {
        differs_xdp(context.ctx, enforced.0, candidate.0);
    }
    xdp_code(enforced.verdict())
}

/// As [`manoward_tcx`](crate::manoward_tcx), and hands its outcome on.
#[classifier]
#[inline(always)]
pub fn manoward_tcx_watched(context: TcContext) -> i32 {
    let frame = SkbFrame::new(&context);
    let outcome = outcome_tcx(&context, &frame);
    let verdict = finish(Direction::In, outcome, frame.frame_len());
    hand_on(outcome);
    // SAFETY: as above.
    unsafe { NEXT_TC.tail_call(&context, 0) };
    action(verdict)
}

/// As [`manoward_xdp_candidate`].
#[classifier]
#[inline(always)]
pub fn manoward_tcx_candidate(context: TcContext) -> i32 {
    let candidate = outcome_tcx(&context, &SkbFrame::new(&context));
    let enforced = handed();
    if enforced.verdict() != candidate.verdict() {
        differs_skb(context.skb.skb, enforced.0, candidate.0, 0);
    }
    action(enforced.verdict())
}

/// As [`manoward_out`](crate::manoward_out), and hands its outcome on.
#[classifier]
#[inline(always)]
pub fn manoward_out_watched(context: TcContext) -> i32 {
    let frame = SkbFrame::new(&context);
    let outcome = outcome_out(&context, &frame);
    let verdict = finish(Direction::Out, outcome, frame.frame_len());
    hand_on(outcome);
    // SAFETY: as above.
    unsafe { NEXT_TC.tail_call(&context, 1) };
    action(verdict)
}

/// As [`manoward_xdp_candidate`].
#[classifier]
#[inline(always)]
pub fn manoward_out_candidate(context: TcContext) -> i32 {
    let candidate = outcome_out(&context, &SkbFrame::new(&context));
    let enforced = handed();
    if enforced.verdict() != candidate.verdict() {
        differs_skb(context.skb.skb, enforced.0, candidate.0, place::OUT);
    }
    action(enforced.verdict())
}

/// What is said at the door of a packet that a program at an interface judges.
const ELSEWHERE: Outcome = pass(Reason::Unprotected, 0);

/// As [`manoward_door_in`](door::manoward_door_in), and hands its outcome on, also of what it leaves to
/// the programs at interfaces: the candidate may protect other addresses.
#[cgroup_skb(ingress)]
#[inline(always)]
pub fn manoward_door_in_watched(context: SkBuffContext) -> i32 {
    let packet = SocketPacket::new(context.skb.skb);
    let Some((control, known)) = door::concerned(&packet) else {
        return door::PASS;
    };
    let mut outcome = ELSEWHERE;
    if !door::is_elsewhere(&packet, known, Direction::In) {
        outcome = door::outcome_in(context.skb.skb, control);
        door::finish(Direction::In, outcome, &packet);
    }
    carry(context.skb.skb, outcome);
    // SAFETY: as above.
    unsafe { NEXT_DOOR_IN.tail_call(&context, 0) };
    door::code(outcome)
}

/// As [`manoward_xdp_candidate`].
#[cgroup_skb(ingress)]
#[inline(always)]
pub fn manoward_door_in_candidate(context: SkBuffContext) -> i32 {
    let skb = context.skb.skb;
    let packet = SocketPacket::new(skb);
    let mut candidate = ELSEWHERE;
    if let Some((control, known)) = door::concerned(&packet)
        && !door::is_elsewhere(&packet, known, Direction::In)
    {
        candidate = door::outcome_in(skb, control);
    }
    let enforced = carried(skb);
    if enforced.verdict() != candidate.verdict() {
        differs_door(skb, enforced.0, candidate.0, place::DOOR);
    }
    door::code(enforced)
}

/// As [`manoward_door_in_watched`].
#[cgroup_skb(egress)]
#[inline(always)]
pub fn manoward_door_out_watched(context: SkBuffContext) -> i32 {
    let packet = SocketPacket::new(context.skb.skb);
    let Some((control, known)) = door::concerned(&packet) else {
        return door::PASS;
    };
    let mut outcome = ELSEWHERE;
    if !door::is_elsewhere(&packet, known, Direction::Out) {
        outcome = door::outcome_out(context.skb.skb, control);
        door::finish(Direction::Out, outcome, &packet);
    }
    carry(context.skb.skb, outcome);
    // SAFETY: as above.
    unsafe { NEXT_DOOR_OUT.tail_call(&context, 0) };
    door::code(outcome)
}

/// As [`manoward_xdp_candidate`].
#[cgroup_skb(egress)]
#[inline(always)]
pub fn manoward_door_out_candidate(context: SkBuffContext) -> i32 {
    let skb = context.skb.skb;
    let packet = SocketPacket::new(skb);
    let mut candidate = ELSEWHERE;
    if let Some((control, known)) = door::concerned(&packet)
        && !door::is_elsewhere(&packet, known, Direction::Out)
    {
        candidate = door::outcome_out(skb, control);
    }
    let enforced = carried(skb);
    if enforced.verdict() != candidate.verdict() {
        differs_door(skb, enforced.0, candidate.0, place::DOOR | place::OUT);
    }
    door::code(enforced)
}

/// Hands `outcome` to the program that comes next on this CPU.
#[inline(always)]
fn hand_on(outcome: Outcome) {
    if let Some(handed) = HANDED.get_ptr_mut(0) {
        // SAFETY: the pointer is this CPU's own value, and nothing preempts the program on it.
        unsafe { *handed = outcome.0 };
    }
}

/// What was handed on.
#[inline(always)]
fn handed() -> Outcome {
    // A miss cannot happen.
    HANDED
        .get(0)
        .map_or(Outcome::NO_POLICY, |&outcome| Outcome(outcome))
}

/// Has the packet carry `outcome` to the program that comes next.
#[inline(always)]
fn carry(skb: *mut __sk_buff, outcome: Outcome) {
    // SAFETY: the context is the one the program was called with; these words are its own.
    unsafe {
        (*skb).cb[0] = outcome.0 as u32;
        (*skb).cb[1] = (outcome.0 >> 32) as u32;
    }
}

/// What the packet carries.
#[inline(always)]
fn carried(skb: *mut __sk_buff) -> Outcome {
    // SAFETY: as above.
    unsafe { Outcome(u64::from((*skb).cb[0]) | u64::from((*skb).cb[1]) << 32) }
}

// Functions of their own: the stack is shallow where they are called.

/// Counts a frame of an XDP program; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn differs_xdp(context: *mut xdp_md, enforced: u64, candidate: u64) -> u32 {
    let context = XdpContext::new(context);
    let frame = XdpFrame::new(&context);
    let far_end = shadow::far_end(&frame, Direction::In);
    count(enforced, candidate, far_end, frame.frame_len())
}

/// Counts a frame of a classifier; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn differs_skb(
    context: *mut __sk_buff,
    enforced: u64,
    candidate: u64,
    place: u64,
) -> u32 {
    let context = TcContext::new(context);
    let frame = SkbFrame::new(&context);
    let (address, family) = shadow::far_end(&frame, direction(place));
    count(
        enforced,
        candidate,
        (address, family | place),
        frame.frame_len(),
    )
}

/// Counts a packet at a socket; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn differs_door(
    context: *mut __sk_buff,
    enforced: u64,
    candidate: u64,
    place: u64,
) -> u32 {
    let packet = SocketPacket::new(context);
    let (address, family) = shadow::far_end_at(&packet, packet.ether_type(), 0, direction(place));
    count(
        enforced,
        candidate,
        (address, family | place),
        packet.frame_len(),
    )
}

#[inline(always)]
const fn direction(place: u64) -> Direction {
    if place & place::OUT == 0 {
        Direction::In
    } else {
        Direction::Out
    }
}

/// Counts a packet of `bytes` bytes with these two outcomes, and its far end.
#[inline(always)]
fn count(enforced: u64, candidate: u64, far_end: ([u64; 2], u64), bytes: u64) -> u32 {
    let (address, place) = far_end;
    let Some(difference) = Difference::between(Outcome(enforced), Outcome(candidate), place) else {
        return 0;
    };
    // SAFETY: the helper only reads a clock.
    let now = unsafe { bpf_ktime_get_ns() };
    total(difference.total(), bytes, now);
    let recorded = difference.is_strangers()
        && record(
            &STRANGERS,
            &Stranger {
                difference,
                address,
            },
            bytes,
            now,
        )
        || record(&DIFFERENCES, &difference, bytes, now);
    if !recorded {
        total(Total::Unrecorded, bytes, now);
    }
    0
}

#[inline(always)]
fn total(total: Total, bytes: u64, now: u64) {
    if let Some(tally) = TOTALS.get_ptr_mut(total as u32) {
        add(tally, bytes, now);
    }
}

/// Adds to the entry of `key`; `false` if there is no room for one.
#[inline(always)]
fn record<K, const N: usize>(map: &HashMap<K, Tally, N>, key: &K, bytes: u64, now: u64) -> bool {
    if let Some(tally) = map.get_ptr_mut(key) {
        add(tally, bytes, now);
        return true;
    }
    let first = Tally {
        packets: 1,
        bytes,
        first: now,
        last: now,
    };
    if map.insert(key, first, BPF_NOEXIST.into()).is_ok() {
        return true;
    }
    // Another CPU may have been faster.
    match map.get_ptr_mut(key) {
        Some(tally) => {
            add(tally, bytes, now);
            true
        }
        None => false,
    }
}

#[inline(always)]
fn add(tally: *mut Tally, bytes: u64, now: u64) {
    // SAFETY: values of these maps stay where they are; other CPUs, and the agent, add and read beside.
    unsafe {
        add_to(&raw mut (*tally).packets, 1);
        add_to(&raw mut (*tally).bytes, bytes);
        (&raw mut (*tally).last).write_volatile(now);
    }
}

/// Adds `more` to the counter at `at`, whatever other CPUs add meanwhile.
///
/// # Safety
///
/// It is a counter in a map.
#[inline(always)]
unsafe fn add_to(at: *mut u64, more: u64) {
    // The compiler has no such operation for BPF. SAFETY: it adds to the counter, and nothing else.
    unsafe {
        asm!(
            "lock *(u64 *)({0} + 0) += {1}",
            in(reg) at,
            in(reg) more,
            options(nostack)
        );
    }
}
