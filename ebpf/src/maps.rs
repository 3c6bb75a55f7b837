//! Every map of the datapath.
//!
//! User space creates, pins and fills them; the programs read images and write counters.

use core::ptr::from_ref;

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, PerCpuArray, SkStorage},
    helpers::bpf_map_lookup_elem,
    macros::btf_map,
};
use verdict::{
    counters::{self, Count, Direction, EndpointCount},
    decision::WORDS,
    frame::address::{Ipv4, Ipv6},
    image::{
        endpoint::{self, Peer},
        fixed::HEADER,
        header::{Flags, word},
        line::{Line, Missing, PER_LINE_16, PER_LINE_64, Tables},
        lookup::Lookup,
        place, protected,
        service::Rule,
    },
    layout::{CHUNK_LINES, CHUNKS, COVERED, DoorControl, FlowControl, SLOTS, chunk_index},
    reason::{Outcome, Verdict},
    state::{
        exemption::{EXEMPTIONS, Exemption},
        flow::Set,
        lease::{self, Lease},
        limit::Limit,
        served,
        translated::Translated,
    },
};

use crate::{control::slot_in_force, index::masked};

/// Values start on a page, so that a line of the image is one cache line.
const MMAPABLE: usize = 1 << 10;

/// A line of an image.
#[repr(C)]
pub struct ChunkLine(Line);

/// A part of an image.
///
/// No struct itself: from 5.15 to 6.1, kernels tell maps whose value is one, by their type
/// information, from those that the agent makes without any, and do not take these into a map of
/// maps.
pub type Chunk = [ChunkLine; CHUNK_LINES as usize];

/// 64-bit words of a chunk.
const CHUNK_WORDS: usize = (CHUNK_LINES * PER_LINE_64) as usize;

type ChunkMap = Array<Chunk, 1, MMAPABLE>;

/// Key: slot. Value: the first chunk of an image, which holds its fixed part; most images have no
/// other.
///
/// Written by the agent before the control record names the slot, never while it does; read by every
/// packet. Capacity: [`SLOTS`], all allocated. A miss cannot happen but before the first policy, and
/// drops with [`Reason::NoPolicy`](verdict::reason::Reason::NoPolicy).
#[btf_map]
static FIRST: Array<Chunk, { SLOTS as usize }, MMAPABLE> = Array::new();

/// Key: [`chunk_index`]. Value: an array whose key 0 is a further chunk of an image.
///
/// Written and read as `FIRST`. Capacity: [`CHUNKS`] for each slot, allocated as a policy needs them;
/// the agent refuses a policy that needs more. A miss drops the packet that asks for it with
/// [`Reason::NoPolicy`](verdict::reason::Reason::NoPolicy).
#[btf_map]
static IMAGES: ArrayOfMaps<ChunkMap, { (SLOTS * CHUNKS) as usize }> = ArrayOfMaps::new();

/// Key: index of a set of the table of flows ([`table`]). Value: eight flows, or zeros, and their tags.
///
/// Written by the programs of both directions, on any CPU; read by them and by the agent. Capacity: set
/// by the agent before loading (`flows` in agent.yaml), at most
/// [`MAX_FLOW_SETS`](verdict::layout::MAX_FLOW_SETS) sets. When both sets of a new flow are full of
/// what it does not displace, it is refused with `flow-table-full` if a rule permits it, and otherwise
/// passes without a flow. A miss means that the host has no such
/// connection open.
#[btf_map]
pub static FLOWS: Array<Set, 1, MMAPABLE> = Array::new();

/// Key: index of a set of what is served ([`served`]). Value: seven conversations that permitted peers have
/// begun, or zeros, and their tags.
///
/// Written by the programs of both directions, on any CPU, about peers that a rule permits; read by them and
/// by the agent. Capacity: half as many sets as of flows. When a set is full, the conversation that was
/// refreshed least recently makes room. A miss means that the host has not served that peer.
#[btf_map]
pub static SERVED: Array<served::Set, 1, MMAPABLE> = Array::new();

/// Key: index of an entry of the table of leases ([`lease::own_index`], [`lease::shared_index`]). Value:
/// one lease, or zeros.
///
/// Written by the agent alone; read by every packet of an endpoint that has to hold a lease. Capacity:
/// [`lease::ENTRIES`]; when the shared entries are full, the agent refuses a lease at a further
/// address. A miss drops with `no-lease`.
#[btf_map]
pub static LEASES: Array<Lease, { lease::ENTRIES as usize }, MMAPABLE> = Array::new();

