//! The sessions that are open.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use tokio::sync::oneshot;

use super::{
    Claim, End, Facts, Grant, Identity, SessionId,
    refusal::{Reason, Refusal},
    trust::Trust,
};

/// An open session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Name of the endpoint in the policy.
    pub endpoint: String,
    /// The endpoint's role.
    pub role: String,
    /// Where the endpoint speaks from.
    pub remote: SocketAddr,
    /// Where it speaks to.
    pub local: SocketAddr,
    /// Who its certificate says that it is.
    pub identities: Vec<Identity>,
    /// Its certificate.
    pub certificate: Facts,
    /// What the endpoint says that its program is.
    pub program: String,
    /// When it was granted.
    pub since: Timestamp,
}

impl Session {
    pub(super) fn new(claim: Claim, port: u16, grant: &Grant) -> Self {
        Self {
            id: claim.session,
            endpoint: grant.endpoint.clone(),
            role: grant.role.clone(),
            remote: claim.remote,
            local: SocketAddr::new(claim.local, port),
            identities: claim.identities,
            certificate: claim.certificate,
            program: claim.program,
            since: Timestamp::now(),
        }
    }
}

/// All open sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    next: AtomicU64,
    open: Mutex<HashMap<SessionId, Open>>,
}

#[derive(Debug)]
struct Open {
    session: Session,
    chain: Vec<CertificateDer<'static>>,
    /// Taken by the first who closes the session.
    close: Option<oneshot::Sender<End>>,
}

impl Open {
    /// `false` if somebody else has closed it.
    fn close(&mut self, end: End) -> bool {
        self.close
            .take()
            .is_some_and(|close| close.send(end).is_ok())
    }
}

impl Sessions {
    /// An id for a session to come.
    pub(super) fn reserve(&self) -> SessionId {
        SessionId(self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Adds a session; what is received is why to close it.
    pub(super) fn insert(
        &self,
        session: Session,
        chain: Vec<CertificateDer<'static>>,
    ) -> oneshot::Receiver<End> {
        let (close, closed) = oneshot::channel();
        let open = Open {
            session,
            chain,
            close: Some(close),
        };
        self.open().insert(open.session.id, open);
        closed
    }

    /// Removes a session that has ended.
    pub(super) fn remove(&self, id: SessionId) {
        self.open().remove(&id);
    }

    /// Closes a session; `false` if there is none, or it is being closed.
    pub(super) fn close(&self, id: SessionId, end: End) -> bool {
        self.open().get_mut(&id).is_some_and(|open| open.close(end))
    }

    /// Closes all sessions.
    pub(super) fn close_all(&self, end: &End) {
        for open in self.open().values_mut() {
            open.close(end.clone());
        }
    }

    /// Closes sessions whose certificates `trust` refuses; how many.
    pub(super) fn verify(&self, trust: &Trust) -> usize {
        // Verifying takes a while, in which the sessions may change.
        let chains: Vec<_> = self
            .open()
            .iter()
            .map(|(&id, open)| (id, open.chain.clone()))
            .collect();
        let refused = |(id, chain): &(SessionId, Vec<_>)| {
            let end = why(trust.verify(chain).err()?);
            self.close(*id, end).then_some(())
        };
        chains.iter().filter_map(refused).count()
    }

    /// The sessions, oldest first.
    pub(super) fn list(&self) -> Vec<Session> {
        let mut list: Vec<_> = self
            .open()
            .values()
            .map(|open| open.session.clone())
            .collect();
        list.sort_by_key(|session| session.id);
        list
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SessionId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a session ends whose certificate is refused now.
fn why(refusal: Refusal) -> End {
    match refusal.reason {
        Reason::Revoked => End::Revoked,
        Reason::Expired => End::Expired,
        _ => End::Distrusted(refusal.sentence),
    }
}
