//! A machine made of a network namespace.

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::machine::process::{Output, Process};
use crate::machine::sandbox::Sandbox;

/// Longest time that a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

/// How often processes in a dropped namespace are looked for and killed.
const REAP_ROUNDS: u32 = 100;

/// A network namespace with `/sys`, `/sys/fs/bpf` and `/run` of its own. Dropping it kills what
/// runs inside.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    sandbox: Sandbox,
}

impl Namespace {
    /// Makes one, with its loopback up and without delays for address detection.
    pub fn new(label: &str) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mw-{label}-{}-{number}", std::process::id());
        let sandbox = Sandbox::new().with_context(|| format!("making the namespace {name}"))?;
        let namespace = Self { name, sandbox };
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/default/accept_ra", "0")?;
        namespace.run(&["ip", "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its unique name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path by which other processes reach it, as in `nsenter --net=<path>` or
    /// `ip link set <interface> netns <path>`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.sandbox.net.as_raw_fd()
        ))
    }

    /// Runs a function inside, on a thread of its own. Sockets that it makes stay inside.
    pub fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> Result<T> {
        self.sandbox
            .enter(run)
            .with_context(|| format!("entering {}", self.name))
    }

    /// Starts a command inside; it is killed when the process is dropped.
    pub fn spawn(&self, command: &Command) -> Result<Process> {
        Process::start(&self.sandbox, command, None)
    }

    /// Starts a command inside with an input, which ends where the text ends.
    pub fn spawn_fed(&self, command: &Command, input: &str) -> Result<Process> {
        Process::start(&self.sandbox, command, Some(input))
    }

    /// Runs a command inside to its end, however it ends.
    pub fn output(&self, command: &Command) -> Result<Output> {
        self.spawn(command)?.finish(COMMAND_TIMEOUT)
    }

    /// Runs a command inside that has to succeed; returns what it prints.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.output(&argv(words)?)?;
        self.succeeded(words, output)
    }

    /// Runs a command inside with an input, as in `feed(&["nft", "-f", "-"], rules)`.
    pub fn feed(&self, words: &[&str], input: &str) -> Result<String> {
        let process = self.spawn_fed(&argv(words)?, input)?;
        self.succeeded(words, process.finish(COMMAND_TIMEOUT)?)
    }

    /// Sets a kernel parameter by its path under `/proc/sys`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = PathBuf::from("/proc/sys").join(key);
        self.enter(|| fs::write(&path, value))?
            .with_context(|| format!("{}: writing {}", self.name, path.display()))
    }

    /// Whether an address answers one echo request within a second.
    pub fn ping(&self, address: IpAddr) -> Result<bool> {
        let address = address.to_string();
        let command = argv(&["ping", "-n", "-q", "-c", "1", "-W", "1", &address])?;
        Ok(self.output(&command)?.status.success())
    }

    fn succeeded(&self, words: &[&str], output: Output) -> Result<String> {
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        let name = &self.name;
        ensure!(
            status.success(),
            "{name}: `{}`: {status}: {stderr}{stdout}",
            words.join(" ")
        );
        Ok(stdout)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for _ in 0..REAP_ROUNDS {
            let inside = processes_in(&self.sandbox.net);
            if inside.is_empty() {
                break;
            }
            for pid in inside {
                // Fails only when it has ended in the meantime.
                let _ = kill(pid, Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A command of these words.
pub fn argv(words: &[&str]) -> Result<Command> {
    let (program, args) = words.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command.args(args);
    Ok(command)
}

/// All processes in a network namespace. A zombie has left it.
fn processes_in(net: &File) -> Vec<Pid> {
    let Ok(identity) = net.metadata().map(|meta| (meta.dev(), meta.ino())) else {
        return Vec::new();
    };
    let pids = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let meta = fs::metadata(entry.path().join("ns/net")).ok()?;
            ((meta.dev(), meta.ino()) == identity).then_some(Pid::from_raw(pid))
        });
    pids.collect()
}