/// Key 0: the exemptions, of which any may be empty.
///
/// Written by the agent alone; read by packets that the policy refuses, if the control record says that there
/// are any. A miss, which cannot happen, lets nobody in.
#[btf_map]
pub static EXEMPTED: Array<[Exemption; EXEMPTIONS], 1> = Array::new();

/// Key: index of a limit of enrolments, of a word about one of their sessions ([`sessions`]), of a note about
/// a first fragment ([`fragment`](verdict::decision::fragment)), or of one about a peer that nobody has asked
/// ([`unasked`](verdict::decision::unasked)). Value: how much was admitted in the last tick, the word, or the
/// note.
///
/// Written and read by the programs, also about packets of strangers; the agent notes which sessions have
/// proven who they are. Capacity: [`WORDS`], all allocated; sources with the same hash share a limit, and
/// fragments a note, which the last one has. A miss, which cannot happen, drops with `rate-limited`, and
/// tells of no first fragment.
#[btf_map]
pub static LIMITS: Array<Limit, { WORDS as usize }> = Array::new();

/// Key 0: the agent's settings of the table of flows, and of groups.
///
/// Written by the agent; read by packets for which no flow is open, and by those to groups. While there are
/// flows, only the deadline in it and what is said about groups change. A miss, which cannot happen, adopts nothing.
#[btf_map]
pub static FLOW_CONTROL: Array<FlowControl, 1> = Array::new();

/// Key: [`Direction::cell`]. Value: packets and bytes of one direction, rule, mode and reason.
///
/// Written by the programs, each on its own CPU; read by the agent, which clears the cells of a rule
/// number before it gives that number another meaning. Capacity: every cell that an outcome can name,
/// so there is no miss. Counters are 64 bits wide and do not overflow in practice.
#[btf_map]
static VERDICTS: PerCpuArray<Count, { counters::VERDICT_CELLS as usize }> = PerCpuArray::new();

/// Key: number of an endpoint. Value: packets and bytes from it and to it, passed and dropped.
///
/// Written and read as `VERDICTS`. Capacity: [`counters::ENDPOINTS`], every number that a policy can
/// give, so there is no miss.
#[btf_map]
static ENDPOINTS: PerCpuArray<EndpointCount, { counters::ENDPOINTS as usize }> = PerCpuArray::new();

/// Key 0: the agent's settings of the inner door.
///
/// Written by the agent; read by every packet that is judged there. A miss, which cannot happen, lets
/// packets of every namespace pass.
#[btf_map]
static DOOR: Array<DoorControl, 1> = Array::new();

/// Key: index of an interface, modulo [`COVERED`]. Value: the index of an interface over which unicast to
/// a protected address reaches a socket only judged, or 0; with [`INSIDE`] if the door lets all pass.
///
/// Written by the agent; read by every packet at the inner door. Capacity: of two interfaces with the
/// same key one is listed, and packets of the other are judged again.
#[btf_map]
static COVERED_INTERFACES: Array<u32, { COVERED as usize }> = Array::new();

/// Key: a socket. Value: what it has opened and the host translates.
///
/// Written by the programs at the door, about what a socket of the host opens; read by them. It goes with
/// the socket. Where the kernel has no room for it, the answers are judged as the socket sees them. A miss
/// means that nothing is translated.
#[btf_map]
pub static TRANSLATED: SkStorage<Translated> = SkStorage::new();

/// As `VERDICTS`, of what the inner door has judged.
#[btf_map]
static DOOR_VERDICTS: PerCpuArray<Count, { counters::VERDICT_CELLS as usize }> = PerCpuArray::new();

/// Key 0: the last outcome, as [`Outcome`] packs it.
///
/// Written only by a program that was loaded to explain its verdicts, and read by the agent that asked;
/// the datapath's own programs never touch it. Each outcome replaces the one before.
#[btf_map]
static TRACE: Array<u64, 1> = Array::new();

/// The image in one slot.
pub struct Image {
    /// The first chunk.
    first: &'static Chunk,
}

impl Image {
    /// The image that a packet on the interface `ifindex` is judged by; `None` if there is none.
    ///
    /// The control record itself holds the key: a copy of it would be written to the stack and read
    /// again, before anything else could begin.
    #[inline(always)]
    pub fn enforced(ifindex: impl FnOnce() -> u32) -> Option<Self> {
        let map = (&raw const FIRST).cast_mut().cast();
        let key = slot_in_force(ifindex);
        // SAFETY: the record holds keys of this map, which the agent replaces at once; a value of the
        // map is a chunk, and stays where it is.
        let first = unsafe { bpf_map_lookup_elem(map, key.cast_mut().cast()).cast::<Chunk>() };
        // SAFETY: as above; the kernel returns null for a slot that does not exist.
        unsafe { first.as_ref() }.map(|first| Self { first })
    }

