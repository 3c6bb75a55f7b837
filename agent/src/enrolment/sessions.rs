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
    /// The endpoint's address and port.
    pub remote: SocketAddr,
    /// The address and port of this host that it sends to.
    pub local: SocketAddr,
    /// The identities in its certificate.
    pub identities: Vec<Identity>,
    /// Its certificate.
    pub certificate: Facts,
    /// Name and version of the endpoint's program, as it states them.
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

/// All sessions, including those that are being decided.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    next: AtomicU64,
    known: Mutex<HashMap<SessionId, Known>>,
}

#[derive(Debug)]
struct Known {
    /// `None` while the registrar decides.
    session: Option<Session>,
    chain: Vec<CertificateDer<'static>>,
    /// Taken by whoever closes the session first.
    close: Option<oneshot::Sender<End>>,
}

impl Known {
    /// Closes it; `false` if it was closed before.
    fn close(&mut self, end: End) -> bool {
        self.close
            .take()
            .is_some_and(|close| close.send(end).is_ok())
    }
}

impl Sessions {
    /// Registers a session that is being decided. From here on it can be closed: the receiver gets
    /// the reason.
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

    /// Closes a session; `false` if there is none, or if it was closed before.
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

    /// Closes the sessions whose certificates `trust` refuses; returns their number.
    pub(super) fn verify(&self, trust: &Trust) -> usize {
        // Without the lock: verifying takes time.
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

    /// Number of open sessions.
    pub(super) fn count(&self) -> usize {
        let known = self.known();
        known.values().filter(|k| k.session.is_some()).count()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SessionId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a session whose certificate is now refused.
fn why(refusal: Refusal) -> End {
    match refusal.reason {
        Reason::Revoked => End::Revoked,
        Reason::Expired => End::Expired,
        _ => End::Distrusted(refusal.sentence),
    }
}
