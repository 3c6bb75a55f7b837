//! Where things are: the workspace, its target folder, and what the build leaves there.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask is a folder of the workspace")
}

/// Cargo's target folder for the workspace, absolute.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => env::current_dir()
            .unwrap_or_else(|_| root().to_owned())
            .join(dir),
        None => root().join("target"),
    }
}

/// The eBPF crate: a workspace of its own, because it is built for another target.
pub fn ebpf_dir() -> PathBuf {
    root().join("ebpf")
}

/// The eBPF crate's target folder. Apart from the workspace's also under `CARGO_TARGET_DIR`: the
/// two are built by different compilers.
pub fn ebpf_target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(_) => target_dir().join("ebpf"),
        None => ebpf_dir().join("target"),
    }
}

/// The kernel object, as the agent's build embeds it.
pub fn object() -> PathBuf {
    target_dir().join("bpf").join("manoward.bpf.o")
}

/// What the build of the eBPF crate leaves: `manoward`, the datapath, and `bench`, which drives
/// measurements.
pub fn ebpf_built(name: &str) -> PathBuf {
    ebpf_built_in(&ebpf_target_dir(), name)
}

/// What the build of the eBPF crate leaves in another target folder.
pub fn ebpf_built_in(target: &Path, name: &str) -> PathBuf {
    target
        .join(crate::machine::BPF_TARGET)
        .join("release")
        .join(name)
}

/// The agent's binary of one cargo profile folder (`release` or `debug`).
pub fn agent(profile_dir: &str) -> PathBuf {
    target_dir().join(profile_dir).join("manoward")
}
