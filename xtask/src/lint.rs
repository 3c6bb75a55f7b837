//! `cargo xtask lint`: everything that is judged without running the product.

use anyhow::{Context, Result, bail};

use crate::ladder::{Ladder, Outcome};
use crate::machine::find_cargo_program;
use crate::setup::{self, Part};
use crate::toolchain::Toolchain;
use crate::{build, process, workspace};

/// Checks formatting, lints, licences, sources and advisories.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_: &Args) -> Result<()> {
    setup::provide(Part::Lint)?;
    let mut ladder = Ladder::default();
    ladder.step("rustfmt", || {
        passes(&mut process::cargo(&["fmt", "--all", "--check"]))
    });
    ladder.step("rustfmt ebpf", || {
        let mut command = process::cargo(&["fmt", "--check"]);
        passes(command.current_dir(workspace::ebpf_dir()))
    });
    ladder.step("clippy", clippy);
    ladder.step("clippy ebpf", clippy_ebpf);
    ladder.step("deny", || {
        passes(deny()?.args(["bans", "licenses", "sources"]))
    });
    ladder.step("deny advisories", advisories);
    ladder.conclude()
}

fn passes(command: &mut std::process::Command) -> Result<Outcome> {
    process::run(command).map(|()| Outcome::Passed)
}

/// The agent embeds the kernel object, so that has to exist before the agent can be checked.
fn clippy() -> Result<Outcome> {
    build::object()?;
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    passes(&mut build::cargo(&args))
}

/// rustup's nightly has its own clippy and checks for BPF. Debian's compiler has none: there the
/// host's clippy checks the crate for the host, which sees all of it but its BPF assembly.
fn clippy_ebpf() -> Result<Outcome> {
    let (toolchain, machine) = setup::toolchain()?;
    let strict = ["--release", "--", "-D", "warnings"];
    if toolchain == Toolchain::Rustup {
        return passes(toolchain.cargo(&machine, "clippy")?.args(strict));
    }
    let mut command = process::cargo(&["clippy", "--target", host()?.as_str()]);
    command
        .current_dir(workspace::ebpf_dir())
        .arg("--target-dir")
        .arg(workspace::ebpf_target_dir().join("host"))
        .args(strict)
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

fn deny() -> Result<std::process::Command> {
    let program = find_cargo_program("cargo-deny").context("cargo-deny has gone")?;
    let mut command = process::command(program);
    command.args(["--workspace", "check", "--hide-inclusion-graph"]);
    Ok(command)
}

/// The advisory database is fetched from GitHub, which a closed network does not reach. That is
/// told apart from an advisory: only the latter fails.
fn advisories() -> Result<Outcome> {
    let mut command = deny()?;
    let output = command
        .arg("advisories")
        .output()
        .context("starting cargo-deny")?;
    let text = String::from_utf8_lossy(&output.stderr);
    eprint!("{text}");
    if output.status.success() {
        return Ok(Outcome::Passed);
    }
    if text.contains("failed to fetch advisory database") {
        return Ok(Outcome::NotRun(
            "the advisory database cannot be fetched here".to_owned(),
        ));
    }
    bail!("`cargo deny check advisories` ended with {}", output.status)
}
