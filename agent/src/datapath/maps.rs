//! Map values as aya reads and writes them.
//!
//! The only file of the agent with `unsafe`: it states that these types are plain bytes.

use aya::Pod;
use verdict::{
    counters::{Count, EndpointCount},
    decision::shadow::{Difference, Stranger, Tally},
    image::line::Line,
    layout::{CHUNK_LINES, Control, DoorControl, FlowControl},
    state::{
        exemption::{EXEMPTIONS, Exemption},
        flow::entry::SET_WORDS,
        served,
    },
};

/// Names of the maps in the kernel object.
pub mod name {
    /// The control record.
    pub const CONTROL: &str = ".data";
    /// First chunk of the image in each slot.
    pub const FIRST: &str = "FIRST";
    /// Other chunks of the image in each slot.
    pub const IMAGES: &str = "IMAGES";
    /// The flow table.
    pub const FLOWS: &str = "FLOWS";
    /// What the host serves.
    pub const SERVED: &str = "SERVED";
    /// The lease table.
    pub const LEASES: &str = "LEASES";
    /// The exemptions.
    pub const EXEMPTED: &str = "EXEMPTED";
    /// Rate limits of enrolment.
    pub const LIMITS: &str = "LIMITS";
    /// The control record of the flow table.
    pub const FLOW_CONTROL: &str = "FLOW_CONTROL";
    /// Verdict counters.
    pub const VERDICTS: &str = "VERDICTS";
    /// Endpoint counters.
    pub const ENDPOINTS: &str = "ENDPOINTS";
    /// Settings of the inner door.
    pub const DOOR: &str = "DOOR";
    /// Interfaces over which packets reach the inner door only judged.
    pub const COVERED_INTERFACES: &str = "COVERED_INTERFACES";
    /// Verdict counters of the inner door.
    pub const DOOR_VERDICTS: &str = "DOOR_VERDICTS";
    /// What sockets have opened and the host translates.
    pub const TRANSLATED: &str = "TRANSLATED";
    /// What a watched program has decided.
    pub const HANDED: &str = "HANDED";
    /// The candidate's XDP program.
    pub const NEXT_XDP: &str = "NEXT_XDP";
    /// The candidate's classifiers.
    pub const NEXT_TC: &str = "NEXT_TC";
    /// The candidate's program of the inner door, ingress.
    pub const NEXT_DOOR_IN: &str = "NEXT_DOOR_IN";
    /// The candidate's program of the inner door, egress.
    pub const NEXT_DOOR_OUT: &str = "NEXT_DOOR_OUT";
    /// What a candidate would do otherwise.
    pub const DIFFERENCES: &str = "DIFFERENCES";
    /// What a candidate would do otherwise with strangers, by their addresses.
    pub const STRANGERS: &str = "STRANGERS";
    /// How many packets there were of both.
    pub const TOTALS: &str = "TOTALS";
    /// The last outcome of a program in a test run.
    pub const TRACE: &str = "TRACE";
}

/// A chunk of an image.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Chunk(pub [Line; CHUNK_LINES as usize]);

// SAFETY: an array of integers: no padding, every bit pattern is a value.
unsafe impl Pod for Chunk {}

impl Chunk {
    /// A chunk that begins with `lines`, and is zeros behind them.
    #[must_use]
    pub fn holding(lines: &[Line]) -> Box<Self> {
        let mut chunk = Self::zeroed();
        chunk.0[..lines.len()].copy_from_slice(lines);
        chunk
    }

    /// A chunk of zeros, made on the heap: it is too large for the stack.
    #[must_use]
    pub fn zeroed() -> Box<Self> {
        // SAFETY: zero is a value of every integer.
        unsafe { Box::new_zeroed().assume_init() }
    }
}

/// A set of the flow table.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct SetValue(pub [u64; SET_WORDS]);

// SAFETY: an array of integers: no padding, every bit pattern is a value.
unsafe impl Pod for SetValue {}

/// A set of what the host serves.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct ServedValue(pub [u64; served::SET_WORDS]);

// SAFETY: an array of integers: no padding, every bit pattern is a value.
unsafe impl Pod for ServedValue {}

/// An entry of the lease table.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct LineValue(pub [u64; 8]);

// SAFETY: an array of integers: no padding, every bit pattern is a value.
unsafe impl Pod for LineValue {}

/// The control record.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct ControlValue(pub Control);

// SAFETY: integers of 32 and 64 bits, 112 bytes as asserted beside the type: no padding.
unsafe impl Pod for ControlValue {}

/// The control record of the flow table.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct FlowControlValue(pub FlowControl);

// SAFETY: two integers of 64 bits, and two of 32 between them: no padding.
unsafe impl Pod for FlowControlValue {}

/// The exemptions.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct ExemptionsValue(pub [Exemption; EXEMPTIONS]);

// SAFETY: arrays of integers of 64, 32 and 16 bits, 64 bytes each as asserted beside the type: no padding.
unsafe impl Pod for ExemptionsValue {}

/// Settings of the inner door.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct DoorValue(pub DoorControl);

// SAFETY: two integers of 64 bits: no padding.
unsafe impl Pod for DoorValue {}

/// A verdict counter.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct VerdictValue(pub Count);

// SAFETY: two 64-bit integers, 16 bytes as asserted beside the type: no padding.
unsafe impl Pod for VerdictValue {}

/// An endpoint counter.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct EndpointValue(pub EndpointCount);

// SAFETY: eight 64-bit integers, 64 bytes as asserted beside the type: no padding.
unsafe impl Pod for EndpointValue {}

/// What a candidate would do otherwise.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct DifferenceKey(pub Difference);

// SAFETY: three integers of 64 bits: no padding.
unsafe impl Pod for DifferenceKey {}

/// What a packet of a stranger is counted by.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct StrangerKey(pub Stranger);

// SAFETY: five integers of 64 bits, 40 bytes as asserted beside the type: no padding.
unsafe impl Pod for StrangerKey {}

/// How often it was seen.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct TallyValue(pub Tally);

// SAFETY: four integers of 64 bits, 32 bytes as asserted beside the type: no padding.
unsafe impl Pod for TallyValue {}
