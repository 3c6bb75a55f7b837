//! Checks of the kernel and of privileges, before anything is loaded.

use std::{fs, path::Path};

use aya::{
    programs::{ProgramError, ProgramType, SchedClassifier, TcAttachType},
    sys::{BpfHelper, is_helper_supported},
};
use thiserror::Error;

use super::{
    btf::{self, SocketFields},
    clock,
};

/// Oldest kernel that has everything that the programs require, major and minor.
const OLDEST: (u32, u32) = (5, 10);

/// Capabilities that loading and attaching need, with their bits (linux/capability.h).
const CAPABILITIES: [(&str, u32); 3] =
    [("CAP_NET_ADMIN", 12), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

/// Why nothing can be loaded into this kernel.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The process may not load programs.
    #[error(
        "no privilege to load programs into the kernel (missing: {missing}). Run as root, or give the service these capabilities"
    )]
    NoPrivilege {
        /// Names of the missing capabilities.
        missing: String,
    },
    /// The kernel is too old.
    #[error("Linux {found} is too old: manoward needs {}.{} or newer", OLDEST.0, OLDEST.1)]
    TooOld {
        /// The release as the kernel states it.
        found: String,
    },
    /// The kernel has no type information (BTF).
    #[error(
        "this kernel has no BTF (/sys/kernel/btf/vmlinux does not exist). Use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' kernels are"
    )]
    NoBtf,
    /// A probe for a feature gave no answer.
    #[error("cannot find out whether the kernel has {feature}: {source}")]
    Probe {
        /// What was asked for.
        feature: &'static str,
        /// Why there is no answer.
        source: ProgramError,
    },
    /// A file in /proc could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Features of the running kernel. They are probed rather than derived from the version, as
/// distributions backport and remove features.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "a kernel has any combination of them"
)]
pub struct Features {
    /// Jiffies per second, if known: jiffies are the cheapest clock to read.
    pub jiffies_per_second: Option<u32>,
    /// `bpf_ktime_get_coarse_ns`, the next cheapest clock (Linux 5.11).
    pub coarse_clock: bool,
    /// XDP on frames of several buffers (Linux 5.18).
    pub multi_buffer: bool,
    /// TCX: classifiers with links of their own (Linux 6.6).
    pub tcx: bool,
    /// How programs at a control group find the network namespace of a socket, if the kernel tells.
    pub sockets: Option<SocketFields>,
}

/// Checks that the kernel and this process can run the datapath.
pub fn check_kernel() -> Result<Features, KernelError> {
    let missing = missing_capabilities(&read("/proc/self/status")?);
    if !missing.is_empty() {
        return Err(KernelError::NoPrivilege {
            missing: missing.join(", "),
        });
    }
    let release = read("/proc/sys/kernel/osrelease")?;
    let version = version(&release);
    if version < OLDEST {
        return Err(KernelError::TooOld {
            found: release.trim().to_owned(),
        });
    }
    if !Path::new(btf::PATH).exists() {
        return Err(KernelError::NoBtf);
    }
    Ok(Features {
        jiffies_per_second: clock::jiffies_per_second(),
        coarse_clock: has(BpfHelper::BPF_FUNC_ktime_get_coarse_ns, "a coarse clock")?,
        // This helper came with frames of several buffers.
        multi_buffer: has(BpfHelper::BPF_FUNC_xdp_get_buff_len, "buffer lengths")?,
        // A kernel without TCX does not know the query.
        tcx: SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok(),
        sockets: SocketFields::of_kernel().map_err(|source| KernelError::Read {
            path: btf::PATH,
            source,
        })?,
    })
}

/// Whether XDP programs may call `helper`.
fn has(helper: BpfHelper, feature: &'static str) -> Result<bool, KernelError> {
    is_helper_supported(ProgramType::Xdp, helper)
        .map_err(|source| KernelError::Probe { feature, source })
}

fn read(path: &'static str) -> Result<String, KernelError> {
    fs::read_to_string(path).map_err(|source| KernelError::Read { path, source })
}

/// Names of [`CAPABILITIES`] that `status`, the text of `/proc/self/status`, shows as not effective.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    CAPABILITIES
        .into_iter()
        .filter(|(_, bit)| effective >> bit & 1 == 0)
        .map(|(name, _)| name)
        .collect()
}

/// Major and minor number of a kernel release.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kernel_versions() {
        assert_eq!(version("6.18.44-fc-v782\n"), (6, 18));
        assert_eq!(version("5.10.0-35-amd64"), (5, 10));
        assert!(version("5.9.1") < OLDEST && version("6.1") > OLDEST);
    }

    #[test]
    fn names_missing_capabilities() {
        assert!(missing_capabilities("CapEff:\t000001ffffffffff\n").is_empty());
        assert_eq!(missing_capabilities("CapEff:\t0000000000000000\n").len(), 3);
        assert_eq!(
            missing_capabilities("CapEff:\t0000008000001000\n"),
            ["CAP_PERFMON"]
        );
    }
}
