//! Who decides about claims, and what is told to whom.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Facts, Identity, Refusal};

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
    /// The session that lives if the claim is granted.
    pub session: SessionId,
    /// Where the endpoint speaks from; it surely receives there.
    pub remote: SocketAddr,
    /// The address of this host that it speaks to.
    pub local: IpAddr,
    /// All that its certificate says about who it is, without doubles; may be empty.
    pub identities: Vec<Identity>,
    /// Its certificate.
    pub certificate: Facts,
    /// What the endpoint says that its program is.
    pub program: String,
}

/// A granted claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Name of the endpoint in the policy.
    pub endpoint: String,
    /// Its role.
    pub role: String,
    /// How long the lease lives without being renewed.
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
    /// The endpoint has proven itself from this address, and may do so from one only.
    Replaced(IpAddr),
    /// The operator or the policy took it back.
    Withdrawn(String),
    /// The agent ends.
    Shutdown,
    /// The connection failed.
    Failed(String),
}

impl End {
    /// The reason in a word.
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
                return write!(formatter, "the endpoint has proven itself from {address}");
            }
            Self::Closed => "the endpoint closed the session",
            Self::Silence => "the endpoint no longer answers",
            Self::Revoked => "the certificate, or one above it, was revoked",
            Self::Expired => "the certificate, or one above it, is no longer valid",
            Self::Shutdown => "the agent ends",
            Self::Distrusted(why) | Self::Withdrawn(why) | Self::Failed(why) => why,
        })
    }
}

/// Decides about claims and follows sessions.
///
/// The calls come from the tasks of the sessions, so they should not take long.
pub trait Registrar: Send + Sync + 'static {
    /// A proven claim; called once at the end of each handshake.
    ///
    /// # Errors
    ///
    /// Refuses the claim with a reason; [`end`](Self::end) is not called for it.
    fn admit(&self, claim: &Claim) -> Result<Grant, Refusal>;

    /// The session is still alive: the peer has answered since the last call. Called every
    /// keepalive interval.
    fn renew(&self, session: SessionId);

    /// An admitted session has ended; called once for each, before the peer is told.
    fn end(&self, session: SessionId, why: &End);

    /// A handshake or claim failed, for counters and the log. Who `from` is, is not proven.
    fn refused(&self, from: SocketAddr, refusal: &Refusal);
}
