//! The two toolchains for BPF objects: how to detect each, install it, and build with it.
//!
//! Distributions ship compilers without `core`'s source and rustup's downloads are not reachable
//! everywhere, so neither serves every machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::machine::{BPF_TARGET, Compiler, DEBIAN_RUSTC, Machine};
use crate::{packages, process, progress, workspace};

const LINKER_VERSION: &str = "0.13.0";

/// Releases of the linker's project, with LLVM linked in.
const LINKER_RELEASES: &str = "https://github.com/aya-rs/bpf-linker/releases/download";

/// A toolchain that compiles for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// rustup's nightly builds `core` itself, from the component `rust-src`.
    Rustup,
    /// Debian's compiler, with `core` prebuilt for BPF in a package of its own.
    Debian,
}

impl Toolchain {
    /// The first toolchain that is complete on this machine.
    pub fn detect(machine: &Machine) -> Option<Self> {
        [Self::Rustup, Self::Debian]
            .into_iter()
            .find(|toolchain| toolchain.missing(machine).is_empty())
    }

    /// The toolchains that set-up may try to install, the likeliest to succeed first.
    pub fn candidates(machine: &Machine) -> Vec<Self> {
        let mut toolchains = Vec::new();
        if machine.apt && machine.root && packages::available(&DEBIAN_COMPILER) {
            toolchains.push(Self::Debian);
        }
        if machine.rustup {
            toolchains.push(Self::Rustup);
        }
        toolchains
    }

    /// What the machine lacks for this toolchain.
    pub fn missing(self, machine: &Machine) -> Vec<String> {
        let mut missing = Vec::new();
        let Some(compiler) = self.compiler(machine) else {
            missing.push(self.compiler_name().to_owned());
            missing.push("bpf-linker for its LLVM".to_owned());
            return missing;
        };
        if !compiler.core {
            missing.push(self.core_name().to_owned());
        }
        if !links(machine, compiler) {
            missing.push(format!("bpf-linker for LLVM {}", compiler.llvm));
        }
        missing
    }

    /// Installs what is missing.
    pub fn install(self, machine: &Machine) -> Result<()> {
        match self {
            Self::Rustup => install_rustup(machine),
            Self::Debian => install_debian(machine),
        }
    }

    /// The cargo that compiles the eBPF crate; the caller adds the subcommand's arguments.
    pub fn cargo(self, machine: &Machine, subcommand: &str) -> Result<Command> {
        let folder = workspace::ebpf_dir();
        self.cargo_in(machine, subcommand, &folder, &workspace::ebpf_target_dir())
    }

    /// The cargo that compiles an eBPF crate in another folder, with its own target folder.
    pub fn cargo_in(
        self,
        machine: &Machine,
        subcommand: &str,
        folder: &Path,
        target: &Path,
    ) -> Result<Command> {
        let compiler = self
            .compiler(machine)
            .context("the BPF compiler is missing")?;
        let linker = machine.linker.as_ref().context("bpf-linker is missing")?;
        let mut command = match self {
            Self::Rustup => process::command("rustup"),
            Self::Debian => process::cargo(&[]),
        };
        match self {
            Self::Rustup => {
                command.args(["run", "nightly", "cargo", subcommand, "-Zbuild-std=core"]);
            }
            Self::Debian => {
                command
                    .arg(subcommand)
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1");
                // Cargo's run added its own compiler's libraries here.
                command.env_remove("LD_LIBRARY_PATH");
            }
        }
        command
            .current_dir(folder)
            .args(["--target", BPF_TARGET, "--target-dir"])
            .arg(target)
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &linker.path)
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags(compiler).join("\x1f"));
        Ok(command)
    }

    fn compiler(self, machine: &Machine) -> Option<&Compiler> {
        match self {
            Self::Rustup => machine.nightly.as_ref(),
            Self::Debian => machine.debian.as_ref(),
        }
    }

    fn compiler_name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup's nightly toolchain with rust-src",
            Self::Debian => "Debian's rustc-web with libstd-rust-web-dev-bpf",
        }
    }

    fn core_name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup's component rust-src for nightly",
            Self::Debian => "Debian's libstd-rust-web-dev-bpf",
        }
    }
}

