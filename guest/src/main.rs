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

fn main() {
    if let Err(error) = look() {
        eprintln!("manoward-guest: {error:#}");
    }
    machine::end();
}

fn look() -> Result<()> {
    machine::prepare()?;
    let quick = machine::told(QUICK);
    let mut report = Report::open()?;
    programs::look(&mut report)?;
    attach::look(&mut report, quick)?;
    suites::look(&mut report, quick)?;
    report.conclude()
}