    /// The image in `slot`.
    #[inline(always)]
    pub fn in_slot(slot: u32) -> Option<Self> {
        FIRST.get(slot).map(|first| Self { first })
    }

    /// The chunk that line `index` lies in.
    #[inline(always)]
    fn chunk_of(&self, index: u64) -> Result<&'static Chunk, Missing> {
        if index < CHUNK_LINES.into() {
            return Ok(self.first);
        }
        chunk(self.slot(), (index / u64::from(CHUNK_LINES)) as u32).ok_or(Missing)
    }

    /// The halves of the words of the first chunk.
    #[inline(always)]
    fn halves(&self) -> &'static [u32; 2 * CHUNK_WORDS] {
        // SAFETY: a chunk is twice as many halves of words; the lower one is the first where the
        // kernel runs this program.
        unsafe { &*from_ref(self.first).cast() }
    }

    /// The slot that the image lies in. The control record may name another by now.
    #[inline(always)]
    pub fn slot(&self) -> u32 {
        Flags(self.first[HEADER as usize].0[word::FLAGS]).slot()
    }
}

/// A chunk other than the first.
#[inline(always)]
fn chunk(slot: u32, chunk: u32) -> Option<&'static Chunk> {
    IMAGES.get(chunk_index(slot, chunk))?.get(0)
}

impl Tables for Image {
    #[inline(always)]
    fn line(&self, index: u64) -> Result<&Line, Missing> {
        Ok(&self.chunk_of(index)?[(index % u64::from(CHUNK_LINES)) as usize].0)
    }

    // Words are found by one addition, where a line and an offset in it would take two. The
    // remainder is for the verifier, where it cannot tell that a word lies in the chunk.

    #[inline(always)]
    fn fixed64(&self, index: u32) -> Result<u64, Missing> {
        // SAFETY: a chunk is this many words.
        let words = unsafe { &*from_ref(self.first).cast::<[u64; CHUNK_WORDS]>() };
        Ok(words[index as usize % CHUNK_WORDS])
    }

    #[inline(always)]
    fn fixed32(&self, index: u32) -> Result<u32, Missing> {
        Ok(self.halves()[index as usize % (2 * CHUNK_WORDS)])
    }

    #[inline(always)]
    fn fixed32_kept(&self, index: u32) -> Result<u32, Missing> {
        let index = masked::<{ 2 * CHUNK_WORDS as u32 - 1 }>(index);
        // SAFETY: there are as many halves as the mask has numbers.
        Ok(unsafe { *self.halves().get_unchecked(index) })
    }

    #[inline(always)]
    fn value16(&self, base: u64, index: u32) -> Result<u16, Missing> {
        let chunk = self.chunk_of(base + u64::from(index / PER_LINE_16))?;
        // SAFETY: as above.
        let values = unsafe { &*from_ref(chunk).cast::<[u16; 4 * CHUNK_WORDS]>() };
        let at = base * u64::from(PER_LINE_16) + u64::from(index);
        Ok(values[at as usize % (4 * CHUNK_WORDS)])
    }
}

impl Lookup for Image {
    #[inline(always)]
    fn protected_ipv4(&self, address: Ipv4) -> Result<u32, Missing> {
        found(protected_ipv4(self.slot(), address.0))
    }

    #[inline(always)]
    fn protected_ipv6(&self, address: Ipv6) -> Result<u32, Missing> {
        found(protected_ipv6(self.slot(), address.high, address.low))
    }

    #[inline(always)]
    fn endpoint_ipv4(&self, address: Ipv4) -> Result<Peer, Missing> {
        found(endpoint_ipv4(self.slot(), address.0)).map(Peer)
    }

    #[inline(always)]
    fn is_at(&self, place: u32, local: [u64; 2], ifindex: u32) -> Result<bool, Missing> {
        let [high, low] = local;
        found(is_at_place(self.slot(), place, high, low, ifindex)).map(|found| found != 0)
    }

    #[inline(always)]
    fn choose(&self, index: u32, local: [u64; 2], ifindex: u32) -> Result<Rule, Missing> {
        let [high, low] = local;
        found(choose_rule(self.slot(), index, high, low, ifindex)).map(|rule| Rule(rule as u16))
    }

    #[inline(always)]
    fn endpoint_ipv6(&self, address: Ipv6) -> Result<Peer, Missing> {
        found(endpoint_ipv6(self.slot(), address.high, address.low)).map(Peer)
    }
}

/// What a function returns that found a line missing.
const MISSING: u32 = u32::MAX;

#[inline(always)]
fn found(value: u32) -> Result<u32, Missing> {
    if value == MISSING {
        Err(Missing)
    } else {
        Ok(value)
    }
}

