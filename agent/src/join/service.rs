//! `manoward join` as a service: watches files and signals, and publishes the status.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{info, warn};

use super::{HostStatus, Join, Options, Source, board};
use crate::enrolment::pki::Stamps;

/// How often files are checked for changes, and a changed status is written.
const LOOK: Duration = Duration::from_secs(2);

/// The signals that are handled.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        let failed = "cannot watch signals";
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context(failed)?,
            interrupt: signal(SignalKind::interrupt()).context(failed)?,
            reload: signal(SignalKind::hangup()).context(failed)?,
        })
    }
}

/// Keeps sessions until SIGTERM or SIGINT.
pub async fn run(
    options: Options,
    status_file: Option<PathBuf>,
    report: impl Fn(&HostStatus) + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let mut signals = Signals::watch()?;
    let mut files = Watched::of(&options);
    let join = Join::start(options, report)?;
    notify(&[NotifyState::Ready]);
    let mut publisher = Publisher {
        file: status_file,
        summary: String::new(),
    };
    publisher.publish(&join);
    let mut looking = interval(LOOK);
    looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changed = false;
    let signal = loop {
        tokio::select! {
            _ = signals.terminate.recv() => break "SIGTERM",
            _ = signals.interrupt.recv() => break "SIGINT",
            _ = signals.reload.recv() => {
                reloading();
                files.reload(&join, true);
                notify(&[NotifyState::Ready]);
            }
            () = join.changed(), if !changed => changed = true,
            _ = looking.tick() => {
                notify(&[NotifyState::Watchdog]);
                files.reload(&join, false);
                if std::mem::take(&mut changed) {
                    publisher.publish(&join);
                }
            }
        }
    };
    info!(signal, "ending: sessions are closed");
    notify(&[NotifyState::Stopping]);
    join.shutdown().await;
    Ok(())
}

/// Notifies systemd that files are being read again; systemd 253 and newer require the time with
/// it.
fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "cannot read the clock"),
    }
}

/// Publishes the status, and remembers the last summary.
struct Publisher {
    file: Option<PathBuf>,
    summary: String,
}

impl Publisher {
    fn publish(&mut self, join: &Join) {
        let (hosts, granted) = join.count();
        let summary = format!("admitted by {granted} of {hosts} hosts");
        if summary != self.summary {
            notify(&[NotifyState::Status(&summary)]);
            self.summary = summary;
        }
        if let Some(file) = &self.file {
            let began = Instant::now();
            if let Err(error) = board::write(&join.status(), file) {
                warn!(file = %file.display(), %error, "cannot write the status");
            }
            if began.elapsed() > LOOK {
                warn!(file = %file.display(), "writing the status takes long");
            }
        }
    }
}

/// The watched files.
struct Watched {
    credentials: Group,
    hosts: Group,
}

/// Files that are read together.
struct Group {
    files: Vec<PathBuf>,
    stamps: Stamps,
    failed: bool,
}

impl Group {
    fn of(files: Vec<PathBuf>) -> Self {
        let stamps = stamps(&files);
        Self {
            files,
            stamps,
            failed: false,
        }
    }

    /// Reads the files if they have changed, or could not be read last time.
    fn reload<E: std::fmt::Display>(&mut self, force: bool, read: impl FnOnce() -> Result<(), E>) {
        let now = stamps(&self.files);
        let changed = now != self.stamps;
        if !(changed || self.failed || force) {
            return;
        }
        self.stamps = now;
        let names: Vec<_> = self
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let files = names.join(" ");
        let read = read();
        self.failed = read.is_err();
        match read {
            Ok(()) => info!(
                event = "reload",
                outcome = "success",
                files,
                "files read again"
            ),
            Err(error) if changed || force => warn!(
                event = "reload",
                outcome = "failure",
                files,
                reason = %error,
                "the files read before stay in use"
            ),
            Err(_) => {}
        }
    }
}

impl Watched {
    fn of(options: &Options) -> Self {
        let hosts = match &options.hosts {
            Source::File(file) => vec![file.clone()],
            Source::List(_) => Vec::new(),
        };
        Self {
            credentials: Group::of(options.files.paths().map(Path::to_owned).collect()),
            hosts: Group::of(hosts),
        }
    }

    fn reload(&mut self, join: &Join, force: bool) {
        self.credentials.reload(force, || join.reload_credentials());
        self.hosts
            .reload(force && !self.hosts.files.is_empty(), || {
                join.reload_hosts()
            });
    }
}

fn stamps(files: &[PathBuf]) -> Stamps {
    Stamps::of(files.iter().map(PathBuf::as_path))
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify the service manager");
    }
}
