//! The emulated machine: boots a kernel, and listens to what its first process reports.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use manoward_guest_report::{Line, Row};

use crate::process;

/// Cables between two interfaces of the machine's: the number, the device at both ends.
const CABLES: [(u8, &str); 3] = [
    (1, "virtio-net-pci,romfile=,speed=1000,duplex=full"),
    (2, "virtio-net-pci,romfile=,speed=1000,duplex=full"),
    (3, "e1000e,romfile="),
];

/// One processor: with two, Linux 5.10 crashed once when one replaced an XDP program while the
/// other ran it, at the breakpoint that patches the jump to the program
/// (`bpf_dispatcher_xdp_func`).
const PROCESSORS: &str = "1";

/// Every feature that can be emulated but `erms`, whose string instructions are emulated byte by
/// byte.
const CPU: &str = "max,-erms";

/// Environment of the first process: the kernel passes on parameters that it does not know.
const ENVIRONMENT: &str =
    "PATH=/bin MANOWARD_BIN=/bin/manoward MANOWARD_START_SECONDS=180 RUST_LIB_BACKTRACE=0";

/// Time between two reads of the report.
const POLL: Duration = Duration::from_millis(200);

/// The end of a run, and what was reported.
#[derive(Debug)]
pub struct Ending {
    /// The findings.
    pub rows: Vec<Row>,
    /// Why the report is incomplete, if it is.
    pub cut: Option<String>,
}

/// What is booted.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The kernel.
    pub image: &'a Path,
    /// Its first file system.
    pub initramfs: &'a Path,
    /// Where the console and the report are kept.
    pub folder: &'a Path,
    /// Options of the first process, for the kernel's command line.
    pub words: &'a str,
}

/// Boots and waits for the end, at most `patience`. Every new row is shown to `each`.
pub fn run(boot: &Boot<'_>, patience: Duration, mut each: impl FnMut(&Row)) -> Result<Ending> {
    let reported = boot.folder.join("report.jsonl");
    fs::write(&reported, "").context("clearing the report")?;
    let mut machine = Machine(start(boot, &reported)?);
    let deadline = Instant::now() + patience;
    let mut rows = Vec::new();
    let cut = loop {
        let ended = machine.0.try_wait().context("waiting for the machine")?;
        let text = fs::read_to_string(&reported).unwrap_or_default();
        let mut done = false;
        for line in Line::read(&text).skip(rows.len()) {
            match line {
                Line::Row(row) => {
                    each(&row);
                    rows.push(row);
                }
                Line::Done => done = true,
            }
        }
        if done {
            break None;
        }
        if let Some(status) = ended {
            break Some(format!("the machine ended early ({status})"));
        }
        if Instant::now() > deadline {
            break Some(format!(
                "the machine hung; given up after {} s",
                patience.as_secs()
            ));
        }
        thread::sleep(POLL);
    };
    Ok(Ending { rows, cut })
}

/// The emulator, which is killed when this is dropped.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(boot: &Boot<'_>, reported: &Path) -> Result<Child> {
    let line = format!(
        "console=ttyS0 loglevel=4 panic=-1 mitigations=off init_on_alloc=0 {} {ENVIRONMENT}",
        boot.words
    );
    let console = boot.folder.join("console.log");
    let mut qemu = process::command("qemu-system-x86_64");
    qemu.args(["-accel", "tcg", "-cpu", CPU, "-smp", PROCESSORS, "-m", "2G"])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .arg("-kernel")
        .arg(boot.image)
        .arg("-initrd")
        .arg(boot.initramfs)
        .args(["-append", &line])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-serial")
        .arg(format!("file:{}", reported.display()));
    cables(&mut qemu);
    let errors = File::create(reported.with_extension("stderr"))?;
    qemu.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors);
    qemu.spawn().context("starting qemu-system-x86_64")
}

/// Joins two interfaces by a hub, for each cable.
fn cables(qemu: &mut Command) {
    for (number, device) in CABLES {
        for end in [1, 2] {
            let id = format!("n{number}e{end}");
            qemu.args(["-netdev", &format!("hubport,id={id},hubid={number}")]);
            let mac = format!("52:54:00:00:{end:02x}:{number:02x}");
            qemu.args(["-device", &format!("{device},netdev={id},mac={mac}")]);
        }
    }
}
