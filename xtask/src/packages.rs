//! Debian packages: the missing ones, found by their programs, are installed in one call.

use anyhow::{Context, Result, bail};

use crate::{process, progress};

/// A program, and the package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The program, as it is called.
    pub program: &'static str,
    /// Its Debian package.
    pub package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// Programs for real management traffic in network namespaces, for tests, demo and benchmark.
pub const SCENE: [Tool; 13] = [
    tool("ip", "iproute2"),
    tool("ethtool", "ethtool"),
    tool("setpriv", "util-linux"),
    tool("ps", "procps"),
    tool("ping", "iputils-ping"),
    tool("nc", "netcat-openbsd"),
    tool("socat", "socat"),
    tool("ssh", "openssh-client"),
    tool("sshd", "openssh-server"),
    tool("openssl", "openssl"),
    tool("nft", "nftables"),
    tool("tcpdump", "tcpdump"),
    tool("iperf3", "iperf3"),
];

/// Real daemons and tools that connect through the product in tests, beyond [`SCENE`].
pub const PROGRAMS: [Tool; 11] = [
    tool("nmap", "nmap"),
    tool("dig", "bind9-dnsutils"),
    tool("dnsmasq", "dnsmasq-base"),
    tool("dhcpcd", "dhcpcd-base"),
    tool("chronyd", "chrony"),
    tool("amqp-publish", "amqp-tools"),
    tool("rabbitmq-server", "rabbitmq-server"),
    tool("faketime", "faketime"),
    tool("etcd", "etcd-server"),
    tool("etcdctl", "etcd-client"),
    // Its programs are not on `PATH`.
    tool("/usr/lib/usrsctp/client", "libusrsctp-examples"),
];

/// Other filters that the benchmark compares with, beyond [`SCENE`].
pub const PEERS: [Tool; 1] = [tool("xdp-filter", "xdp-tools")];

/// What fuzzing needs.
pub const FUZZ: [Tool; 1] = [tool("c++", "g++")];

/// The emulator for other kernels, and programs to unpack kernels and build their file system.
pub const EMULATOR: [Tool; 9] = [
    tool("qemu-system-x86_64", "qemu-system-x86"),
    tool("busybox", "busybox-static"),
    tool("cpio", "cpio"),
    tool("depmod", "kmod"),
    tool("xz", "xz-utils"),
    tool("strip", "binutils"),
    tool("setpriv", "util-linux"),
    tool("ip", "iproute2"),
    tool("ethtool", "ethtool"),
];

/// Installs the packages whose program is missing.
pub fn provide(tools: &[Tool], why: &str) -> Result<()> {
    let missing = packages_of(tools, |program| process::find(program).is_some());
    if missing.is_empty() {
        Ok(())
    } else {
        install(&missing, why)
    }
}

/// Installs packages. The error without apt or root says how to install them.
pub fn install(packages: &[&str], why: &str) -> Result<()> {
    let list = packages.join(" ");
    if process::find("apt-get").is_none() {
        bail!("{why}: please install what Debian calls {list}; only apt is known here");
    }
    if !process::is_root() {
        bail!("{why}, and installing takes root. Run: sudo apt-get install -y {list}");
    }
    eprintln!("Installing {list} ({why}).");
    refresh();
    let mut command = apt("install");
    command
        .args(["-y", "--no-install-recommends"])
        .args(packages);
    progress::run(&format!("apt-get install {list}"), &mut command)
        .context("packages could not be installed; are the package servers reachable?")
}

/// Whether apt knows all of these.
pub fn available(packages: &[&str]) -> bool {
    let known = || {
        packages.iter().all(|package| {
            let mut policy = process::command("apt-cache");
            policy.env("LC_ALL", "C").args(["policy", package]);
            process::ask(&mut policy).is_some_and(|text| has_candidate(&text))
        })
    };
    known() || {
        refresh();
        known()
    }
}

/// Updates the package lists. A failure is only reported: old lists still install most packages.
fn refresh() {
    let mut command = apt("update");
    command.args(["-o", "APT::Update::Error-Mode=any"]);
    if progress::run("apt-get update", &mut command).is_err() {
        eprintln!("The package lists could not be refreshed; going on with those that are there.");
    }
}

fn apt(verb: &str) -> std::process::Command {
    let mut command = process::command("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // A new machine often upgrades itself at the same time.
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(["-q", verb]);
    command
}

fn has_candidate(policy: &str) -> bool {
    let candidate = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "));
    candidate.is_some_and(|version| version != "(none)")
}

fn packages_of(tools: &[Tool], found: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> = tools
        .iter()
        .filter(|tool| !found(tool.program))
        .map(|tool| tool.package)
        .collect();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_packages_are_installed() {
        let missing = packages_of(&SCENE, |program| !["sshd", "nft"].contains(&program));
        assert_eq!(missing, ["openssh-server", "nftables"]);
    }

    #[test]
    fn programs_given_by_path_are_found() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(process::find(here).is_some());
        assert!(process::find("/usr/lib/usrsctp/no-such-program").is_none());
    }

    #[test]
    fn packages_without_a_candidate_are_not_available() {
        assert!(has_candidate(
            "git:\n  Installed: (none)\n  Candidate: 1:2.39.5\n"
        ));
        assert!(!has_candidate(
            "git:\n  Installed: 1\n  Candidate: (none)\n"
        ));
        assert!(!has_candidate(""));
    }

    #[test]
    fn nothing_is_installed_twice() {
        let tools = [tool("a", "both"), tool("b", "both")];
        assert_eq!(packages_of(&tools, |_| false), ["both"]);
    }
}
