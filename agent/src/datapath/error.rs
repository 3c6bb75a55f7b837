//! Errors of loading programs and using maps.

use std::path::PathBuf;

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use thiserror::Error;

use super::{PinError, Program};

/// Why the programs cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The pins cannot be used.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// The object is not accepted.
    #[error("the kernel did not accept the object: {}", chain(.0))]
    Object(#[from] EbpfError),
    /// A program is not accepted.
    #[error("the kernel did not accept the program {program}: {}", brief(.source))]
    Program {
        /// Its name.
        program: &'static str,
        /// Why, with the verifier's log.
        source: ProgramError,
    },
    /// A map cannot be opened, read or written.
    #[error("map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// Something cannot be pinned.
    #[error("cannot pin {path}: {source}")]
    Pin {
        /// Where.
        path: PathBuf,
        /// Why.
        source: aya::pin::PinError,
    },
    /// A pin cannot be removed.
    #[error("cannot remove {path}: {source}")]
    Unpin {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel gives no random numbers; the flow table needs a random seed.
    #[error("cannot get random numbers: {0}")]
    Seed(getrandom::Error),
    /// The object lacks a program or a map.
    #[error("the kernel object has no {0}; it was not built with this agent")]
    Missing(&'static str),
}

/// The error of the program `program`.
pub(super) fn program_failed(program: Program) -> impl Fn(ProgramError) -> LoadError {
    move |source| LoadError::Program {
        program: program.name(),
        source,
    }
}

/// The error of the map `name`.
pub(super) fn map_failed(name: &'static str) -> impl Fn(MapError) -> LoadError {
    move |source| LoadError::Map { name, source }
}

/// The first and the last ten lines of an error with a verifier log: the last lines say why.
fn brief(error: &ProgramError) -> String {
    let text = chain(error);
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() {
        0..=12 => text,
        count => format!("{}\n...\n{}", lines[0], lines[count - 10..].join("\n")),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
