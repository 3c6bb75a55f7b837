//! The agent as a daemon: start, follow the host, serve, end.
//!
//! Ending changes nothing in the kernel: what is enforced stays enforced.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    future::poll_fn,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::BytesMut;
use rtnetlink::{
    MulticastGroup,
    sys::{AsyncSocket as _, TokioSocket, protocols::NETLINK_ROUTE},
};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tracing::{info, warn};

use crate::{
    config::{Config, Enrolment},
    control::server,
    datapath::{interface::Interfaces, leases::LeaseTable},
    enforcer::{Enforcer, Handle, View},
    enrolment,
    leases::{Closing, Registry},
    logging,
    store::leases::LeaseStore,
};

/// Time between two attempts to use certificate files, and between two looks at how they are.
const ENROLMENT_RETRY: Duration = Duration::from_secs(5);

/// Time between two looks at what is pinned, and at what could not be read before.
const LOOK: Duration = Duration::from_secs(2);

/// A change is followed at once; those that come within this time after it, together.
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
    let proofs = config.enrolment.clone();
    let state = config.state.clone();
    let enforcer = Handle::start(config, interfaces).await?;
    announce(&enforcer.view());
    let end = Arc::new(Notify::new());
    let follower = tokio::spawn(changes.follow(enforcer.clone()));
    let keeper = tokio::spawn(enforcer.clone().keep_idle());
    let enrolling = enrol(proofs, &state, &enforcer, Arc::clone(&end)).await?;
    let ended = tokio::spawn(server::serve(listener, enforcer, Arc::clone(&end)));
    tokio::select! {
        () = end.notified() => {}
        signal = endings.next() => info!(signal, "ending; what is enforced stays enforced"),
    }
    notify(&[NotifyState::Stopping]);
    end.notify_waiters();
    follower.abort();
    keeper.abort();
    if let Some(enrolling) = enrolling {
        // Sessions are told that the agent ends, so that they come back at once.
        let _ = tokio::time::timeout(Duration::from_secs(2), enrolling).await;
    }
    // Requests under way get a moment; a client that keeps its connection open does not hold us.
    let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
    if let Err(error) = fs::remove_file(&socket) {
        warn!(socket = %socket.display(), %error, "cannot remove the socket");
    }
    Ok(())
}

/// Lets endpoints prove who they are, if the agent is to; until `end` is notified.
async fn enrol(
    config: Option<Enrolment>,
    state: &Path,
    enforcer: &Handle,
    end: Arc<Notify>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(config) = config else {
        return Ok(None);
    };
    let table = LeaseTable::open(enforcer.pins()).context("cannot open the table of leases")?;
    let (closings, closed) = mpsc::unbounded_channel();
    let term = Duration::from_secs(config.lease.into());
    let registry = Arc::new(Registry::new(
        table,
        LeaseStore::new(state),
        term,
        config.port,
        closings,
    ));
    let followed = Arc::clone(&registry);
    enforcer
        .change(|enforcer| enforcer.set_registry(followed))
        .await?;
    Ok(Some(tokio::spawn(serve_enrolments(
        config, registry, closed, end,
    ))))
}

/// Serves endpoints that prove who they are. Files that cannot be used are tried again, as nothing
/// else depends on them.
async fn serve_enrolments(
    config: Enrolment,
    registry: Arc<Registry>,
    mut closed: mpsc::UnboundedReceiver<Closing>,
    end: Arc<Notify>,
) {
    let ended = end.notified();
    tokio::pin!(ended);
    let server = loop {
        match enrolment::Server::start(enrolment_config(&config), registry.clone()) {
            Ok(server) => break server,
            Err(error) => {
                warn!(%error, "endpoints cannot prove who they are; trying again");
                registry.set_problems(vec![format!(
                    "endpoints cannot prove who they are: {error}"
                )]);
            }
        }
        tokio::select! {
            () = &mut ended => return,
            () = tokio::time::sleep(ENROLMENT_RETRY) => {}
        }
    };
    info!(port = config.port, "endpoints may prove who they are");
    let mut looking = tokio::time::interval(ENROLMENT_RETRY);
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = looking.tick() => registry.set_problems(server.problems()),
            closing = closed.recv() => match closing {
                Some((session, why)) => {
                    server.close(session, why);
                }
                None => break,
            },
        }
    }
    server.shutdown().await;
}

fn enrolment_config(config: &Enrolment) -> enrolment::Config {
    let files = enrolment::Files {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
        ca: config.ca.clone(),
        crls: config.crls.clone(),
        stale_crl: enrolment::StaleCrl::default(),
    };
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    enrolment::Config {
        listen: any.map(|any| SocketAddr::new(any, config.port)).to_vec(),
        ..enrolment::Config::new(files)
    }
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

/// Waits until the trial of a policy is over; forever if there is none now.
async fn trial_over(enforcer: &Handle) {
    match &enforcer.view().trial {
        // Not a moment before the programs in the kernel.
        Some(trial) => tokio::time::sleep(trial.left() + Duration::from_millis(1)).await,
        None => std::future::pending().await,
    }
}

/// News of interfaces, their filters and addresses: that there are some, however many. What they say is asked for
/// anew, so none of them is kept, and those that the kernel has no room for are not missed.
struct Changes(TokioSocket);

impl Changes {
    /// Subscribes; nothing that happens from now on is missed.
    fn watch() -> anyhow::Result<Self> {
        let subscribe = || {
            let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
            socket.socket_mut().bind_auto()?;
            for group in [
                MulticastGroup::Link,
                MulticastGroup::Tc,
                MulticastGroup::Ipv4Ifaddr,
                MulticastGroup::Ipv6Ifaddr,
            ] {
                socket.socket_mut().add_membership(group as u32)?;
            }
            io::Result::Ok(socket)
        };
        let socket = subscribe().context("cannot watch the host's interfaces")?;
        Ok(Self(socket))
    }

    /// Waits for one. An error is one, too: the kernel had no room for some (ENOBUFS).
    async fn next(&self) {
        let mut message = BytesMut::with_capacity(1);
        let _ = poll_fn(|context| self.0.poll_recv(context, &mut message)).await;
    }

    /// Leaves out those that are there.
    fn skip(&self) {
        let mut message = BytesMut::with_capacity(1);
        while self.0.socket_ref().recv(&mut message, 0).is_ok() {
            message.clear();
        }
    }

    /// Adapts what is enforced to every change, and keeps it pinned.
    async fn follow(self, enforcer: Handle) {
        let mut looking = tokio::time::interval(LOOK);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = false;
        loop {
            let changed = tokio::select! {
                () = self.next() => true,
                _ = looking.tick() => false,
                () = trial_over(&enforcer) => false,
            };
            if changed {
                // What was told of until now is read now.
                self.skip();
            }
            let interfaces = if changed || missed {
                let read = Interfaces::read().await;
                missed = read.is_err();
                read.inspect_err(|error| {
                    warn!(%error, "cannot read the host's interfaces, trying again");
                })
                .ok()
            } else {
                None
            };
            let work = |enforcer: &mut Enforcer| {
                enforcer.keep();
                if let Some(interfaces) = interfaces {
                    enforcer.follow(interfaces);
                }
            };
            if let Err(error) = enforcer.change(work).await {
                warn!(%error, "the host's changes were not followed");
            }
            if changed {
                tokio::time::sleep(SETTLE).await;
            }
        }
    }
}
