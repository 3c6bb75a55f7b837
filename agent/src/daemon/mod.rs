//! The agent as a daemon: start, follow the host, serve, end.
//!
//! Ending changes nothing in the kernel: what is enforced stays enforced.

mod enrolling;
mod follow;

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    task::{JoinError, JoinHandle},
};
use tracing::{error, info, warn};

use crate::{
    config::Config,
    control::{listen, server},
    datapath::interface::Interfaces,
    enforcer::{Handle, View},
    logging,
    pulse::Pulses,
    worker::Panicked,
};
use enrolling::enrol;
use follow::Changes;

/// How long what is under way may take when the agent ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// How the daemon is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path of `agent.yaml`.
    pub config: PathBuf,
}

/// Runs the agent until it is told to end.
///
/// # Errors
///
/// Why it cannot start; or that a part of it has ended, for which the service manager is to start it anew.
pub async fn run(options: Options) -> anyhow::Result<()> {
    logging::init();
    let mut endings = Endings::watch()?;
    let config = Config::read(&options.config)?;
    let _lock = lock(&config.state)?;
    let listener = listen::open(&config.socket, config.group.as_deref())?;
    let socket = config.socket.clone();
    let changes = Changes::watch()?;
    let interfaces = Interfaces::read().await?;
    let proofs = config.enrolment.clone();
    let state = config.state.clone();
    let ended = tokio::select! {
        started = Handle::start(config, interfaces) => {
            let enforcer = started?;
            announce(&enforcer.view());
            let end = Arc::new(Notify::new());
            let pulses = Pulses::default();
            let parts = Parts {
                enrolling: enrol(proofs, &state, &enforcer, Arc::clone(&end)).await?,
                follower: tokio::spawn(changes.follow(enforcer.clone(), pulses.part("following the host"))),
                keeper: tokio::spawn(enforcer.clone().keep_idle()),
                api: tokio::spawn(server::serve(listener, enforcer, Arc::clone(&end), pulses.part("the control API"))),
            };
            parts.go_on(&mut endings, &end, pulses).await
        }
        // A crash would be no worse: the kernel hears of a policy once all of it is there.
        signal = endings.next() => {
            info!(signal, "ending before the start was complete; what is enforced stays enforced");
            Ok(())
        }
    };
    if let Err(error) = fs::remove_file(&socket) {
        warn!(socket = %socket.display(), %error, "cannot remove the socket");
    }
    ended
}

/// What goes on as long as the agent does.
struct Parts {
    enrolling: Option<JoinHandle<()>>,
    follower: JoinHandle<()>,
    keeper: JoinHandle<()>,
    api: JoinHandle<()>,
}

impl Parts {
    /// Goes on until the agent is told to end, or a part has ended by itself.
    async fn go_on(
        mut self,
        endings: &mut Endings,
        end: &Notify,
        pulses: Pulses,
    ) -> anyhow::Result<()> {
        let enrolling = async {
            match &mut self.enrolling {
                Some(enrolling) => enrolling.await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            // First, as what is told to end ends, too.
            biased;
            () = end.notified() => Ok(()),
            signal = endings.next() => {
                info!(signal, "ending; what is enforced stays enforced");
                Ok(())
            }
            ended = &mut self.follower => Err(gone("following the host", ended)),
            ended = &mut self.keeper => Err(gone("keeping silent connections", ended)),
            ended = &mut self.api => Err(gone("the control API", ended)),
            ended = enrolling => Err(gone("enrolment", ended)),
            () = pulses.tell() => Ok(()),
        };
        notify(&[NotifyState::Stopping]);
        end.notify_waiters();
        self.follower.abort();
        self.keeper.abort();
        // Sessions are told that the agent ends, so that they come back at once. Requests under way get a
        // moment; a client that keeps its connection open does not hold us.
        for part in self.enrolling.into_iter().chain([self.api]) {
            if !part.is_finished() {
                let _ = tokio::time::timeout(GOODBYE, part).await;
            }
        }
        ended
    }
}

/// What is told of a part that has ended though nobody told it to. It is not started again beside the
/// others, as what it has left is not known: the next agent begins with what is in the kernel.
fn gone(part: &str, ended: Result<(), JoinError>) -> anyhow::Error {
    let why = ended
        .err()
        .map_or_else(String::new, |error| format!(": {}", Panicked::from(error)));
    error!(part, "a part of the agent has ended by itself{why}");
    anyhow!(
        "{part} has ended by itself{why}. What is enforced stays enforced; start the agent again"
    )
}

/// Makes sure that no other agent uses the same state.
fn lock(state: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(state).with_context(|| {
        format!(
            "cannot create the state directory {}. Run as root, or set `state` in agent.yaml",
            state.display()
        )
    })?;
    // The directory itself: that works on a disk that has become read-only, too.
    let directory =
        File::open(state).with_context(|| format!("cannot open {}", state.display()))?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(TryLockError::WouldBlock) => bail!(
            "another agent uses {}. Stop it first (`systemctl stop manoward`), or give this one a `state` of its own in agent.yaml",
            state.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", state.display()))
        }
    }
}

/// Tells the log and the service manager what is enforced.
fn announce(view: &View) {
    for problem in view.problems() {
        warn!("{}", problem.message);
    }
    let summary = view.current.as_ref().map_or_else(
        || "no policy yet, nothing is enforced".to_owned(),
        |current| {
            let policy = current.policy();
            let indexes = view.attachments.iter().map(|at| at.ifindex);
            let interfaces = match indexes.collect::<BTreeSet<_>>().len() {
                1 => "1 interface".to_owned(),
                many => format!("{many} interfaces"),
            };
            format!(
                "policy {} serial {} on {interfaces}",
                policy.name, policy.serial
            )
        },
    );
    info!(version = env!("CARGO_PKG_VERSION"), "ready: {summary}");
    notify(&[NotifyState::Ready, NotifyState::Status(&summary)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify the service manager");
    }
}

/// Signals that end the agent.
struct Endings {
    terminate: Signal,
    interrupt: Signal,
}

impl Endings {
    /// From now on these signals no longer kill the process.
    fn watch() -> anyhow::Result<Self> {
        let failed = "cannot watch signals";
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context(failed)?,
            interrupt: signal(SignalKind::interrupt()).context(failed)?,
        })
    }

    /// Waits for one, and names it.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_dies_ends_the_agent_with_what_it_was() {
        for dies in [
            "following the host",
            "keeping silent connections",
            "the control API",
            "enrolment",
        ] {
            let part = |name: &'static str| {
                tokio::spawn(async move {
                    assert!(name != dies, "it broke");
                    pending::<()>().await;
                })
            };
            let parts = Parts {
                enrolling: Some(part("enrolment")),
                follower: part("following the host"),
                keeper: part("keeping silent connections"),
                api: part("the control API"),
            };
            let mut endings = Endings::watch().expect("signals");
            // The others do not listen to it, and are not waited for long.
            let end = Notify::new();
            let ended = parts.go_on(&mut endings, &end, Pulses::default()).await;
            let error = ended.expect_err(dies).to_string();
            assert!(
                error.contains(dies) && error.contains("it broke"),
                "{error}"
            );
        }
    }
}
