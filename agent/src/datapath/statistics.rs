//! The verifier's statistics of a program that it accepts.

use aya::{VerifierLogLevel, programs::ProgramError};
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use thiserror::Error;

use super::{
    Features, LoadError, Pins, Program, Role, flow_sets,
    load::{PINNED, load_program},
    object::object,
    settings::{Purpose, Settings},
};

/// Why there are no statistics.
#[derive(Debug, Error)]
pub enum StatisticsError {
    /// The object or the program could not be loaded for verification.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The program was loaded although no file could be opened.
    #[error("the kernel loads programs without a file descriptor, so there is no log")]
    NoLog,
    /// The limit of open files cannot be changed.
    #[error("cannot change the limit of open files: {0}")]
    Limit(#[from] Errno),
}

/// The verifier's report on a program.
#[derive(Debug)]
pub struct Verified {
    /// Its log, which has only statistics (`BPF_LOG_STATS`).
    pub log: String,
    /// Why it does not accept the program, if it does not.
    pub refused: Option<LoadError>,
}

/// Has the verifier check `program` in this `role`, with the maps pinned under `pins`, or new ones with a flow
/// table for `flows` flows.
///
/// aya returns the log only if loading fails. So the program is loaded while this process may open
/// no file: the kernel verifies and compiles it, and then fails when it needs a file descriptor for
/// it. Nothing else may run in the process meanwhile.
///
/// # Errors
///
/// If loading fails before the verifier runs, or the limit of open files cannot be changed.
pub fn statistics(
    pins: &Pins,
    features: Features,
    flows: u32,
    program: Program,
    role: Role,
) -> Result<Verified, StatisticsError> {
    pins.prepare().map_err(LoadError::from)?;
    let settings = Settings::new(features, Purpose::Enforce, pins, flow_sets(flows))?;
    let mut ebpf = settings
        .loader(pins, &PINNED)
        .verifier_log_level(VerifierLogLevel::STATS)
        .load(&object(features))
        .map_err(LoadError::from)?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
    let loaded = load_program(&mut ebpf, program, role);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    let Err(error) = loaded else {
        return Err(StatisticsError::NoLog);
    };
    let LoadError::Program {
        source: ProgramError::LoadError {
            io_error,
            verifier_log,
        },
        ..
    } = &error
    else {
        return Err(error.into());
    };
    let accepted = io_error.raw_os_error() == Some(Errno::EMFILE as i32);
    Ok(Verified {
        log: verifier_log.to_string(),
        refused: (!accepted).then_some(error),
    })
}
