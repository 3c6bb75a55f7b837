//! `cargo xtask setup`: installs what the other commands need. Each of them calls its own part, so
//! running this first is never necessary.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::machine::{self, Machine};
use crate::packages;
use crate::toolchain::Toolchain;
use crate::{process, progress};

const DENY_VERSION: &str = "0.20.2";
const FUZZ_VERSION: &str = "0.13.2";
const MUTANTS_VERSION: &str = "27.1.0";

/// Installs what building and testing need, as far as it is missing.
#[derive(clap::Args)]
pub struct Args {
    /// What to set up for.
    #[arg(value_enum, default_values_t = [Part::Build, Part::Test])]
    parts: Vec<Part>,

    /// Do not ask before installing.
    #[arg(long, short)]
    yes: bool,
}

/// What a set-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The compiler and the linker for the kernel object.
    Build,
    /// Programs for management traffic in network namespaces, and real daemons and tools.
    Test,
    /// Programs for management traffic in network namespaces.
    Demo,
    /// Programs for the benchmark's traffic, and the packet filters that it compares with.
    Bench,
    /// rustup's nightly compiler, which has the sanitizer, cargo-fuzz, and a C++ compiler for
    /// libFuzzer.
    Fuzz,
    /// cargo-mutants.
    Mutants,
    /// The emulator that other kernels boot in.
    Kernels,
    /// rustfmt, clippy and cargo-deny.
    Lint,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    if !args.yes && io::stdin().is_terminal() {
        let parts: Vec<_> = args.parts.iter().map(|part| format!("{part:?}")).collect();
        ensure!(
            confirm(&format!(
                "Install what is missing for: {}?",
                parts.join(", ").to_lowercase()
            ))?,
            "nothing was installed"
        );
    }
    for &part in &args.parts {
        provide(part)?;
    }
    eprintln!("Everything needed is there.");
    Ok(())
}

/// Installs what one part lacks.
pub fn provide(part: Part) -> Result<()> {
    match part {
        Part::Build => toolchain().map(drop),
        Part::Test => packages::provide(
            &[&packages::SCENE[..], &packages::PROGRAMS].concat(),
            "tests use real management traffic",
        ),
        Part::Demo => packages::provide(&packages::SCENE, "the demo uses real management traffic"),
        Part::Bench => packages::provide(
            &[&packages::SCENE[..], &packages::PEERS].concat(),
            "the benchmark sends real traffic, and compares with other filters",
        ),
        Part::Fuzz => fuzz(),
        Part::Mutants => program(
            "cargo-mutants",
            MUTANTS_VERSION,
            "changes code to see whether tests notice",
        ),
        Part::Kernels => packages::provide(&packages::EMULATOR, "other kernels boot in it"),
        Part::Lint => lint(),
    }
}

/// The toolchain for the kernel object, installed if there is none.
pub fn toolchain() -> Result<(Toolchain, Machine)> {
    let machine = Machine::inspect();
    if let Some(toolchain) = Toolchain::detect(&machine) {
        return Ok((toolchain, machine));
    }
    eprintln!("The kernel object needs a compiler with `core` for BPF, and bpf-linker. Missing:");
    for toolchain in [Toolchain::Rustup, Toolchain::Debian] {
        eprintln!(
            "  {toolchain:?}: {}",
            toolchain.missing(&machine).join(", ")
        );
    }
    let candidates = Toolchain::candidates(&machine);
    if candidates.is_empty() {
        bail!(no_toolchain(&machine));
    }
    let mut failures = Vec::new();
    for toolchain in candidates {
        eprintln!(
            "Installing the {toolchain:?} toolchain: {}.",
            toolchain.missing(&machine).join(", ")
        );
        match install(toolchain, &machine) {
            Ok(machine) => return Ok((toolchain, machine)),
            Err(error) => failures.push(format!("{toolchain:?}: {error:#}")),
        }
    }
    bail!(
        "the BPF toolchain could not be installed: {}",
        failures.join("; ")
    )
}

fn install(toolchain: Toolchain, machine: &Machine) -> Result<Machine> {
    toolchain.install(machine)?;
    let machine = Machine::inspect();
    let missing = toolchain.missing(&machine);
    ensure!(
        missing.is_empty(),
        "still missing after installation: {}",
        missing.join(", ")
    );
    Ok(machine)
}

fn no_toolchain(machine: &Machine) -> &'static str {
    if machine.apt && !machine.root {
        "no rustup, and installing Debian's packages takes root. \
         Run: sudo -E env PATH=$PATH cargo xtask setup"
    } else {
        "neither rustup nor Debian's rustc-web is available here. \
         Install rustup from https://rustup.rs, then run: cargo xtask setup"
    }
}

fn lint() -> Result<()> {
    for component in ["clippy", "rustfmt"] {
        let probe = if component == "rustfmt" {
            "fmt"
        } else {
            component
        };
        if process::ask(process::cargo(&[probe]).arg("--version")).is_none() {
            let mut command = process::command("rustup");
            command.args(["component", "add", component]);
            progress::run(&format!("rustup component add {component}"), &mut command)?;
        }
    }
    program(
        "cargo-deny",
        DENY_VERSION,
        "licences, sources and advisories",
    )
}

fn fuzz() -> Result<()> {
    packages::provide(&packages::FUZZ, "libFuzzer is compiled with it")?;
    let probe = ["run", "nightly", "rustc", "--version"];
    if process::ask(process::command("rustup").args(probe)).is_none() {
        let args = ["toolchain", "install", "nightly", "--profile", "minimal"];
        let mut command = process::command("rustup");
        progress::run("rustup: nightly toolchain", command.args(args))
            .context("the sanitizer needs rustup's nightly compiler")?;
    }
    program(
        "cargo-fuzz",
        FUZZ_VERSION,
        "builds and runs fuzzing targets",
    )
}

/// Installs a program with cargo, if it is missing. It is built without link-time optimisation,
/// which takes longer than every run of it.
fn program(name: &str, version: &str, what_for: &str) -> Result<()> {
    if machine::find_cargo_program(name).is_some() {
        return Ok(());
    }
    eprintln!("Installing {name} {version} ({what_for}).");
    let mut command = process::cargo(&["install", name, "--locked"]);
    command
        .args(["--version", version])
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    progress::run(&format!("cargo install {name} {version}"), &mut command)
        .context("is crates.io reachable?")
}

fn confirm(question: &str) -> Result<bool> {
    eprint!("{question} [Y/n] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("reading the answer")?;
    Ok(matches!(
        answer.trim().to_lowercase().as_str(),
        "" | "y" | "yes"
    ))
}
