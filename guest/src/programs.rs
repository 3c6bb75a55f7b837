//! Whether the verifier accepts the programs, and after how many instructions.

use std::path::Path;

use anyhow::{Context, Result};
use aya::programs::loaded_programs;
use harness::Namespace;
use manoward::datapath::{Datapath, Hook, Pins, Program, check_kernel};

use crate::report::{Found, Report};

/// Flows of the table that programs are loaded with.
const FLOWS: u32 = 1024;

/// Loads every program.
pub fn look(report: &mut Report) -> Result<()> {
    report.row("kernel's features", features)?;
    for (capability, hook, program) in [
        ("XDP program is accepted", Hook::Xdp, Program::Xdp),
        (
            "classifier for packets in is accepted",
            Hook::Tcx,
            Program::In,
        ),
        (
            "classifier for packets out is accepted",
            Hook::Tcx,
            Program::Out,
        ),
    ] {
        report.row(capability, || accepted(hook, program))?;
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

fn accepted(hook: Hook, program: Program) -> Result<Found> {
    let namespace = Namespace::new("programs")?;
    namespace.enter(|| {
        let pins = Pins::new(Path::new("/sys/fs/bpf/manoward"));
        let _datapath = Datapath::load(pins, hook, check_kernel()?, FLOWS)
            .inspect_err(|error| eprintln!("{error:?}"))?;
        let info = loaded_programs()
            .flatten()
            .find(|info| info.name_as_str() == Some(program.name()))
            .with_context(|| format!("{} is not among the kernel's programs", program.name()))?;
        Ok(Found::yes(match info.verified_instruction_count() {
            Some(count @ 1..) => format!("{count} instructions"),
            _ => "the kernel does not tell how many instructions".to_owned(),
        }))
    })?
}