// Functions of their own for the kernel: each is verified once, whatever its callers know.

/// [`protected::find`] for an IPv4 address in the image in `slot`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn protected_ipv4(slot: u32, address: u32) -> u32 {
    match Image::in_slot(slot) {
        Some(image) => protected::find(&image, Ipv4(address)).unwrap_or(MISSING),
        None => MISSING,
    }
}

/// [`protected::find`] for an IPv6 address in the image in `slot`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn protected_ipv6(slot: u32, high: u64, low: u64) -> u32 {
    match Image::in_slot(slot) {
        Some(image) => protected::find(&image, Ipv6 { high, low }).unwrap_or(MISSING),
        None => MISSING,
    }
}

/// [`endpoint::find`] for an IPv4 address in the image in `slot`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn endpoint_ipv4(slot: u32, address: u32) -> u32 {
    match Image::in_slot(slot) {
        Some(image) => endpoint::find(&image, Ipv4(address)).map_or(MISSING, |peer| peer.0),
        None => MISSING,
    }
}

/// [`place::holds`] in the image in `slot`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_at_place(slot: u32, place: u32, high: u64, low: u64, ifindex: u32) -> u32 {
    match Image::in_slot(slot) {
        Some(image) => place::holds(&image, place, [high, low], ifindex).map_or(MISSING, u32::from),
        None => MISSING,
    }
}

/// [`place::choose`] in the image in `slot`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn choose_rule(slot: u32, index: u32, high: u64, low: u64, ifindex: u32) -> u32 {
    match Image::in_slot(slot) {
        Some(image) => place::choose(&image, index, [high, low], ifindex)
            .map_or(MISSING, |rule| u32::from(rule.0)),
        None => MISSING,
    }
}

/// [`endpoint::find`] for an IPv6 address in the image in `slot`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn endpoint_ipv6(slot: u32, high: u64, low: u64) -> u32 {
    match Image::in_slot(slot) {
        Some(image) => endpoint::find(&image, Ipv6 { high, low }).map_or(MISSING, |peer| peer.0),
        None => MISSING,
    }
}

/// The agent's settings of the inner door.
#[inline(always)]
pub fn door() -> DoorControl {
    DOOR.get(0).copied().unwrap_or_default()
}

/// What the door knows of an interface: its index if unicast over it has been judged, with [`INSIDE`] if
/// everything passes there; anything else if it knows nothing.
#[inline(always)]
pub fn interface_at_door(ifindex: u32) -> u32 {
    COVERED_INTERFACES
        .get(ifindex % COVERED)
        .copied()
        .unwrap_or(0)
}

/// Counts one packet of `bytes` bytes that was judged at the door.
#[inline(always)]
pub fn count_at_door(direction: Direction, outcome: Outcome, bytes: u64) {
    if let Some(count) = DOOR_VERDICTS.get_ptr_mut(direction.cell(outcome)) {
        // SAFETY: the pointer is this CPU's own value, and nothing preempts the program on it.
        add(unsafe { &mut *count }, bytes);
    }
    count_endpoint(direction, outcome, bytes);
}

/// Counts one packet of `bytes` bytes.
#[inline(always)]
pub fn count(direction: Direction, outcome: Outcome, bytes: u64) {
    if let Some(count) = VERDICTS.get_ptr_mut(direction.cell(outcome)) {
        // SAFETY: the pointer is this CPU's own value, and nothing preempts the program on it.
        add(unsafe { &mut *count }, bytes);
    }
    count_endpoint(direction, outcome, bytes);
}

#[inline(always)]
fn count_endpoint(direction: Direction, outcome: Outcome, bytes: u64) {
    if outcome.endpoint() == 0 {
        return;
    }
    if let Some(endpoint) = ENDPOINTS.get_ptr_mut(outcome.endpoint()) {
        // SAFETY: as above.
        let endpoint = unsafe { &mut *endpoint };
        let count = match direction {
            Direction::In => &mut endpoint.received,
            Direction::Out => &mut endpoint.sent,
        };
        match outcome.verdict() {
            Verdict::Pass => add(&mut count.passed, bytes),
            Verdict::Drop => add(&mut count.dropped, bytes),
        }
    }
}

#[inline(always)]
fn add(count: &mut Count, bytes: u64) {
    count.packets += 1;
    count.bytes += bytes;
}

/// Leaves `outcome` for the reader of `TRACE`.
#[inline(always)]
pub fn trace(outcome: Outcome) {
    if let Some(last) = TRACE.get_ptr_mut(0) {
        // SAFETY: the agent runs one explaining program at a time.
        unsafe { *last = outcome.0 };
    }
}
