//! A process in a namespace: its output is kept, and it dies with its owner.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::machine::sandbox::Sandbox;

/// How often a process is asked whether it has ended.
const POLL: Duration = Duration::from_millis(3);

/// How long a process may take to end after SIGTERM.
const TERMINATION: Duration = Duration::from_secs(10);

/// How long output may trail a process that has ended: its children may hold the pipe.
const TRAILING: Duration = Duration::from_millis(500);

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// The result of a process that has ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Fails with what it printed unless it succeeded.
    pub fn succeeded(&self) -> Result<()> {
        let Self {
            status,
            stdout,
            stderr,
        } = self;
        ensure!(status.success(), "{status}: {stderr}{stdout}");
        Ok(())
    }
}

impl Process {
    /// Starts the command inside. Of its settings only environment variables and working folder
    /// count.
    pub(crate) fn start(sandbox: &Sandbox, command: &Command, input: Option<&str>) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut with_death_signal = with_death_signal(command);
        with_death_signal.stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        with_death_signal
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = sandbox
            .start(move || with_death_signal.spawn())
            .with_context(|| format!("starting {name}"))?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            stdin
                .write_all(input.as_bytes())
                .with_context(|| format!("feeding {name}"))?;
        }
        let stdout = Captured::from(child.stdout.take().context("no standard output")?);
        let stderr = Captured::from(child.stderr.take().context("no standard error")?);
        Ok(Self {
            name,
            child,
            stdout,
            stderr,
        })
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, signal).with_context(|| format!("sending {signal} to {}", self.name))
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub fn terminate(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.wait(TERMINATION).map(drop)
    }

    /// Waits until it has ended.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait().context("waiting")? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} still runs after {timeout:?}: {}",
                    self.name,
                    self.stderr()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until it has ended, and returns status and output.
    pub fn finish(mut self, timeout: Duration) -> Result<Output> {
        let status = self.wait(timeout)?;
        self.stdout.join(TRAILING);
        self.stderr.join(TRAILING);
        Ok(Output {
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        })
    }

    /// Waits until it has printed a text, on either output.
    pub fn wait_for(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        while !self.stdout().contains(text) && !self.stderr().contains(text) {
            if !self.is_running() {
                bail!(
                    "{} ended before it said {text:?}: {}",
                    self.name,
                    self.stderr()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} has not said {text:?} in {timeout:?}: {}",
                    self.name,
                    self.stderr()
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The command, killed by the kernel when the thread that started it ends.
fn with_death_signal(command: &Command) -> Command {
    let mut with_death_signal = Command::new("setpriv");
    with_death_signal.args(["--pdeathsig", "KILL", "--"].map(OsStr::new));
    with_death_signal
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => with_death_signal.env(name, value),
            None => with_death_signal.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        with_death_signal.current_dir(folder);
    }
    with_death_signal
}

/// A pipe, read to its end by a thread.
#[derive(Debug)]
struct Captured {
    shared: Arc<(Mutex<Kept>, Condvar)>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::<(Mutex<Kept>, Condvar)>::default();
        let keep = Arc::clone(&shared);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = pipe.read(&mut buffer).unwrap_or(0);
                let mut kept = lock(&keep.0);
                kept.bytes.extend(&buffer[..read]);
                if read == 0 {
                    kept.ended = true;
                    keep.1.notify_all();
                    return;
                }
            }
        });
        Self { shared }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.0).bytes).into_owned()
    }

    fn join(&self, timeout: Duration) {
        let kept = lock(&self.shared.0);
        drop(
            self.shared
                .1
                .wait_timeout_while(kept, timeout, |kept| !kept.ended),
        );
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
