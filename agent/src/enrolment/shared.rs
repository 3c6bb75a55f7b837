//! What the tasks of a server share.

use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use quinn::{Endpoint, TransportConfig, crypto::rustls::QuicServerConfig};
use tokio::sync::Semaphore;

use super::{
    Config, Registrar,
    gate::Gate,
    log::Log,
    pki::PkiError,
    sessions::Sessions,
    sockets,
    trust::{FileContents, Trust},
};

/// Counts since the start, and current numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Retry packets sent, which ask a source to prove its address.
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

/// The counters behind [`Counts`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) retries: AtomicU64,
    pub(super) handshakes: AtomicU64,
    pub(super) granted: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// What the tasks of a server share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) registrar: Arc<dyn Registrar>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) sessions: Sessions,
    /// A permit for each session that may be open.
    pub(super) session_permits: Arc<Semaphore>,
    pub(super) gate: Arc<Gate>,
    pub(super) counters: Counters,
    pub(super) log: Log,
    transport: Arc<TransportConfig>,
    trust: RwLock<Arc<Trust>>,
    /// Why changed files could not be read, if they could not.
    unread: Mutex<Option<String>>,
}

impl Shared {
    /// The state at the start, without sessions.
    pub(super) fn new(
        config: Config,
        registrar: Arc<dyn Registrar>,
        transport: Arc<TransportConfig>,
        trust: Trust,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        Self {
            registrar,
            endpoints,
            sessions: Sessions::default(),
            session_permits: Arc::new(Semaphore::new(most_sessions(&config))),
            gate: Arc::new(Gate::new(
                config.max_handshakes,
                config.max_handshakes_per_source,
            )),
            counters: Counters::default(),
            log: Log::default(),
            transport,
            trust: RwLock::new(Arc::new(trust)),
            unread: Mutex::new(None),
            config,
        }
    }

    /// The files in use.
    pub(super) fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration of one connection.
    pub(super) fn connection(&self, quic: QuicServerConfig) -> quinn::ServerConfig {
        sockets::configured(quic, &self.transport)
    }

    /// Reads all files again and verifies all sessions with them; returns how many it closed. On an
    /// error nothing changes.
    pub(super) fn reload(&self) -> Result<usize, PkiError> {
        self.replace(Trust::read(&self.config.files))
    }

    /// Does as [`reload`](Self::reload) with what was in the files.
    pub(super) fn take(&self, contents: &FileContents) -> Result<usize, PkiError> {
        self.replace(Trust::of(contents, self.config.files.stale_crl))
    }

    fn replace(&self, read: Result<Trust, PkiError>) -> Result<usize, PkiError> {
        let unread = read.as_ref().err().map(ToString::to_string);
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = unread;
        let trust = Arc::new(read?);
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = trust;
        Ok(self.verify())
    }

    /// Verifies all sessions, and what else rests on certificates, with the files in use; returns how
    /// many sessions it closed.
    pub(super) fn verify(&self) -> usize {
        let trust = self.trust();
        self.registrar.verify(&|chain| trust.verify(chain));
        self.sessions.verify(&trust)
    }

    /// Why changed files could not be read, if they could not.
    pub(super) fn unread(&self) -> Option<String> {
        let unread = self.unread.lock();
        unread.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current counts.
    pub(super) fn counts(&self) -> Counts {
        let counters = &self.counters;
        Counts {
            retries: counters.retries.load(Ordering::Relaxed),
            handshakes: counters.handshakes.load(Ordering::Relaxed),
            granted: counters.granted.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            in_progress: self.gate.count(),
            sessions: self.sessions.count(),
        }
    }

    /// Whether so many sessions are open that the rest, a tenth, is kept for identities that hold none.
    pub(super) fn are_sessions_scarce(&self) -> bool {
        let most = most_sessions(&self.config);
        self.session_permits.available_permits() < most.div_ceil(10)
    }

    /// Whether all sessions have ended, their last messages included.
    pub(super) fn is_quiet(&self) -> bool {
        self.session_permits.available_permits() >= most_sessions(&self.config)
    }
}

/// Most sessions open at the same time.
fn most_sessions(config: &Config) -> usize {
    config.max_sessions.min(Semaphore::MAX_PERMITS)
}
