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

/// All sessions, those that are about to begin among them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    next: AtomicU64,
    known: Mutex<HashMap<SessionId, Known>>,
}

#[derive(Debug)]
struct Known {
    /// None as long as the registrar decides.
    session: Option<Session>,
    chain: Vec<CertificateDer<'static>>,
    /// Taken by the first who closes the session.
    close: Option<oneshot::Sender<End>>,
}

impl Known {
    /// `false` if somebody else has closed it.
    fn close(&mut self, end: End) -> bool {
        self.close
            .take()
            .is_some_and(|close| close.send(end).is_ok())
    }
}

impl Sessions {
    /// Takes up a session that may begin; what is received is why to close it. From here on it is
    /// not missed by those who close sessions.
    pub(super) fn reserve(
        &self,
        chain: Vec<CertificateDer<'static>>,
    ) -> (SessionId, oneshot::Receiver<End>) {
        let id = SessionId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let (close, closed) = oneshot::channel();
        let known = Known {
            session: None,
            chain,
            close: Some(close),
        };
        self.known().insert(id, known);
        (id, closed)
    }

    /// The session begins.
    pub(super) fn open(&self, session: Session) {
        if let Some(known) = self.known().get_mut(&session.id) {
            known.session = Some(session);
        }
    }

    /// Removes a session that has ended or does not begin.
    pub(super) fn remove(&self, id: SessionId) {
        self.known().remove(&id);
    }

    /// Closes a session; `false` if there is none, or it is being closed.
    pub(super) fn close(&self, id: SessionId, end: End) -> bool {
        self.known()
            .get_mut(&id)
            .is_some_and(|known| known.close(end))
    }

    /// Closes all sessions.
    pub(super) fn close_all(&self, end: &End) {
        for known in self.known().values_mut() {
            known.close(end.clone());
        }
    }

    /// Closes sessions whose certificates `trust` refuses; how many.
    pub(super) fn verify(&self, trust: &Trust) -> usize {
        // Verifying takes a while, in which the sessions may change.
        let chains: Vec<_> = self
            .known()
            .iter()
            .map(|(&id, known)| (id, known.chain.clone()))
            .collect();
        let refused = |(id, chain): &(SessionId, Vec<_>)| {
            let end = why(trust.verify(chain).err()?);
            self.close(*id, end).then_some(())
        };
        chains.iter().filter_map(refused).count()
    }

    /// The open sessions, oldest first.
    pub(super) fn list(&self) -> Vec<Session> {
        let known = self.known();
        let mut list: Vec<_> = known.values().filter_map(|k| k.session.clone()).collect();
        list.sort_by_key(|session| session.id);
        list
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        let known = self.known();
        known.values().filter(|k| k.session.is_some()).count()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SessionId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
