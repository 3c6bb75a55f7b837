//! Detection on given facts: what is usable, and what is named as missing.

use super::*;
use crate::machine::Linker;

fn compiler(llvm: u32, core: bool) -> Compiler {
    Compiler {
        llvm,
        core,
        misaligned: true,
    }
}

fn linker(llvm: Option<u32>) -> Linker {
    Linker {
        path: "/opt/bpf-linker".into(),
        llvm,
    }
}

#[test]
fn a_bare_machine_has_no_toolchain() {
    let machine = Machine::default();
    assert_eq!(Toolchain::detect(&machine), None);
    assert_eq!(Toolchain::candidates(&machine), []);
    assert!(!Toolchain::Debian.missing(&machine).is_empty());
}

#[test]
fn nightly_without_source_is_not_usable() {
    let machine = Machine {
        nightly: compiler(22, false).into(),
        linker: linker(Some(22)).into(),
        ..Machine::default()
    };
    assert_eq!(Toolchain::detect(&machine), None);
    assert_eq!(
        Toolchain::Rustup.missing(&machine),
        ["rustup's component rust-src for nightly"]
    );
}

#[test]
fn rustup_goes_before_debian() {
    let machine = Machine {
        nightly: compiler(22, true).into(),
        debian: compiler(22, true).into(),
        linker: linker(Some(22)).into(),
        ..Machine::default()
    };
    assert_eq!(Toolchain::detect(&machine), Some(Toolchain::Rustup));
}

#[test]
fn debian_serves_where_rustup_lacks_source() {
    let machine = Machine {
        nightly: compiler(22, false).into(),
        debian: compiler(22, true).into(),
        linker: linker(Some(22)).into(),
        ..Machine::default()
    };
    assert_eq!(Toolchain::detect(&machine), Some(Toolchain::Debian));
}

#[test]
fn linker_of_another_llvm_is_not_usable() {
    let machine = Machine {
        debian: compiler(22, true).into(),
        linker: linker(Some(21)).into(),
        ..Machine::default()
    };
    assert_eq!(
        Toolchain::Debian.missing(&machine),
        ["bpf-linker for LLVM 22"]
    );
}

#[test]
fn linker_with_llvm_inside_is_usable() {
    let machine = Machine {
        nightly: compiler(23, true).into(),
        linker: linker(None).into(),
        ..Machine::default()
    };
    assert_eq!(Toolchain::detect(&machine), Some(Toolchain::Rustup));
}

#[test]
fn misaligned_access_is_asked_for_only_where_known() {
    let old = Compiler {
        llvm: 21,
        core: true,
        misaligned: false,
    };
    assert_eq!(rustflags(&old).len(), 3);
    let new = Compiler {
        misaligned: true,
        ..old
    };
    assert_eq!(
        rustflags(&new)[3],
        "-Ctarget-feature=+allows-misaligned-mem-access"
    );
}
