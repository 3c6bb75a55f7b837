//! The endpoint's side of enrolment: enrols at hosts and keeps the sessions open.
//!
//! [`Join`] holds a session with each host. It opens a session again when it is lost, and when the
//! endpoint's certificate changes it opens a new session before it closes the old one. Each session
//! is one small task; all share one socket for each address family. [`once`] asks each host once;
//! [`check`] checks the endpoint's files beforehand.

mod backoff;
mod board;
pub mod check;
mod connect;
mod credentials;
mod failure;
mod follow;
pub mod hosts;
mod once;
mod place;
pub mod service;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{Semaphore, watch};

pub use board::{CertificateStatus, HostStatus, Report, State, Status};
pub use connect::Granted;
pub use credentials::{Credentials, Files};
pub use failure::Failure;
pub use hosts::{Host, HostsError};
pub use once::once;

use crate::enrolment::{Certificate, pki::PkiError};
use board::Board;
use connect::Sockets;
use follow::{Follower, Shared};

/// Most attempts in progress: ten thousand hosts must not cause ten thousand handshakes at once.
const TURNS: usize = 64;
/// Hosts asked per second at the start and after a change of the certificate.
const HOSTS_PER_SECOND: u32 = 1000;
/// How long to wait at the end until hosts know that the sessions are closed.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why enrolment cannot begin.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The endpoint's files cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The hosts cannot be read.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// No socket can be opened.
    #[error("cannot open a UDP socket{}: {source}", of(.bind.as_ref()))]
    Socket {
        /// The address to send from.
        bind: Option<IpAddr>,
        /// Why.
        source: io::Error,
    },
}

fn of(bind: Option<&IpAddr>) -> String {
    bind.map_or_else(String::new, |address| {
        format!(" with the address {address}, which must be one of this machine")
    })
}

/// Where the list of hosts comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The command line.
    List(Vec<Host>),
    /// A file, which is read again when it changes.
    File(PathBuf),
}

impl Source {
    /// The hosts.
    pub fn read(&self) -> Result<Vec<Host>, HostsError> {
        match self {
            Self::List(list) => Ok(hosts::unique(list.clone())),
            Self::File(file) => hosts::read(file),
        }
    }
}

/// The hosts to enrol at, and the files to do it with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The hosts.
    pub hosts: Source,
    /// Certificate, key and authorities.
    pub files: Files,
    /// The address to send from; `None` leaves the choice to the kernel.
    pub bind: Option<IpAddr>,
}

/// Sessions with all hosts. Dropping it closes them.
pub struct Join {
    options: Options,
    shared: Arc<Shared>,
    credentials: watch::Sender<Arc<Credentials>>,
    followed: Mutex<HashMap<Host, Followed>>,
}

struct Followed {
    host: Arc<Host>,
    /// Dropping it ends the task.
    _stop: watch::Sender<()>,
}

impl Join {
    /// Reads the files and starts enrolling. Call it in a tokio runtime.
    pub fn start(
        options: Options,
        report: impl Fn(&HostStatus) + Send + Sync + 'static,
    ) -> Result<Self, JoinError> {
        let credentials = Arc::new(Credentials::read(&options.files)?);
        let hosts = options.hosts.read()?;
        let bind = options.bind;
        let sockets = Sockets::open(bind).map_err(|source| JoinError::Socket { bind, source })?;
        let join = Self {
            options,
            shared: Arc::new(Shared {
                sockets,
                board: Board::new(Box::new(report)),
                turns: Semaphore::new(TURNS),
            }),
            credentials: watch::Sender::new(credentials),
            followed: Mutex::default(),
        };
        join.follow(hosts);
        Ok(join)
    }

    /// Reads certificate, key and authorities again, and replaces all sessions. On an error nothing
    /// changes.
    pub fn reload_credentials(&self) -> Result<(), PkiError> {
        let credentials = Credentials::read(&self.options.files)?;
        self.credentials.send_replace(Arc::new(credentials));
        Ok(())
    }

    /// Reads the hosts again: enrols at new ones, and leaves those that are gone. On an error
    /// nothing changes.
    pub fn reload_hosts(&self) -> Result<(), HostsError> {
        self.follow(self.options.hosts.read()?);
        Ok(())
    }

    /// The status of every host.
    #[must_use]
    pub fn status(&self) -> Status {
        let credentials = Arc::clone(&self.credentials.borrow());
        self.shared.board.status(credentials.certificate())
    }

    /// Number of hosts, and of those that have admitted this endpoint.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        self.shared.board.count()
    }

    /// Waits for a change of the status.
    pub async fn changed(&self) {
        self.shared.board.changed.notified().await;
    }

    /// Closes all sessions and tells the hosts.
    pub async fn shutdown(self) {
        self.followed().clear();
        // Gives the tasks time to notice, and to close their sessions.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = tokio::time::timeout(GOODBYE, self.shared.sockets.wait_idle()).await;
    }

    /// Follows exactly `hosts`: starts and stops followers.
    fn follow(&self, hosts: Vec<Host>) {
        let spread = Duration::from_secs(1) * hosts.len() as u32 / HOSTS_PER_SECOND;
        let mut followed = self.followed();
        let mut before = std::mem::take(&mut *followed);
        for host in hosts {
            let entry = before.remove(&host);
            let entry = entry.unwrap_or_else(|| self.begin(host.clone(), spread));
            followed.insert(host, entry);
        }
        for gone in before.into_values() {
            self.shared.board.remove(&gone.host);
        }
    }

    fn begin(&self, host: Host, spread: Duration) -> Followed {
        let host = Arc::new(host);
        self.shared.board.add(&host);
        let stop = watch::Sender::new(());
        let follower = Follower {
            host: Arc::clone(&host),
            shared: Arc::clone(&self.shared),
            credentials: self.credentials.subscribe(),
            stop: stop.subscribe(),
            spread,
        };
        tokio::spawn(follower.follow());
        Followed { host, _stop: stop }
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<Host, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
