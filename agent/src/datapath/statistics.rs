//! What the verifier tells about a program that it accepts.

use aya::{VerifierLogLevel, programs::ProgramError};
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use thiserror::Error;

use super::{
    kernel::Features,
    load::{LoadError, PINNED, Program, Purpose, Settings, flow_sets, load_program, object},
    pins::Pins,
};

/// Why there are no statistics.
#[derive(Debug, Error)]
pub enum StatisticsError {
    /// The kernel does not accept the program.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The limit of open files cannot be changed.
    #[error("cannot change the limit of open files: {0}")]
    Limit(#[from] Errno),
}

/// The verifier's log of `program`, with statistics alone (`BPF_LOG_STATS`); its maps are made or
/// found under `pins`, with a table for `flows`.
///
/// aya returns the log of a program that was not loaded, and of no other. So the program is loaded
/// while this process may open no file: the kernel verifies and compiles it, and gives up only when
/// it needs a file descriptor for it. Nothing else may run in the process meanwhile.
///
/// # Errors
///
/// If the kernel refuses the program, or the limit of open files cannot be changed.
pub fn statistics(
    pins: &Pins,
    features: Features,
    flows: u32,
    program: Program,
) -> Result<String, StatisticsError> {
    pins.prepare().map_err(LoadError::from)?;
    let settings = Settings::new(features, Purpose::Enforce, pins, flow_sets(flows))?;
    let mut ebpf = settings
        .loader(pins, &PINNED)
        .verifier_log_level(VerifierLogLevel::STATS)
        .load(&object(features))
        .map_err(LoadError::from)?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
    let loaded = load_program(&mut ebpf, program);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    match loaded {
        Ok(()) => Ok(String::new()),
        Err(error) => accepted(&error).ok_or(error.into()),
    }
}

/// The log, if all that was missing is a file descriptor.
fn accepted(error: &LoadError) -> Option<String> {
    let LoadError::Program { source, .. } = error else {
        return None;
    };
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = source
    else {
        return None;
    };
    let only_file = io_error.raw_os_error() == Some(Errno::EMFILE as i32);
    only_file.then(|| verifier_log.to_string())
}
