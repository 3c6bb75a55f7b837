//! Test runs of the programs in the kernel, for their verdict on a frame.
//!
//! The attached program would count the packet, so a copy is run (`BPF_PROG_TEST_RUN`): the same
//! instructions on the same image, with separate counters, and with a setting that makes it record
//! its outcome.

use aya::{
    Ebpf,
    maps::{Array, MapError},
    programs::{ProgramError, TestRun as _, TestRunOptions},
};
use nix::errno::Errno;
use thiserror::Error;
use verdict::reason::Outcome;

use super::{
    LoadError, Pins, Program, Role,
    kernel::Features,
    load,
    maps::name,
    object::object,
    settings::{Purpose, Settings},
};

/// Why the kernel gave no verdict.
#[derive(Debug, Error)]
pub enum ExplainError {
    /// The copy of the program cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The frame is too short or too long for a test run.
    #[error("the kernel runs programs on frames of 14 to {MAX_FRAME} bytes, and this one has {0}")]
    Length(usize),
    /// The kernel runs XDP programs only on frames that arrive on the loopback interface (before
    /// Linux 5.15).
    #[error("the kernel cannot be asked about frames that arrive on another interface than lo")]
    Interface,
    /// The kernel refuses test runs on such a frame. At the TCX hook, for example, it does so if
    /// the EtherType says IP and no IP header follows.
    #[error("the kernel runs no program on this frame")]
    Refused,
    /// The program could not be run.
    #[error("the kernel could not run the program: {0}")]
    Run(ProgramError),
    /// The outcome could not be read.
    #[error("the outcome could not be read: {0}")]
    Map(#[from] MapError),
    /// The program left no outcome that this agent knows.
    #[error("the program left no outcome")]
    NoOutcome,
}

/// Longest frame of a test run, in bytes: one page, less the room that the kernel needs in it.
const MAX_FRAME: usize = 3520;

/// Index of the loopback interface, in every network namespace.
pub const LOOPBACK: u32 = 1;

/// A copy of an attached program, for test runs.
#[derive(Debug)]
pub struct Explainer {
    ebpf: Ebpf,
    program: Program,
}

impl Explainer {
    /// Loads a copy of `program` that uses the image and the flows pinned under `pins`. Its runs
    /// change nothing.
    pub fn load(pins: &Pins, program: Program, features: Features) -> Result<Self, LoadError> {
        Self::load_for(Purpose::Explain, pins, program, features)
    }

    /// Loads a copy that opens and updates flows, as the attached program does.
    pub fn rehearsing(
        pins: &Pins,
        program: Program,
        features: Features,
    ) -> Result<Self, LoadError> {
        Self::load_for(Purpose::Rehearse, pins, program, features)
    }

    fn load_for(
        purpose: Purpose,
        pins: &Pins,
        program: Program,
        features: Features,
    ) -> Result<Self, LoadError> {
        let settings = Settings::new(features, purpose, pins, 1)?;
        let shared = [
            name::CONTROL,
            name::FIRST,
            name::IMAGES,
            name::FLOWS,
            name::SERVED,
            name::LEASES,
            name::LIMITS,
            name::EXEMPTED,
            name::FLOW_CONTROL,
        ];
        let mut loader = settings.loader(pins, &shared);
        // Its counts are not read, and the counters would take most of the memory.
        for name in [name::VERDICTS, name::ENDPOINTS] {
            loader.map_max_entries(name, 1);
        }
        let mut ebpf = loader.load(&object(features))?;
        drop(loader);
        drop(settings);
        load::load_program(&mut ebpf, program, Role::Alone)?;
        Ok(Self { ebpf, program })
    }

    /// The program's outcome for `frame`, which arrives on or leaves by the interface `ifindex`; 0
    /// stands for the loopback interface.
    pub fn outcome(&mut self, frame: &[u8], ifindex: u32) -> Result<Outcome, ExplainError> {
        if !(14..=MAX_FRAME).contains(&frame.len()) {
            return Err(ExplainError::Length(frame.len()));
        }
        let code = match self.run(frame, ifindex) {
            // Either the frame or the interface is refused: a run on the loopback interface shows
            // which.
            Err(ExplainError::Refused) if ifindex > LOOPBACK => {
                self.run(frame, LOOPBACK)?;
                return Err(ExplainError::Interface);
            }
            code => code?,
        };
        let trace = self
            .ebpf
            .map(name::TRACE)
            .ok_or(LoadError::Missing(name::TRACE))?;
        let trace: Array<_, u64> = trace.try_into()?;
        let outcome = Outcome::from_word(trace.get(&0, 0)?).ok_or(ExplainError::NoOutcome)?;
        if self.program.verdict(code) == Some(outcome.verdict()) {
            Ok(outcome)
        } else {
            Err(ExplainError::NoOutcome)
        }
    }

    /// Runs the program and returns its return code.
    fn run(&mut self, frame: &[u8], ifindex: u32) -> Result<u32, ExplainError> {
        let (xdp, skb);
        let context: &[u8] = if self.program == Program::Xdp {
            xdp = xdp_context(frame.len() as u32, ifindex);
            &xdp
        } else {
            skb = skb_context(ifindex);
            &skb
        };
        let options = TestRunOptions {
            data_in: Some(frame),
            // Without a context, a frame arrives on the loopback interface in every kernel.
            ctx_in: (ifindex > LOOPBACK).then_some(context),
            ..TestRunOptions::default()
        };
        match self.program {
            Program::Xdp => load::xdp(&mut self.ebpf, Role::Alone)?.test_run(options),
            program => load::classifier(&mut self.ebpf, program, Role::Alone)?.test_run(options),
        }
        .map(|result| result.return_value)
        .map_err(refusal)
    }
}

/// Distinguishes a frame that the kernel refuses from a run that failed.
fn refusal(error: ProgramError) -> ExplainError {
    match error {
        ProgramError::SyscallError(error)
            if error.io_error.raw_os_error() == Some(Errno::EINVAL as i32) =>
        {
            ExplainError::Refused
        }
        error => ExplainError::Run(error),
    }
}

/// `struct xdp_md` (linux/bpf.h) for a frame of `len` bytes from queue 0 of `ifindex`.
fn xdp_context(len: u32, ifindex: u32) -> [u8; 24] {
    words([0, len, 0, ifindex, 0, 0])
}

/// Offset of `ifindex` in `struct __sk_buff` (linux/bpf.h), in words.
const SKB_IFINDEX: usize = 10;

/// `struct __sk_buff` for a frame that arrived on `ifindex`; other fields are zero.
fn skb_context(ifindex: u32) -> [u8; 192] {
    let mut context = [0; 48];
    context[SKB_IFINDEX] = ifindex;
    words(context)
}

fn words<const N: usize, const BYTES: usize>(words: [u32; N]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}
