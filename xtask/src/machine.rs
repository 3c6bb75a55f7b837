//! What this machine has for building the kernel object, as plain data, so that decisions about it
//! can be tested on any machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// Debian's compiler is always called by this path: `rustc` on `PATH` is usually rustup's.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The kernel's target, little-endian like every NFVI host.
pub const BPF_TARGET: &str = "bpfel-unknown-none";

/// What set-up decides on.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// May packages be installed?
    pub root: bool,
    /// Is this Debian or one of its derivatives?
    pub apt: bool,
    /// Is `rustup` there?
    pub rustup: bool,
    /// rustup's nightly compiler.
    pub nightly: Option<Compiler>,
    /// Debian's own compiler.
    pub debian: Option<Compiler>,
    /// The linker for BPF objects.
    pub linker: Option<Linker>,
}

/// A compiler, and whether it has `core` for BPF.
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    /// The LLVM major version inside: the linker must read its bitcode.
    pub llvm: u32,
    /// `core` for the BPF target: prebuilt (Debian), or as source (rustup's `rust-src`).
    pub core: bool,
    /// Does it know `allows-misaligned-mem-access`? Packet headers are not aligned.
    pub misaligned: bool,
}

/// `bpf-linker`.
#[derive(Clone, Debug, Default)]
pub struct Linker {
    /// The file itself: cargo's folder is often not on root's `PATH`.
    pub path: PathBuf,
    /// Its LLVM major version; unknown when LLVM is linked in statically, as in the releases.
    pub llvm: Option<u32>,
}

impl Machine {
    /// Looks at this machine.
    pub fn inspect() -> Self {
        Self {
            root: process::is_root(),
            apt: process::find("apt-get").is_some(),
            rustup: process::find("rustup").is_some(),
            nightly: nightly(),
            debian: debian(),
            linker: linker(),
        }
    }
}

/// The folders cargo installs into: of this user, and of the one who called `sudo`.
pub fn cargo_bin_dirs() -> Vec<PathBuf> {
    let home = |name: &str| env::var_os(name).map(PathBuf::from);
    let sudo_user = env::var("SUDO_USER").ok().and_then(|name| {
        nix::unistd::User::from_name(&name)
            .ok()
            .flatten()
            .map(|user| user.dir)
    });
    let homes = [home("HOME"), sudo_user]
        .into_iter()
        .flatten()
        .map(|dir| dir.join(".cargo"));
    home("CARGO_HOME")
        .into_iter()
        .chain(homes)
        .map(|dir| dir.join("bin"))
        .collect()
}

/// A program that cargo installed, or that is on `PATH`.
pub fn find_cargo_program(program: &str) -> Option<PathBuf> {
    process::find(program).or_else(|| process::find_in(program, cargo_bin_dirs().into_iter()))
}

fn nightly() -> Option<Compiler> {
    let rustc = || {
        let mut command = process::command("rustup");
        command.args(["run", "nightly", "rustc"]);
        command
    };
    let sysroot = process::ask(rustc().args(["--print", "sysroot"]))?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
    compiler(rustc, source.is_dir())
}

fn debian() -> Option<Compiler> {
    let rustc = || process::command(DEBIAN_RUSTC);
    let sysroot = process::ask(rustc().args(["--print", "sysroot"]))?;
    let prebuilt = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(BPF_TARGET);
    compiler(rustc, prebuilt.is_dir())
}

fn compiler(rustc: impl Fn() -> Command, core: bool) -> Option<Compiler> {
    let llvm = llvm_of_compiler(&process::ask(rustc().arg("-vV"))?)?;
    let features =
        process::ask(rustc().args(["--print", "target-features", "--target", BPF_TARGET]));
    let misaligned = features.is_some_and(|list| list.contains("allows-misaligned-mem-access"));
    Some(Compiler {
        llvm,
        core,
        misaligned,
    })
}

fn linker() -> Option<Linker> {
    let path = find_cargo_program("bpf-linker")?;
    process::ask(process::command(&path).arg("--version"))?;
    let libraries = process::ask(process::command("ldd").arg(&path)).unwrap_or_default();
    Some(Linker {
        path,
        llvm: llvm_of_libraries(&libraries),
    })
}

/// The LLVM major version in `rustc -vV`.
fn llvm_of_compiler(text: &str) -> Option<u32> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

/// The LLVM major version in what `ldd` lists.
fn llvm_of_libraries(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("libLLVM")?;
    let digits = rest.trim_start_matches(".so.").trim_start_matches('-');
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_of_a_compiler() {
        let text = "rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(llvm_of_compiler(text), Some(22));
        assert_eq!(llvm_of_compiler("release: 1.96.0"), None);
    }

    #[test]
    fn llvm_of_a_linker() {
        let new = "\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x7f)";
        let old = "\tlibLLVM-17.so.1 => /usr/lib/libLLVM-17.so.1 (0x7f)";
        assert_eq!(llvm_of_libraries(new), Some(22));
        assert_eq!(llvm_of_libraries(old), Some(17));
        assert_eq!(llvm_of_libraries("\tlibc.so.6 => /lib/libc.so.6"), None);
    }
}
