//! Every map of the datapath.
//!
//! User space creates, pins and fills them; the programs read images and write counters.

use core::ptr::read_volatile;

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, PerCpuArray},
    macros::btf_map,
};
use verdict::{
    counters::{self, Count, EndpointCount},
    image::{Line, Missing, Tables},
    layout::{CHUNK_LINES, CHUNKS, Control, SLOTS, chunk_index},
    reason::{Outcome, Verdict},
};

/// Values start on a page, so that a line of the image is one cache line.
const MMAPABLE: usize = 1 << 10;

/// The control record: the only variable of the programs, so that it is read without a lookup. Its
/// map is called `.bss`. Written by the agent at once, read by every packet.
#[unsafe(no_mangle)]
static mut CONTROL: Control = Control::NONE;

/// A part of an image.
#[repr(C)]
pub struct Chunk {
    lines: [Line; CHUNK_LINES as usize],
}

type ChunkMap = Array<Chunk, 1, MMAPABLE>;

/// Key: slot. Value: the first chunk of an image, where the fixed part of it lies; most images have
/// no other. Otherwise like `IMAGES`.
#[btf_map]
static FIRST: Array<Chunk, { SLOTS as usize }, MMAPABLE> = Array::new();

/// Key: [`chunk_index`]. Value: an array whose key 0 is a chunk. Written by the agent, before the
/// control record names the slot; never while it does. A missing chunk drops what asks for it with
/// [`Reason::NoPolicy`](verdict::reason::Reason::NoPolicy).
#[btf_map]
static IMAGES: ArrayOfMaps<ChunkMap, { (SLOTS * CHUNKS) as usize }> = ArrayOfMaps::new();

/// Key: [`Outcome::cell`]. Written by the programs, on their own CPU; read by the agent, which
/// clears the cells of a rule number before it gives that number another meaning.
#[btf_map]
static VERDICTS: PerCpuArray<Count, { counters::VERDICT_CELLS as usize }> = PerCpuArray::new();

/// Key: endpoint number. Otherwise like `VERDICTS`.
#[btf_map]
static ENDPOINTS: PerCpuArray<EndpointCount, { counters::ENDPOINTS as usize }> = PerCpuArray::new();

/// Key 0: the last outcome, packed. Written only by a program that was loaded to explain its
/// verdicts; the datapath's own never touches it.
#[btf_map]
static TRACE: Array<u64, 1> = Array::new();

/// The image in one slot.
pub struct Image {
    slot: u32,
    /// The first chunk.
    first: &'static Chunk,
}

impl Image {
    /// The image in force; `None` if there is none.
    #[inline(always)]
    pub fn enforced() -> Option<Self> {
        // SAFETY: one aligned word, which the agent replaces at once; volatile, as it does so.
        let slot = unsafe { read_volatile(&raw const CONTROL) }.enforced()?;
        Some(Self {
            slot,
            first: FIRST.get(slot)?,
        })
    }
}

/// A chunk other than the first.
#[inline(always)]
fn chunk(slot: u32, chunk: u32) -> Option<&'static Chunk> {
    IMAGES.get(chunk_index(slot, chunk))?.get(0)
}

impl Tables for Image {
    #[inline(always)]
    fn line(&self, index: u32) -> Result<&Line, Missing> {
        let chunk = if index < CHUNK_LINES {
            self.first
        } else {
            chunk(self.slot, index / CHUNK_LINES).ok_or(Missing)?
        };
        Ok(&chunk.lines[(index % CHUNK_LINES) as usize])
    }
}

/// Counts one packet of `bytes` bytes.
#[inline(always)]
pub fn count(outcome: Outcome, bytes: u64) {
    if let Some(count) = VERDICTS.get_ptr_mut(outcome.cell()) {
        // SAFETY: the pointer is this CPU's own value, and nothing preempts the program on it.
        add(unsafe { &mut *count }, bytes);
    }
    if outcome.endpoint() == 0 {
        return;
    }
    if let Some(endpoint) = ENDPOINTS.get_ptr_mut(outcome.endpoint()) {
        // SAFETY: as above.
        let endpoint = unsafe { &mut *endpoint };
        match outcome.verdict() {
            Verdict::Pass => add(&mut endpoint.passed, bytes),
            Verdict::Drop => add(&mut endpoint.dropped, bytes),
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
        // SAFETY: whoever asks for explanations runs one program at a time.
        unsafe { *last = outcome.to_word() };
    }
}
