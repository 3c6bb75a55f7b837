//! Why a program cannot be attached.

use std::{error::Error, io};

use nix::errno::Errno;
use thiserror::Error;

use super::{
    LoadError, PinError,
    interface::{Carrier, Interfaces},
    owner,
};

/// Why a program cannot be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The datapath lacks a program.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The pins cannot be used.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// Another program is attached to the XDP hook.
    #[error(
        "the XDP slot of `{interface}` is taken by {owner}. Detach that program, or set `hook: tcx` in agent.yaml: packets are then judged by the same rules, at the TCX hook behind it"
    )]
    Taken {
        /// Name of the interface.
        interface: String,
        /// Whose program it is.
        owner: String,
    },
    /// The kernel refused.
    #[error("cannot attach to `{interface}`: {reason}")]
    Refused {
        /// Name of the interface.
        interface: String,
        /// Why.
        reason: String,
    },
}

/// Why the kernel refused an operation, from any error type.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The reason, with what caused it.
    pub(super) reason: String,
    errno: Option<i32>,
}

impl Refusal {
    /// Whether another program occupies the hook (EBUSY, EEXIST).
    pub(super) fn is_taken(&self) -> bool {
        [Errno::EBUSY, Errno::EEXIST]
            .iter()
            .any(|&taken| self.errno == Some(taken as i32))
    }

    /// As the error of attaching XDP to `carrier`.
    pub(super) fn of(self, carrier: &Carrier, interfaces: &Interfaces) -> AttachError {
        let interface = carrier.name.clone();
        if self.is_taken() {
            let program = interfaces.get(carrier.index).and_then(|i| i.xdp_program);
            let owner = program.map_or_else(|| "another program".to_owned(), owner::describe);
            return AttachError::Taken { interface, owner };
        }
        AttachError::Refused {
            interface,
            reason: self.reason,
        }
    }
}

impl<E: Error + 'static> From<E> for Refusal {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut errno = None;
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                errno = io.raw_os_error();
            }
            source = error.source();
            if let Some(source) = source
                && !reason.contains(&source.to_string())
            {
                reason = format!("{reason}: {source}");
            }
        }
        Self { reason, errno }
    }
}
