//! Classifiers before Linux 6.6: filters of the clsact qdisc.
//!
//! Such a filter belongs to the interface and outlives the process that attached it. A filter
//! cannot be pinned; its program is pinned instead, to mark that the filter exists.

use std::io;

use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle},
};

use nix::errno::Errno;

/// Before other filters: 1 is the highest priority.
const PRIORITY: u16 = 1;
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// Attaches `program` to `interface`; replaces the program of an existing filter.
pub(super) fn attach(
    program: &mut SchedClassifier,
    interface: &str,
    direction: TcAttachType,
) -> Result<(), ProgramError> {
    match tc::qdisc_add_clsact(interface) {
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {
        }
        added => added?,
    }
    let options = NlOptions {
        priority: PRIORITY,
        handle: HANDLE,
        classid: None,
    };
    let id = match link(interface, direction) {
        // Fails if there is none to replace.
        Ok(there) => match program.attach_to_link(there) {
            Ok(id) => id,
            Err(_) => program.attach_with_options(
                interface,
                direction,
                TcAttachOptions::Netlink(options),
            )?,
        },
        Err(error) => return Err(TcError::IoError(error).into()),
    };
    // Dropping the link would remove the filter.
    std::mem::forget(program.take_link(id)?);
    Ok(())
}

/// Removes the filter from `interface`; the qdisc stays, as others may use it.
pub(super) fn detach(interface: &str, direction: TcAttachType) -> io::Result<()> {
    link(interface, direction).map(drop)
}

fn link(interface: &str, direction: TcAttachType) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(interface, direction, PRIORITY, HANDLE, None)
}
