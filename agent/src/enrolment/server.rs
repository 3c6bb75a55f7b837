//! The host's side of enrolment: listens, and closes sessions that changed files no longer allow.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{task::JoinSet, time::timeout};

use super::{
    Config, Counts, End, Expiring, Registrar, ServerError, Session, SessionId, accept,
    pki::{PkiError, Stamps},
    reload,
    shared::Shared,
    sockets,
    trust::Trust,
    wire,
};

/// How long [`Server::shutdown`] waits for sessions to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Interval of polling.
const POLL: Duration = Duration::from_millis(10);

/// Authenticates endpoints. Dropping it ends all sessions.
pub struct Server {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

impl Server {
    /// Reads the files and listens on the addresses of `config`. Call it in a tokio runtime.
    pub fn start(config: Config, registrar: Arc<dyn Registrar>) -> Result<Self, ServerError> {
        let bind = |&address| {
            sockets::bind(address).map_err(|source| ServerError::Listen { address, source })
        };
        let sockets = config.listen.iter().map(bind).collect::<Result<_, _>>()?;
        Self::start_on(sockets, config, registrar)
    }

    /// Reads the files and listens on `sockets`; the addresses of `config` are ignored.
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
            .map(|socket| sockets::endpoint(socket, &trust, &transport, config.mark))
            .collect::<Result<Vec<_>, _>>()?;
        let shared = Shared::new(config, registrar, transport, trust, endpoints.clone());
        let shared = Arc::new(shared);
        shared.verify();
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

    /// The addresses it listens on.
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

    /// Reads all files again and verifies all sessions with them; returns how many it closed. On an
    /// error nothing changes.
    pub fn reload(&self) -> Result<usize, PkiError> {
        self.shared.reload()
    }

    /// Certificates that expire within 30 days, lists that expire within 6 hours, and those that
    /// have expired; sorted by expiry.
    #[must_use]
    pub fn expiring(&self) -> Vec<Expiring> {
        self.shared.trust().expiring(Timestamp::now())
    }

    /// What is wrong with the files, in sentences.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let unread = self.shared.unread().map(|why| {
            format!(
                "changed enrolment files are not used, and those read before stay in use: {why}"
            )
        });
        let trust = self.shared.trust();
        let unused = trust.unused().iter().cloned();
        let expiring = self.expiring();
        let expiring = expiring.iter().map(ToString::to_string);
        unread.into_iter().chain(unused).chain(expiring).collect()
    }

    /// Counts of what happened, and of what is open.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Ends all sessions, tells the peers, and frees the sockets.
    pub async fn shutdown(mut self) {
        self.shared.sessions.close_all(&End::Shutdown);
        let ended = async {
            while !self.shared.is_quiet() {
                tokio::time::sleep(POLL).await;
            }
            for endpoint in &self.shared.endpoints {
                endpoint.close(wire::CLOSED, b"the agent stops");
                endpoint.wait_idle().await;
            }
        };
        let _ = timeout(GOODBYE, ended).await;
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.shutdown().await;
        let shared = Arc::downgrade(&self.shared);
        drop(self);
        // The sockets are closed when the last task that shares them has ended.
        let freed = async {
            while shared.strong_count() > 0 {
                tokio::time::sleep(POLL).await;
            }
        };
        let _ = timeout(GOODBYE, freed).await;
        tokio::time::sleep(POLL).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for endpoint in &self.shared.endpoints {
            endpoint.close(wire::CLOSED, b"the agent stops");
        }
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}
