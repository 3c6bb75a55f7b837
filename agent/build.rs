//! Finds the kernel object that the agent carries.
//!
//! `cargo xtask` builds it and passes its path; a plain `cargo` uses the last one built.

use std::{env, path::PathBuf};

const VARIABLE: &str = "MANOWARD_BPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let object = env::var_os(VARIABLE).map_or_else(last_built, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    if !object.is_file() {
        println!(
            "cargo::error=the kernel object {} does not exist: build it with `cargo xtask build`",
            object.display()
        );
        return;
    }
    println!("cargo::rustc-env={VARIABLE}={}", object.display());
}

fn last_built() -> PathBuf {
    let workspace = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("..");
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join("bpf").join("manoward.bpf.o")
}