/// `--btf` needs debug information: the verifier's messages and CO-RE come from it. Version 2 of
/// the instructions has all comparisons; version 3 works on 32 bits, too, whose bounds the
/// verifiers of 6.1 and before lose.
fn rustflags(compiler: &Compiler) -> Vec<&'static str> {
    let mut flags = vec!["-Cdebuginfo=2", "-Clink-arg=--btf", "-Ctarget-cpu=v2"];
    if compiler.misaligned {
        flags.push("-Ctarget-feature=+allows-misaligned-mem-access");
    }
    flags
}

/// Whether the linker can read the compiler's bitcode: it has the same LLVM version, or is a
/// release, whose LLVM is linked in and has no known version.
fn links(machine: &Machine, compiler: &Compiler) -> bool {
    machine
        .linker
        .as_ref()
        .is_some_and(|linker| linker.llvm.is_none_or(|llvm| llvm == compiler.llvm))
}

const DEBIAN_COMPILER: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];

fn install_debian(machine: &Machine) -> Result<()> {
    if !machine
        .debian
        .as_ref()
        .is_some_and(|compiler| compiler.core)
    {
        packages::install(&DEBIAN_COMPILER, "the compiler for the kernel object")?;
    }
    // Which LLVM the linker needs is known only now.
    let machine = Machine::inspect();
    let compiler = machine
        .debian
        .as_ref()
        .context("/usr/bin/rustc does not run")?;
    if links(&machine, compiler) {
        return Ok(());
    }
    let llvm = format!("llvm-{}-dev", compiler.llvm);
    let needs = [
        &llvm,
        "libstdc++-12-dev",
        "zlib1g-dev",
        "libzstd-dev",
        "libxml2-dev",
    ];
    packages::install(&needs, "bpf-linker is compiled against LLVM")?;
    compile_linker(compiler.llvm)
}

fn install_rustup(machine: &Machine) -> Result<()> {
    if machine.nightly.is_none() {
        let args = ["toolchain", "install", "nightly", "--profile", "minimal"];
        progress::run(
            "rustup: nightly toolchain",
            process::command("rustup").args(args),
        )?;
    }
    if !machine
        .nightly
        .as_ref()
        .is_some_and(|compiler| compiler.core)
    {
        let args = ["component", "add", "rust-src", "--toolchain", "nightly"];
        progress::run(
            "rustup: component rust-src",
            process::command("rustup").args(args),
        )?;
    }
    let machine = Machine::inspect();
    let compiler = machine
        .nightly
        .as_ref()
        .context("rustup's nightly does not run")?;
    if links(&machine, compiler) {
        return Ok(());
    }
    if PathBuf::from(format!("/usr/lib/llvm-{}/include", compiler.llvm)).is_dir() {
        return compile_linker(compiler.llvm);
    }
    download_linker()
}

fn compile_linker(llvm: u32) -> Result<()> {
    let feature = format!("llvm-{llvm}");
    let mut command = process::cargo(&["install", "bpf-linker", "--locked", "--force"]);
    command
        .args([
            "--version",
            LINKER_VERSION,
            "--no-default-features",
            "--features",
            &feature,
        ])
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    progress::run(
        &format!("cargo install bpf-linker {LINKER_VERSION} (LLVM {llvm})"),
        &mut command,
    )
}

fn download_linker() -> Result<()> {
    let Some(folder) = crate::machine::cargo_bin_dirs()
        .into_iter()
        .find(|dir| dir.is_dir())
    else {
        bail!("cargo's bin folder was not found (neither $CARGO_HOME/bin nor ~/.cargo/bin)")
    };
    let file = format!(
        "bpf-linker-{}-unknown-linux-musl.tar.zst",
        std::env::consts::ARCH
    );
    let url = format!("{LINKER_RELEASES}/v{LINKER_VERSION}/{file}");
    let mut command = process::command("sh");
    command
        .args([
            "-c",
            r#"curl -fsSL "$1" | tar --zstd -x -C "$2" bpf-linker"#,
            "sh",
            &url,
        ])
        .arg(folder);
    progress::run(
        &format!("bpf-linker {LINKER_VERSION} from {LINKER_RELEASES}"),
        &mut command,
    )
}

#[cfg(test)]
mod tests;
