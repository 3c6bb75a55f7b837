//! The agent as a daemon: start, follow the host, serve, end.
//!
//! Ending changes nothing in the kernel: what is enforced stays enforced.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use rtnetlink::MulticastGroup;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Mutex, Notify},
};
use tracing::{info, warn};

use crate::{
    config::Config, control::server, datapath::interface::Interfaces, enforcer::Enforcer, logging,
};

/// Changes of the host that come together are followed together.
const SETTLE: Duration = Duration::from_millis(200);

/// How the daemon is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path of `agent.yaml`.
    pub config: PathBuf,
}

/// Runs the agent until it is told to end.
pub async fn run(options: Options) -> anyhow::Result<()> {
    logging::init();
    let mut endings = Endings::watch()?;
    let config = Config::read(&options.config)?;
    let _lock = lock(&config.state)?;
    let listener = server::listen(&config.socket, config.group.as_deref())?;
    let socket = config.socket.clone();
    let changes = Changes::watch()?;
    let interfaces = Interfaces::read().await?;
    let enforcer =
        tokio::task::spawn_blocking(move || Enforcer::start(config, interfaces)).await??;
    announce(&enforcer);
    let enforcer = Arc::new(Mutex::new(enforcer));
    let end = Arc::new(Notify::new());
    let follower = tokio::spawn(changes.follow(Arc::clone(&enforcer)));
    let ended = tokio::spawn(server::serve(listener, enforcer, Arc::clone(&end)));
    tokio::select! {
        () = end.notified() => {}
        signal = endings.next() => info!(signal, "ending; what is enforced stays enforced"),
    }
    notify(&[NotifyState::Stopping]);
    end.notify_waiters();
    follower.abort();
    // Requests under way get a moment; a client that keeps its connection open does not hold us.
    let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
    if let Err(error) = fs::remove_file(&socket) {
        warn!(socket = %socket.display(), %error, "cannot remove the socket");
    }
    Ok(())
}

/// Makes sure that no other agent uses the same state.
fn lock(state: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(state).with_context(|| {
        format!(
            "cannot create the state directory {}. Run as root, or set `state` in agent.yaml",
            state.display()
        )
    })?;
    let path = state.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another agent uses {}. Stop it first (`systemctl stop manoward`), or give this one a `state` of its own in agent.yaml",
            state.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Tells the log and the service manager what is enforced.
fn announce(enforcer: &Enforcer) {
    let status = enforcer.status();
    for problem in &status.problems {
        warn!("{problem}");
    }
    let summary = status.policy.map_or_else(
        || "no policy yet, nothing is enforced".to_owned(),
        |policy| {
            let interfaces = status.attachments.len();
            format!(
                "policy {} serial {} on {interfaces} interface(s)",
                policy.name, policy.serial
            )
        },
    );
    info!(version = status.version, "ready: {summary}");
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

/// News of interfaces and addresses.
struct Changes {
    messages: Box<dyn futures_util::Stream<Item = ()> + Send + Unpin>,
}

impl Changes {
    /// Subscribes; nothing that happens from now on is missed.
    fn watch() -> anyhow::Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ];
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)
            .context("cannot watch the host's interfaces")?;
        tokio::spawn(connection);
        Ok(Self {
            messages: Box::new(messages.map(|_| ())),
        })
    }

    /// Adapts what is enforced to every change.
    async fn follow(mut self, enforcer: Arc<Mutex<Enforcer>>) {
        while self.messages.next().await.is_some() {
            self.settle().await;
            let interfaces = match Interfaces::read().await {
                Ok(interfaces) => interfaces,
                Err(error) => {
                    warn!(%error, "cannot read the host's interfaces");
                    continue;
                }
            };
            let mut enforcer = Arc::clone(&enforcer).lock_owned().await;
            let followed = tokio::task::spawn_blocking(move || enforcer.follow(interfaces)).await;
            if let Err(error) = followed {
                warn!(%error, "following the host ended in a panic");
            }
        }
        warn!("the kernel no longer tells of interfaces");
    }

    /// Waits until changes have settled.
    async fn settle(&mut self) {
        let quiet = tokio::time::sleep(SETTLE);
        tokio::pin!(quiet);
        loop {
            tokio::select! {
                () = &mut quiet => return,
                more = self.messages.next() => if more.is_none() { return },
            }
        }
    }
}
