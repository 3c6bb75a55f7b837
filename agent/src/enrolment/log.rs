//! Log entries about claims and sessions.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{Certificate, Claim, End, Facts, Identity, Refusal, Session, wire};

/// Rate limit of logged refusals: a burst of this many, and one more for each period. All are
/// counted.
const BURST: u32 = 50;
const REFILL: Duration = Duration::from_millis(100);

/// Writes log entries. Refusals are rate-limited, as anybody can cause them.
#[derive(Debug)]
pub(super) struct Log {
    budget: Mutex<Budget>,
}

#[derive(Debug)]
struct Budget {
    left: u32,
    refilled: Instant,
    suppressed: u64,
}

impl Default for Log {
    fn default() -> Self {
        let budget = Mutex::new(Budget {
            left: BURST,
            refilled: Instant::now(),
            suppressed: 0,
        });
        Self { budget }
    }
}

/// Logs an event of a session: its fields, then those of the event, then the message.
macro_rules! of_session {
    ($session:expr, event = $event:literal, $($rest:tt)+) => {
        info!(
            event = $event,
            protocol = "quic",
            service = "enrolment",
            outcome = "success",
            session = $session.id.0,
            endpoint = $session.endpoint,
            role = $session.role,
            identity = names(&$session.identities),
            source_address = %$session.remote.ip(),
            source_port = $session.remote.port(),
            destination_address = %$session.local.ip(),
            destination_port = $session.local.port(),
            serial = $session.certificate.serial,
            $($rest)+
        )
    };
}

impl Log {
    /// A claim was granted.
    pub(super) fn granted(session: &Session) {
        of_session!(
            session,
            event = "enrolment",
            fingerprint = session.certificate.fingerprint,
            "endpoint authenticated"
        );
    }

    /// A session ended.
    pub(super) fn ended(session: &Session, end: &End) {
        of_session!(
            session,
            event = "session-end",
            reason = end.name(),
            "session ended: {end}"
        );
    }

    /// A handshake or claim failed. Logs what is known of the peer.
    pub(super) fn refused(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        known: Known<'_>,
        refusal: &Refusal,
    ) {
        let Some(suppressed) = self.may_log() else {
            return;
        };
        // Fields of an unverified certificate may be long.
        let serial = known.certificate.map(|certificate| &certificate.serial);
        warn!(
            event = "enrolment",
            protocol = "quic",
            service = "enrolment",
            outcome = "failure",
            identity = wire::shortened(&names(known.identities)),
            source_address = %from.ip(),
            source_port = from.port(),
            destination_address = %to.ip(),
            destination_port = to.port(),
            serial = serial.map(|serial| wire::shortened(serial)),
            reason = refusal.reason.name(),
            suppressed,
            "endpoint refused: {}",
            refusal.sentence
        );
    }

    /// Takes the right to log one refusal; returns how many were suppressed since the last one.
    /// `None` if this one is suppressed, too.
    fn may_log(&self) -> Option<u64> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let periods = budget.refilled.elapsed().as_millis() / REFILL.as_millis();
        if periods > 0 {
            budget.left = BURST.min(budget.left.saturating_add(periods as u32));
            budget.refilled = Instant::now();
        }
        if budget.left == 0 {
            budget.suppressed += 1;
            return None;
        }
        budget.left -= 1;
        Some(std::mem::take(&mut budget.suppressed))
    }
}

/// What is known of a refused peer: the contents of its certificate, verified or not.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'a> {
    pub(super) identities: &'a [Identity],
    pub(super) certificate: Option<&'a Facts>,
}

impl<'a> Known<'a> {
    /// The contents of `shown`, if the peer showed a certificate.
    pub(super) fn of(shown: Option<&'a Certificate>) -> Self {
        shown.map_or_else(Self::default, |shown| Self {
            identities: &shown.identities,
            certificate: Some(&shown.facts),
        })
    }
}

impl<'a> From<&'a Claim> for Known<'a> {
    fn from(claim: &'a Claim) -> Self {
        Self {
            identities: &claim.identities,
            certificate: Some(&claim.certificate),
        }
    }
}

fn names(identities: &[Identity]) -> String {
    let names: Vec<_> = identities.iter().map(Identity::as_str).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_logged_in_part() {
        let log = Log::default();
        let logged = (0..1000).filter(|_| log.may_log().is_some()).count();
        assert!((50..100).contains(&logged), "{logged}");
        std::thread::sleep(2 * REFILL);
        assert!(log.may_log().is_some_and(|suppressed| suppressed > 900));
    }
}
