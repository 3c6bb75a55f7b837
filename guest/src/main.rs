//! The first process of a machine that `cargo xtask kernels` boots: tests one capability of
//! manoward after the other in this kernel, and ends the machine.
//!
//! Started as any other process, it only loads the programs, restricted to capabilities whose names
//! contain its argument.

mod attach;
mod calls;
mod linked;
mod machine;
mod programs;
mod report;
mod scene;
mod suites;
mod verifier_log;

use anyhow::Result;

use report::Report;

/// On the kernel's command line: only tests that take seconds.
const QUICK: &str = "manoward.quick";
/// On the kernel's command line: only what the programs cost the verifier.
const BUDGET: &str = "manoward.budget";
/// On the kernel's command line, with a word behind it: only capabilities with it in their names.
const ROW: &str = "manoward.row=";

fn main() {
    let first = std::process::id() == 1;
    let looked = if first { look() } else { programs() };
    if let Err(error) = looked {
        eprintln!("manoward-guest: {error:#}");
    }
    if first {
        machine::end();
    }
}

/// Loads the programs in the kernel of a running machine.
fn programs() -> Result<()> {
    let mut report = Report::here(std::env::args().nth(1).unwrap_or_default());
    programs::look(&mut report)?;
    report.conclude()
}

fn look() -> Result<()> {
    machine::prepare()?;
    let quick = machine::argument(QUICK).is_some();
    let mut report = Report::open(machine::argument(ROW).unwrap_or_default())?;
    programs::look(&mut report)?;
    if machine::argument(BUDGET).is_some() {
        return report.conclude();
    }
    attach::look(&mut report, quick)?;
    suites::look(&mut report, quick)?;
    report.conclude()
}
