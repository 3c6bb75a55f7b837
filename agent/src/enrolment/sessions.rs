//! The sessions that are open.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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

/// Most sessions from one address with one identity, and with any: one that is restarted, or changes its
/// certificate, has two for a moment.
const OF_IDENTITY: usize = 4;
const OF_ADDRESS: usize = 16;

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

    /// Whether it has one of these identities.
    fn shares(&self, identities: &[Identity]) -> bool {
        let mut own = self.identities.iter();
        own.any(|identity| identities.contains(identity))
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
    chain: Arc<[CertificateDer<'static>]>,
    /// Until when the chain was valid when it was verified last.
    until: Timestamp,
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
        chain: Arc<[CertificateDer<'static>]>,
        until: Timestamp,
    ) -> (SessionId, oneshot::Receiver<End>) {
        let id = SessionId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let (close, closed) = oneshot::channel();
        let known = Known {
            session: None,
            chain,
            until,
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

    /// Until when the chain of a session is valid; `None` if there is no such session.
    pub(super) fn until(&self, id: SessionId) -> Option<Timestamp> {
        self.known().get(&id).map(|known| known.until)
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
            .map(|(&id, known)| (id, Arc::clone(&known.chain)))
            .collect();
        let mut closed = 0;
        for (id, chain) in chains {
            closed += usize::from(self.is_closed_by(trust, id, &chain));
        }
        closed
    }

    /// Closes the session if `trust` refuses its certificate.
    pub(super) fn verify_one(&self, id: SessionId, trust: &Trust) {
        let chain = self.known().get(&id).map(|known| Arc::clone(&known.chain));
        if let Some(chain) = chain {
            self.is_closed_by(trust, id, &chain);
        }
    }

    /// Whether the session had to be closed, as `trust` refuses its `chain`.
    fn is_closed_by(&self, trust: &Trust, id: SessionId, chain: &[CertificateDer<'_>]) -> bool {
        match trust.verify(chain) {
            Ok(until) => {
                if let Some(known) = self.known().get_mut(&id) {
                    known.until = until;
                }
                false
            }
            Err(refusal) => self.close(id, why(refusal)),
        }
    }

    /// The open sessions, oldest first.
    pub(super) fn list(&self) -> Vec<Session> {
        let known = self.known();
        let mut list: Vec<_> = known.values().filter_map(|k| k.session.clone()).collect();
        list.sort_by_key(|session| session.id);
        list
    }

    /// Whether a session with one of the identities is open, and whether one from this address is.
    pub(super) fn held_by(&self, identities: &[Identity], address: IpAddr) -> (bool, bool) {
        let known = self.known();
        let open = known.values().filter_map(|known| known.session.as_ref());
        let mut held = (false, false);
        for session in open.filter(|session| session.shares(identities)) {
            held.0 = true;
            held.1 |= session.remote.ip() == address;
        }
        held
    }

    /// Closes the oldest sessions from the address of `newest` where there are too many of its
    /// identity, or in all. If `alone`, it stays the only one of its identity there.
    pub(super) fn displace(&self, newest: &Session, alone: bool) {
        let address = newest.remote.ip();
        let mut known = self.known();
        let beside = known.values().filter_map(|known| known.session.as_ref());
        let beside = beside.filter(|it| it.id != newest.id && it.remote.ip() == address);
        let (mut same, mut all) = (Vec::new(), Vec::new());
        for session in beside {
            all.push(session.id);
            if session.shares(&newest.identities) {
                same.push(session.id);
            }
        }
        let most = if alone { 1 } else { OF_IDENTITY };
        for (mut sessions, most) in [(same, most), (all, OF_ADDRESS)] {
            sessions.sort_unstable();
            let superfluous = (sessions.len() + 1).saturating_sub(most);
            for id in sessions.iter().take(superfluous) {
                if let Some(session) = known.get_mut(id) {
                    session.close(End::Replaced(address));
                }
            }
        }
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
