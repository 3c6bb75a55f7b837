//! The first process of a machine that `cargo xtask kernels` boots: finds out, one capability after
//! the other, what manoward can do in this kernel, and ends the machine.

mod attach;
mod machine;
mod programs;
mod report;
mod scene;
mod suites;

use anyhow::Result;

use report::Report;

/// On the kernel's command line: only what takes seconds.
const QUICK: &str = "manoward.quick";
/// On the kernel's command line, with a word behind it: only capabilities with it in their names.
const ROW: &str = "manoward.row=";

fn main() {
    if let Err(error) = look() {
        eprintln!("manoward-guest: {error:#}");
    }
    machine::end();
}

fn look() -> Result<()> {
    machine::prepare()?;
    let quick = machine::told(QUICK).is_some();
    let mut report = Report::open(machine::told(ROW).unwrap_or_default())?;
    programs::look(&mut report)?;
    attach::look(&mut report, quick)?;
    suites::look(&mut report, quick)?;
    report.conclude()
}
