//! Whether the verifier accepts the programs, and after how many instructions.

use std::path::Path;

use anyhow::Result;
use harness::Namespace;
use manoward::datapath::{Datapath, Hook, Pins, Program, check_kernel};

use crate::report::{Found, Report};

/// Flows of the table that programs are loaded with.
const FLOWS: u32 = 1024;

/// Loads every program.
pub fn look(report: &mut Report) -> Result<()> {
    report.row("kernel's features", features)?;
    for (capability, program) in [
        ("XDP program is accepted", Program::Xdp),
        ("classifier for packets in is accepted", Program::In),
        ("classifier for packets out is accepted", Program::Out),
    ] {
        report.row(capability, || accepted(program))?;
    }
    Ok(())
}

fn features() -> Result<Found> {
    let features = check_kernel()?;
    let jiffies = features
        .jiffies_per_second
        .map_or("no jiffies".to_owned(), |rate| {
            format!("jiffies at {rate} Hz")
        });
    let mut told = vec![jiffies];
    for (there, name) in [
        (features.coarse_clock, "coarse clock"),
        (features.multi_buffer, "frames of several buffers"),
        (features.tcx, "TCX"),
    ] {
        told.push(format!("{}{name}", if there { "" } else { "no " }));
    }
    Ok(Found::yes(told.join(", ")))
}

fn accepted(program: Program) -> Result<Found> {
    let namespace = Namespace::new("programs")?;
    namespace.enter(|| {
        let pins = Pins::new(Path::new("/sys/fs/bpf/manoward"));
        let mut datapath = Datapath::open(pins, Hook::Xdp, check_kernel()?, FLOWS)?;
        datapath
            .load_program(program)
            .inspect_err(|error| eprintln!("{error:?}"))?;
        Ok(Found::yes(match datapath.instructions_of(program) {
            Some(count @ 1..) => format!("{count} instructions"),
            _ => "the kernel does not tell how many instructions".to_owned(),
        }))
    })?
}
