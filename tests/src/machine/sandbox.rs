//! A network namespace with a mount namespace of its own, and the thread that starts processes in
//! them.
//!
//! Neither has a name. They live as long as a file descriptor or a process holds them, so nothing
//! outlives a test, not even one that was killed. The mounts give its processes what they would see
//! on a machine of their own: `/sys` shows its interfaces, `/sys/fs/bpf` its pins, `/run` its
//! sockets.
//!
//! Processes are started by one thread that lives as long as the sandbox: the kernel's parent-death
//! signal is sent when the *thread* that forked ends.

use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

type Job = Box<dyn FnOnce() + Send>;

/// The two namespaces, and their thread.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// The network namespace.
    pub(crate) net: File,
    mounts: File,
    jobs: Option<Sender<Job>>,
    keeper: Option<JoinHandle<()>>,
}

impl Sandbox {
    pub(crate) fn new() -> Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let (report, made) = channel();
        let keeper = thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || keep(&report, &queue))
            .context("starting a sandbox's thread")?;
        let (net, mounts) = made.recv().context("a sandbox's thread has ended")??;
        Ok(Self {
            net,
            mounts,
            jobs: Some(jobs),
            keeper: Some(keeper),
        })
    }

    /// Runs a function inside, on a thread of its own.
    pub(crate) fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> Result<T> {
        let inside = || -> Result<T> {
            // A thread that shares its root and working folder may not change mounts.
            unshare(CloneFlags::CLONE_FS).context("unsharing the working folder")?;
            setns(&self.mounts, CloneFlags::CLONE_NEWNS).context("entering the mounts")?;
            setns(&self.net, CloneFlags::CLONE_NEWNET).context("entering the network")?;
            Ok(run())
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Starts a process inside.
    pub(crate) fn start(
        &self,
        spawn: impl FnOnce() -> std::io::Result<Child> + Send + 'static,
    ) -> Result<Child> {
        let (report, started) = channel();
        let job: Job = Box::new(move || {
            // The other end waits below for as long as this sandbox lives.
            let _ = report.send(spawn());
        });
        let jobs = self
            .jobs
            .as_ref()
            .context("the sandbox is being torn down")?;
        jobs.send(job)
            .map_err(|_| anyhow!("the sandbox's thread has ended"))?;
        Ok(started.recv().context("the sandbox's thread has ended")??)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn keep(report: &Sender<Result<(File, File)>>, queue: &Receiver<Job>) {
    let made = isolate();
    let usable = made.is_ok();
    if report.send(made).is_err() || !usable {
        return;
    }
    while let Ok(job) = queue.recv() {
        job();
    }
}

fn isolate() -> Result<(File, File)> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .context("making namespaces (this takes root)")?;
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).context("separating mounts")?;
    for (kind, place) in [("sysfs", "/sys"), ("bpf", "/sys/fs/bpf"), ("tmpfs", "/run")] {
        mount(
            Some(kind),
            place,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        )
        .with_context(|| format!("mounting {kind} on {place}"))?;
    }
    // The control groups of the machine: their root is that of all namespaces.
    mount(
        Some("cgroup2"),
        "/sys/fs/cgroup",
        Some("cgroup2"),
        MsFlags::empty(),
        None::<&str>,
    )
    .context("mounting cgroup2")?;
    // sshd refuses to start without it.
    fs::create_dir("/run/sshd").context("making /run/sshd")?;
    Ok((
        open("/proc/thread-self/ns/net")?,
        open("/proc/thread-self/ns/mnt")?,
    ))
}

fn open(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    File::open(path).with_context(|| format!("opening {}", path.display()))
}
