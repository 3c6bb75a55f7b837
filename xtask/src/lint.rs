//! `cargo xtask lint`: all checks that do not run the product.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ladder::{Ladder, Outcome};
use crate::machine::find_cargo_program;
use crate::setup::{self, Part};
use crate::toolchain::Toolchain;
use crate::{build, process, workspace};

/// Arguments of every clippy.
const STRICT: [&str; 3] = ["--", "-D", "warnings"];

/// Checks formatting, lints, licences, sources and advisories.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_: &Args) -> Result<()> {
    setup::provide(Part::Lint)?;
    let ebpf = workspace::ebpf_dir();
    let mut ladder = Ladder::default();
    ladder.step("lock file", || locked(workspace::root()));
    ladder.step("lock file ebpf", || locked(&ebpf));
    ladder.step("rustfmt", || {
        passes(&mut process::cargo(&["fmt", "--all", "--check"]))
    });
    ladder.step("rustfmt ebpf", || {
        passes(process::cargo(&["fmt", "--check"]).current_dir(&ebpf))
    });
    ladder.step("clippy", clippy);
    ladder.step("clippy ebpf", clippy_ebpf);
    ladder.step("deny", || passes(&mut deny(workspace::root())?));
    ladder.step("deny ebpf", || passes(&mut deny(&ebpf)?));
    ladder.step("deny advisories", advisories);
    ladder.conclude()
}

fn passes(command: &mut Command) -> Result<Outcome> {
    process::run(command).map(|()| Outcome::Passed)
}

/// An outdated lock file would be changed silently by every other step.
fn locked(folder: &Path) -> Result<Outcome> {
    let mut command = process::cargo(&["metadata", "--locked", "--format-version", "1"]);
    passes(command.current_dir(folder).stdout(Stdio::null()))
}

/// The agent embeds the kernel object, so that has to exist before the agent can be checked.
fn clippy() -> Result<Outcome> {
    build::object()?;
    let mut command = build::cargo(&["clippy", "--workspace", "--all-targets", "--keep-going"]);
    passes(command.args(STRICT))
}

/// A nightly usually has its own clippy and checks for BPF. Debian's compiler has none: there the
/// host's clippy checks the crate for the host, which sees all of it but its BPF assembly.
fn clippy_ebpf() -> Result<Outcome> {
    let (toolchain, machine) = setup::toolchain()?;
    if toolchain == Toolchain::Rustup {
        let probe = ["run", "nightly", "cargo", "clippy", "--version"];
        if process::ask(process::command("rustup").args(probe)).is_some() {
            let mut command = toolchain.cargo(&machine, "clippy")?;
            return passes(command.arg("--release").args(STRICT));
        }
    }
    let mut command = process::cargo(&["clippy", "--release", "--target", host()?.as_str()]);
    command
        .current_dir(workspace::ebpf_dir())
        .arg("--target-dir")
        .arg(workspace::ebpf_target_dir().join("host"))
        .args(STRICT)
        .env("RUSTC_BOOTSTRAP", "1")
        // Without `std` nothing unwinds; the host's target would by default.
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    passes(&mut command)
}

fn host() -> Result<String> {
    let text = process::ask(process::cargo(&["-vV"]).env("LC_ALL", "C"))
        .context("cargo does not tell its host")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("cargo does not tell its host")
}

/// Licences, sources and banned crates of one workspace.
fn deny(folder: &Path) -> Result<Command> {
    let mut command = cargo_deny()?;
    command
        .current_dir(folder)
        .arg("--config")
        .arg(workspace::root().join("deny.toml"))
        .args(["check", "--hide-inclusion-graph"])
        .args(["bans", "licenses", "sources"]);
    Ok(command)
}

fn cargo_deny() -> Result<Command> {
    find_cargo_program("cargo-deny")
        .map(process::command)
        .context("cargo-deny is missing")
}

/// The advisory database is fetched from GitHub, which a closed network does not reach. Such a step
/// counts as not run; only an advisory is a failure.
fn advisories() -> Result<Outcome> {
    let mut command = cargo_deny()?;
    let output = command
        .args(["check", "advisories"])
        .output()
        .context("starting cargo-deny")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(Outcome::Passed);
    }
    if text.contains("failed to fetch advisory database") {
        return Ok(Outcome::NotRun(
            "the advisory database cannot be fetched here".to_owned(),
        ));
    }
    eprint!("{text}");
    bail!("`cargo deny check advisories` ended with {}", output.status)
}
