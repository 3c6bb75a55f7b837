//! The host's side: listens, and keeps files and sessions in agreement.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use quinn::{Endpoint, TransportConfig, crypto::rustls::QuicServerConfig};
use thiserror::Error;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::{
    Config, End, Expiring, Registrar, Session, SessionId, accept,
    gate::Gate,
    log::Log,
    pki::{PkiError, Stamps},
    reload,
    sessions::Sessions,
    sockets,
    trust::Trust,
    wire,
};

/// How long the end of sessions is waited for.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long it is waited before looking again.
const MOMENT: Duration = Duration::from_millis(10);

/// Why there is no enrolment.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Files cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// An address cannot be listened on.
    #[error("cannot listen on UDP {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket that was handed in cannot be used.
    #[error("cannot use the socket that was handed in: {0}")]
    Socket(io::Error),
    /// Times do not fit.
    #[error(
        "the idle timeout is {idle_timeout:?}; it needs to be at least twice the keepalive, {keepalive:?}, which is not zero"
    )]
    Timing {
        /// Time between signs of life.
        keepalive: Duration,
        /// Silence that ends a session.
        idle_timeout: Duration,
    },
    /// TLS refuses the settings.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// What happened since the start, and what there is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Sources that were asked to prove their address (Retry).
    pub retries: u64,
    /// Handshakes that began, from proven addresses.
    pub handshakes: u64,
    /// Claims that were granted.
    pub granted: u64,
    /// Handshakes and claims that failed.
    pub refused: u64,
    /// Handshakes in progress.
    pub in_progress: usize,
    /// Open sessions.
    pub sessions: usize,
}

/// Authenticates endpoints. Dropping it ends all sessions.
pub struct Server {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the tasks of a server share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) registrar: Arc<dyn Registrar>,
    pub(super) transport: Arc<TransportConfig>,
    pub(super) sessions: Sessions,
    pub(super) places: Arc<Semaphore>,
    pub(super) gate: Arc<Gate>,
    pub(super) counters: Counters,
    pub(super) log: Log,
    /// Why files that have changed are not in use.
    pub(super) unread: Mutex<Option<String>>,
    trust: RwLock<Arc<Trust>>,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) retries: AtomicU64,
    pub(super) handshakes: AtomicU64,
    pub(super) granted: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Shared {
    pub(super) fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sessions that may be open.
    fn most(&self) -> usize {
        self.config.max_sessions.min(Semaphore::MAX_PERMITS)
    }

    /// The configuration of one connection.
    pub(super) fn connection(&self, quic: QuicServerConfig) -> quinn::ServerConfig {
        sockets::configured(quic, &self.transport)
    }

    /// As [`Server::reload`].
    pub(super) fn reload(&self) -> Result<usize, PkiError> {
        let read = Trust::read(&self.config.files);
        let unread = read.as_ref().err().map(ToString::to_string);
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = unread;
        let trust = Arc::new(read?);
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&trust);
        Ok(self.sessions.verify(&trust))
    }
}

impl Server {
    /// Reads the files and listens on the addresses of `config`. To be called in a tokio runtime.
    pub fn start(config: Config, registrar: Arc<dyn Registrar>) -> Result<Self, ServerError> {
        let bind = |&address| {
            sockets::listen(address).map_err(|source| ServerError::Listen { address, source })
        };
        let sockets = config.listen.iter().map(bind).collect::<Result<_, _>>()?;
        Self::start_on(sockets, config, registrar)
    }

    /// Reads the files and listens on `sockets`, whatever `config` says about addresses.
    pub fn start_on(
        sockets: Vec<UdpSocket>,
        config: Config,
        registrar: Arc<dyn Registrar>,
    ) -> Result<Self, ServerError> {
        let stamps = Stamps::of(config.files.paths());
        let trust = Trust::read(&config.files)?;
        let transport = config.transport()?;
        let endpoints = sockets
            .into_iter()
            .map(|socket| sockets::endpoint(socket, &trust, &transport))
            .collect::<Result<Vec<_>, _>>()?;
        let shared = Arc::new(Shared {
            registrar,
            transport,
            sessions: Sessions::default(),
            places: Arc::new(Semaphore::new(
                config.max_sessions.min(Semaphore::MAX_PERMITS),
            )),
            gate: Arc::new(Gate::new(
                config.max_handshakes,
                config.max_handshakes_per_source,
            )),
            counters: Counters::default(),
            log: Log::default(),
            unread: Mutex::new(None),
            trust: RwLock::new(Arc::new(trust)),
            endpoints: endpoints.clone(),
            config,
        });
        let mut tasks = JoinSet::new();
        for endpoint in endpoints {
            tasks.spawn(accept::accept(endpoint, Arc::clone(&shared)));
        }
        tasks.spawn(reload::follow(Arc::clone(&shared), stamps));
        Ok(Self {
            shared,
            tasks: Mutex::new(tasks),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let endpoints = self.shared.endpoints.iter();
        endpoints
            .filter_map(|endpoint| endpoint.local_addr().ok())
            .collect()
    }

    /// The open sessions, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        self.shared.sessions.list()
    }

    /// Closes a session and tells the peer why; `false` if there is none.
    pub fn close(&self, session: SessionId, end: End) -> bool {
        self.shared.sessions.close(session, end)
    }

    /// Reads all files again, verifies all sessions with them, and tells how many it closed. On an
    /// error everything stays as it is.
    pub fn reload(&self) -> Result<usize, PkiError> {
        self.shared.reload()
    }

    /// Certificates that end to be valid within 30 days, lists that run out within 6 hours, and all that
    /// have ended; the next first.
    #[must_use]
    pub fn expiring(&self) -> Vec<Expiring> {
        self.shared.trust().expiring(Timestamp::now())
    }

    /// What is wrong with the files, in sentences.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let unread = self.shared.unread.lock();
        let unread = unread.unwrap_or_else(PoisonError::into_inner).clone();
        let unread = unread.map(|why| {
            format!("changed enrolment files are not in use, and those read before stay: {why}")
        });
        let expiring = self.expiring();
        let expiring = expiring.iter().map(ToString::to_string);
        unread.into_iter().chain(expiring).collect()
    }

    /// What happened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let counters = &self.shared.counters;
        Counts {
            retries: counters.retries.load(Ordering::Relaxed),
            handshakes: counters.handshakes.load(Ordering::Relaxed),
            granted: counters.granted.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            in_progress: self.shared.gate.count(),
            sessions: self.shared.sessions.count(),
        }
    }

    /// Ends all sessions, tells the peers, and frees the sockets.
    pub async fn shutdown(mut self) {
        self.shared.sessions.close_all(&End::Shutdown);
        let ended = async {
            // Each session gives its place back after its last words.
            while self.shared.places.available_permits() < self.shared.most() {
                tokio::time::sleep(MOMENT).await;
            }
            for endpoint in &self.shared.endpoints {
                endpoint.close(wire::CLOSED, b"the agent ends");
                endpoint.wait_idle().await;
            }
        };
        let _ = timeout(GOODBYE, ended).await;
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.shutdown().await;
        let shared = Arc::downgrade(&self.shared);
        drop(self);
        // The last task that knows the sockets frees them.
        let freed = async {
            while shared.strong_count() > 0 {
                tokio::time::sleep(MOMENT).await;
            }
        };
        let _ = timeout(GOODBYE, freed).await;
        tokio::time::sleep(MOMENT).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for endpoint in &self.shared.endpoints {
            endpoint.close(wire::CLOSED, b"the agent ends");
        }
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}
