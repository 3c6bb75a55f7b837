//! Classifiers before Linux 6.6: filters of the clsact qdisc.
//!
//! Such a filter belongs to the interface and outlives the process that attached it. A filter
//! cannot be pinned; its program is pinned instead, to mark that the filter exists. A filter is
//! told from those of others by the id of its program, wherever it lies.

use std::io;

use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle},
};
use nix::{errno::Errno, net::if_::if_nametoindex};

use super::filters::{Filter, filters};

/// Attaches `program` to `interface`; replaces the program `before`, by its id, if a filter has it.
pub(super) fn attach(
    program: &mut SchedClassifier,
    interface: &str,
    direction: TcAttachType,
    before: Option<u32>,
) -> Result<(), ProgramError> {
    match tc::qdisc_add_clsact(interface) {
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {
        }
        added => added?,
    }
    let there = on(interface, direction).map_err(TcError::IoError)?;
    let ours = there.iter().find(|filter| of(filter, before));
    let id = if let Some(ours) = ours {
        let ours = link(interface, direction, ours).map_err(TcError::IoError)?;
        program.attach_to_link(ours)?
    } else {
        let (priority, handle) = free_place(&there);
        let options = NlOptions {
            priority,
            handle: handle.into(),
            classid: None,
        };
        program.attach_with_options(interface, direction, TcAttachOptions::Netlink(options))?
    };
    // Dropping the link would remove the filter.
    std::mem::forget(program.take_link(id)?);
    Ok(())
}

/// Removes the filters of the program with this id from `interface`; the qdisc stays, as others may
/// use it.
pub(super) fn detach(interface: &str, direction: TcAttachType, program: u32) -> io::Result<()> {
    for filter in on(interface, direction)? {
        if of(&filter, Some(program)) {
            drop(link(interface, direction, &filter)?);
        }
    }
    Ok(())
}

/// Whether a filter of `interface` runs the program with this id.
pub(super) fn runs(interface: u32, direction: TcAttachType, program: u32) -> io::Result<bool> {
    let filters = filters(interface, direction)?;
    Ok(filters.iter().any(|filter| of(filter, Some(program))))
}

fn of(filter: &Filter, program: Option<u32>) -> bool {
    program.is_some() && filter.program == program
}

fn on(interface: &str, direction: TcAttachType) -> io::Result<Vec<Filter>> {
    filters(if_nametoindex(interface)?, direction)
}

fn link(
    interface: &str,
    direction: TcAttachType,
    filter: &Filter,
) -> io::Result<SchedClassifierLink> {
    let handle = TcHandle::from(filter.handle);
    SchedClassifierLink::attached(interface, direction, filter.priority, handle, None)
}

/// The first place that no filter has, as priority and handle: 1 is the highest priority. Filters
/// share one only if they are of one kind and for all protocols.
fn free_place(there: &[Filter]) -> (u16, u32) {
    for priority in 1..u16::MAX {
        let mut at = there.iter().filter(|filter| filter.priority == priority);
        if at.clone().all(Filter::is_of_our_kind) {
            let free = (1..u32::from(u16::MAX)).find(|&handle| at.all(|at| at.handle != handle));
            if let Some(handle) = free {
                return (priority, handle);
            }
        }
    }
    (u16::MAX, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(priority: u16, handle: u32, kind: &str) -> Filter {
        Filter {
            priority,
            handle,
            kind: kind.into(),
            every_protocol: true,
            program: None,
        }
    }

    #[test]
    fn a_place_that_somebody_has_is_left_to_them() {
        assert_eq!(free_place(&[]), (1, 1));
        assert_eq!(free_place(&[filter(1, 1, "bpf")]), (1, 2));
        assert_eq!(
            free_place(&[filter(1, 1, "bpf"), filter(1, 2, "bpf")]),
            (1, 3)
        );
        assert_eq!(free_place(&[filter(1, 1, "flower")]), (2, 1));
        let ipv4 = Filter {
            every_protocol: false,
            ..filter(1, 1, "bpf")
        };
        assert_eq!(free_place(&[ipv4]), (2, 1));
    }
}
