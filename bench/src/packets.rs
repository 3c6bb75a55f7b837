//! What a packet costs: `BPF_PROG_TEST_RUN` of one program after the other.

mod case;
mod driver;
mod family;
mod ours;
mod paired;
mod policy;
mod rounds;
mod scale;
mod subject;
mod table;
mod tables;
mod walk;
mod xdp_filter;

use std::path::Path;

use anyhow::{Result, ensure};
use nix::unistd::Pid;

pub use case::{Kind, Sources};
pub use driver::{Floor, open};
pub use family::Family;
pub use ours::NAME;
pub use paired::{Objects, Options, PairedReport, Selection, USUAL, Verdict, compare};
pub use rounds::Case;
pub use scale::MOST;
pub use table::Costs;
pub use walk::{Field, Walk};
pub use xdp_filter::Variant;

use crate::machine::{last_core, pin, private_bpf_file_system};
use driver::{Driver, Kind as DriverKind};
use ours::Ours;
use policy::Known;
use subject::Subject;
use xdp_filter::XdpFilter;

/// Measures every case `rounds` times, for each of `counts` addresses per IP version. `peers` adds
/// xdp-filter.
pub fn measure(driver: &Path, counts: &[u32], rounds: u32, peers: bool) -> Result<Costs> {
    private_bpf_file_system()?;
    pin(Pid::from_raw(0), last_core()?)?;
    let mut kinds = vec![DriverKind::Frags, DriverKind::Out];
    if peers {
        kinds.push(DriverKind::Single);
    }
    let drivers = kinds.into_iter().map(|kind| Driver::load(driver, kind));
    let mut drivers = drivers.collect::<Result<Vec<_>>>()?;
    let subjects = subjects(counts, peers)?;
    let measured = rounds::measure(&mut drivers, &subjects, rounds)?;
    Ok(Costs::new(rounds, measured))
}

/// Everything that is measured, filled with its addresses.
fn subjects(counts: &[u32], peers: bool) -> Result<Vec<Box<dyn Subject>>> {
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    for &count in counts {
        eprintln!("Filling tables with {count} addresses per IP version ...");
        for known in Known::ALL {
            if known.is_measured(count) {
                subjects.push(Box::new(Ours::load(known, count)?));
            }
        }
        if peers {
            for variant in Variant::ALL {
                subjects.push(Box::new(XdpFilter::load(variant, count)?));
            }
        }
    }
    ensure!(!subjects.is_empty(), "nothing to measure");
    Ok(subjects)
}
