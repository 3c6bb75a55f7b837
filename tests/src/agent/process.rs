//! The agent's own process, with everything it writes under one temporary folder.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use manoward::datapath::Hook;
use nix::sys::signal::Signal;

use crate::machine::namespace::Namespace;
use crate::machine::process::{Output, Process};
use crate::machine::scratch::Scratch;

/// Names the binary under test.
pub const BINARY_ENV: &str = "MANOWARD_BIN";

/// Sets how many seconds an agent may take to start, for machines that are emulated.
pub const PATIENCE_ENV: &str = "MANOWARD_START_SECONDS";

const START_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The binary under test.
pub fn binary() -> Result<OsString> {
    env::var_os(BINARY_ENV).with_context(|| {
        format!("{BINARY_ENV} does not name the agent's binary; run: cargo xtask test")
    })
}

/// A running agent. Dropping it detaches its programs and removes its files.
#[derive(Debug)]
pub struct Agent<'a> {
    namespace: &'a Namespace,
    folder: Scratch,
    pins: PathBuf,
    /// Environment variables that are set for it.
    environment: Vec<(&'static str, OsString)>,
    process: Option<Process>,
}

impl<'a> Agent<'a> {
    /// Starts an agent with a policy, and waits until it answers.
    pub fn start(namespace: &'a Namespace, policy: &str) -> Result<Self> {
        Self::start_with(namespace, policy, Hook::Xdp, "")
    }

    /// Starts an agent at a hook, with further lines of configuration (YAML).
    pub fn start_with(
        namespace: &'a Namespace,
        policy: &str,
        hook: Hook,
        more: &str,
    ) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = Scratch::new("agent")?;
        let pins = PathBuf::from(format!("/sys/fs/bpf/mw-{}-{number}", std::process::id()));
        folder.write("policy.yaml", policy)?;
        // The usual size takes longer to read than tests have to wait.
        let flows = if more.contains("flows:") {
            ""
        } else {
            "flows: 65536\n"
        };
        let config = format!(
            "policy: {}\nstate: {}\nsocket: {}\npins: {}\nhook: {}\n{flows}{more}",
            folder.join("policy.yaml").display(),
            folder.join("state").display(),
            folder.join("control.sock").display(),
            pins.display(),
            serde_json::to_string(&hook)?,
        );
        folder.write("agent.yaml", &config)?;
        let mut agent = Self {
            namespace,
            folder,
            pins,
            environment: Vec::new(),
            process: None,
        };
        agent.launch()?;
        Ok(agent)
    }

    /// Restarts it with this log level.
    pub fn restart_logging(&mut self, verbosity: &'static str) -> Result<()> {
        self.set("MANOWARD_LOG", verbosity);
        self.restart()
    }

    /// Sets a variable in its environment, from the next start on.
    pub fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    /// Runs one of the agent's commands against this agent, however it ends.
    pub fn cli(&self, words: &[&str]) -> Result<Output> {
        self.namespace.output(&self.command(words)?)
    }

    /// Begins one of the agent's commands against this agent.
    pub fn begin(&self, words: &[&str]) -> Result<Process> {
        self.namespace.spawn(&self.command(words)?)
    }

    /// One of the agent's commands, yet to be run.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.arg("--socket").arg(self.socket()).args(words);
        Ok(command)
    }

    /// Writes a policy beside the configured one and applies it, however that ends.
    pub fn apply(&self, policy: impl Display) -> Result<Output> {
        let path = self.folder.write("candidate.yaml", &policy.to_string())?;
        self.cli(&["policy", "apply", &path.to_string_lossy()])
    }

    /// Runs one of the agent's commands, which has to succeed; returns what it prints.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        let Output {
            status,
            stdout,
            stderr,
        } = self.cli(words)?;
        ensure!(
            status.success(),
            "`manoward {}`: {status}: {stderr}",
            words.join(" ")
        );
        Ok(stdout)
    }

    /// Runs one of the agent's commands with `--output json`, and reads what it prints.
    pub fn ask_json(&self, words: &[&str]) -> Result<serde_json::Value> {
        let text = self.ask(&[words, &["--output", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// Replaces the policy's file, without a request to the agent.
    pub fn write_policy(&self, policy: &str) -> Result<PathBuf> {
        self.folder.write("policy.yaml", policy)
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }

    /// Where its programs and maps are pinned, as seen inside its namespace.
    #[must_use]
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// The folder of its configuration, policy and state.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Limits the agent's process, in the words of `prlimit`.
    pub fn limit(&self, words: &[&str]) -> Result<()> {
        let pid = self.pid()?.to_string();
        self.namespace
            .run(&[&["prlimit", "--pid", &pid], words].concat())
            .map(drop)
    }

    /// Id of the agent's process.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("no agent runs")?.id())
    }

    /// Sends the agent's process a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process
            .as_ref()
            .context("no agent runs")?
            .signal(signal)
    }

    /// Waits until the agent's process has ended, however it does.
    pub fn await_end(&mut self) -> Result<ExitStatus> {
        let process = self.process.as_mut().context("no agent runs")?;
        process.wait(STOP_TIMEOUT)
    }

    /// What it has logged since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        self.process
            .as_ref()
            .map(|it| it.stderr() + &it.stdout())
            .unwrap_or_default()
    }

    /// Kills it (SIGKILL). Its pinned programs go on working.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the agent is not running")?;
        process.signal(Signal::SIGTERM)?;
        let status = process.wait(STOP_TIMEOUT)?;
        ensure!(
            status.success(),
            "the agent ended with {status}: {}",
            process.stderr()
        );
        Ok(())
    }

    /// Starts it again, after its end or in its place, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            self.stop()?;
        }
        self.launch()
    }

    fn launch(&mut self) -> Result<()> {
        let mut command = Command::new(binary()?);
        command
            .arg("agent")
            .arg("--config")
            .arg(self.folder.join("agent.yaml"));
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let process = self.process.insert(self.namespace.spawn(&command)?);
        let patience = start_timeout();
        let deadline = Instant::now() + patience;
        while answer(&self.folder.join("control.sock"), patience).is_err() {
            if !process.is_running() {
                bail!("the agent ended: {}{}", process.stderr(), process.stdout());
            }
            if Instant::now() > deadline {
                bail!(
                    "the agent does not answer: {}{}",
                    process.stderr(),
                    process.stdout()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn start_timeout() -> Duration {
    let set = env::var(PATIENCE_ENV)
        .ok()
        .and_then(|text| text.parse().ok());
    set.map_or(START_TIMEOUT, Duration::from_secs)
}

/// Asks for the status, which the agent answers once it enforces.
fn answer(socket: &Path, patience: Duration) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: agent\r\n\r\n")?;
    stream.read_exact(&mut [0])
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        // An agent that has ended cannot detach; removing the pins detaches its programs.
        if self.process.is_some() {
            let _ = self.cli(&["detach", "--yes"]);
        }
        self.process = None;
        let _ = self.namespace.enter(|| fs::remove_dir_all(&self.pins));
    }
}
