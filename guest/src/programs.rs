//! Whether the verifier accepts the programs, and what they cost it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::Namespace;
use manoward::datapath::{Pins, Program, Role, check_kernel, object, statistics};
use manoward_guest_report::budget::{self, Chain, Cost};

use crate::calls::{Rounding, deepest};
use crate::linked::Linked;
use crate::report::{Found, Report};
use crate::verifier_log::Statistics;

/// Flows of the table that programs are loaded with.
const FLOWS: u32 = 1024;

/// Loads every program.
pub fn look(report: &mut Report) -> Result<()> {
    report.row("kernel's features", features)?;
    for (capability, program) in [
        ("XDP program is accepted", Program::Xdp),
        ("classifier for packets in is accepted", Program::In),
        ("classifier for packets out is accepted", Program::Out),
        ("inner door for packets in is accepted", Program::DoorIn),
        ("inner door for packets out is accepted", Program::DoorOut),
    ] {
        report.row(capability, || accepted(program, Role::Alone))?;
    }
    for program in Program::ALL {
        for role in [Role::Watched, Role::Candidate] {
            let capability = format!("shadow: `{}` is accepted", program.name_as(role));
            report.row(&capability, || accepted(program, role))?;
        }
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
        (features.sockets.is_some(), "namespaces of sockets"),
    ] {
        told.push(format!("{}{name}", if there { "" } else { "no " }));
    }
    Ok(Found::yes(told.join(", ")))
}

fn accepted(program: Program, role: Role) -> Result<Found> {
    let namespace = Namespace::new("programs")?;
    namespace.enter(|| {
        let pins = Pins::new(Path::new("/sys/fs/bpf/manoward"));
        let features = check_kernel()?;
        let verified = statistics(&pins, features, FLOWS, program, role)?;
        let linked = Linked::read(&object(features), program.name_as(role))?;
        let rounding = Rounding::of(kernel()?);
        let cost = Statistics::read(&verified.log)
            .and_then(|statistics| cost(program.name_as(role), &linked, &statistics, rounding));
        match verified.refused {
            None => cost.map(Found::accepted),
            Some(error) => {
                eprintln!("{error:?}");
                Ok(Found::refused(&error, cost.ok()))
            }
        }
    })?
}

/// The running kernel's major and minor number.
fn kernel() -> Result<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release
        .split(|it: char| !it.is_ascii_digit())
        .map_while(|it| it.parse().ok());
    let numbers = numbers.next().zip(numbers.next());
    numbers.with_context(|| format!("`{release}` is no release of Linux"))
}

/// The cost of a program, from the verifier's log and the object.
fn cost(
    program: &str,
    linked: &Linked,
    statistics: &Statistics,
    rounding: Rounding,
) -> Result<Cost> {
    let Statistics { followed, stack } = statistics;
    let Linked { functions, names } = linked;
    ensure!(
        stack.len() == functions.len(),
        "the verifier tells of {} functions, the object has {}",
        stack.len(),
        functions.len()
    );
    let (bytes, chain) = deepest(functions, stack, rounding);
    let every = names.iter().zip(functions).zip(stack);
    Ok(Cost {
        program: program.to_owned(),
        followed: *followed,
        deepest: Chain {
            stack: bytes,
            functions: chain.into_iter().map(|it| names[it].clone()).collect(),
        },
        functions: every
            .map(|((name, function), stack)| budget::Function {
                name: name.clone(),
                instructions: function.instructions.len() as u32,
                stack: *stack,
            })
            .collect(),
    })
}
