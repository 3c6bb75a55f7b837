//! The interface to the part of the agent that grants or refuses claims.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{Facts, Identity, Refusal, wire::Place};

/// A session of this agent; never used twice while the agent runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What an endpoint has proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The session that is open if the claim is granted.
    pub session: SessionId,
    /// The endpoint's address and port; proven by Retry.
    pub remote: SocketAddr,
    /// The address of this host that it sends to.
    pub local: IpAddr,
    /// All identities in its certificate, without duplicates; may be empty.
    pub identities: Vec<Identity>,
    /// Its certificate.
    pub certificate: Facts,
    /// The whole chain as the endpoint sent it, beginning with that certificate.
    pub chain: Arc<[CertificateDer<'static>]>,
    /// When the first certificate of the verified chain expires, the authority's included.
    pub until: Timestamp,
    /// Name and version of the endpoint's program, as it states them.
    pub program: String,
    /// Where it sends from, as it states.
    pub stated: Place,
}

/// A granted claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Name of the endpoint in the policy.
    pub endpoint: String,
    /// Its role.
    pub role: String,
    /// Time after which the lease expires unless it is renewed.
    pub expires_in: Duration,
}

/// Why a session ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// The endpoint closed it.
    Closed,
    /// The endpoint no longer answered.
    Silence,
    /// Its certificate, or one above it, was revoked.
    Revoked,
    /// Its certificate, or one above it, is no longer valid.
    Expired,
    /// Its certificate is no longer trusted, for another reason.
    Distrusted(String),
    /// The endpoint has enrolled from this address, and may hold a session from one address only.
    Replaced(IpAddr),
    /// The operator revoked the lease, or the policy no longer permits it.
    Withdrawn(String),
    /// The agent stops.
    Shutdown,
    /// The connection failed; in words that the peer may have chosen, so they are
    /// [shortened](super::wire::shortened).
    Failed(String),
}

impl End {
    /// Its stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Silence => "silence",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Distrusted(_) => "distrusted",
            Self::Replaced(_) => "replaced",
            Self::Withdrawn(_) => "withdrawn",
            Self::Shutdown => "shutdown",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Replaced(address) => {
                return write!(formatter, "the endpoint has enrolled from {address}");
            }
            Self::Closed => "the endpoint closed the session",
            Self::Silence => "the endpoint no longer answers",
            Self::Revoked => "the certificate, or one above it, was revoked",
            Self::Expired => "the certificate, or one above it, is no longer valid",
            Self::Shutdown => "the agent stops",
            Self::Distrusted(why) | Self::Withdrawn(why) | Self::Failed(why) => why,
        })
    }
}

/// Decides about claims and follows sessions.
///
/// The calls come from the tasks of the sessions, so they must not block for long.
pub trait Registrar: Send + Sync + 'static {
    /// Decides about a proven claim; called once at the end of each handshake.
    ///
    /// # Errors
    ///
    /// The refusal, if the claim is refused; [`end`](Self::end) is then not called for it.
    fn admit(&self, claim: &Claim) -> Result<Grant, Refusal>;

    /// The session is still alive: the peer has answered since the last call. Called every
    /// keepalive interval. Its chain is valid until the time `until`.
    fn renew(&self, session: SessionId, until: Timestamp);

    /// An admitted session has ended; called once for each, before the peer is told.
    fn end(&self, session: SessionId, why: &End);

    /// The files have been read, at the start and whenever they have changed, or time has passed:
    /// `verify` tells until when a chain is valid, or why it is refused. What rests on chains that no
    /// session has shown to this server is to be verified by it; by default, nothing does.
    fn verify(&self, verify: &dyn Fn(&[CertificateDer<'_>]) -> Result<Timestamp, Refusal>) {
        let _ = verify;
    }

    /// A handshake or claim failed; for counters and the log. The identity of `from` is not proven.
    fn refused(&self, from: SocketAddr, refusal: &Refusal);
}
