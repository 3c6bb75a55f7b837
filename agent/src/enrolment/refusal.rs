//! Why a claim is refused. The names of the reasons are stable.

use std::fmt;

use quinn::{ConnectionError, TransportErrorCode};
use rustls::{AlertDescription, CertificateError};

/// A refusal's reason.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// The certificate was not issued by an authority of the CA bundle.
    UnknownCa,
    /// The certificate, or one above it, is no longer valid.
    Expired,
    /// The certificate, or one above it, is not valid yet.
    NotYetValid,
    /// The certificate, or one above it, was revoked.
    Revoked,
    /// The revocation list of the certificate's issuer has expired.
    StaleCrl,
    /// The certificate's extended key usage does not include clientAuth.
    WrongUsage,
    /// The peer showed no certificate.
    NoCertificate,
    /// No identity of the certificate is an endpoint of the policy.
    NoMatchingIdentity,
    /// The endpoint has other addresses.
    WrongAddress,
    /// The endpoint has another MAC address, VLAN or interface.
    WrongPlace,
    /// The limit of open sessions is reached.
    TooManySessions,
    /// A limit of handshakes in progress is reached.
    RateLimited,
    /// The peer does not speak the protocol.
    Protocol,
    /// The peer did not answer in time.
    Timeout,
    /// Anything else.
    Other,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::UnknownCa,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::StaleCrl,
        Self::WrongUsage,
        Self::NoCertificate,
        Self::NoMatchingIdentity,
        Self::WrongAddress,
        Self::WrongPlace,
        Self::TooManySessions,
        Self::RateLimited,
        Self::Protocol,
        Self::Timeout,
        Self::Other,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownCa => "unknown-ca",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::StaleCrl => "stale-crl",
            Self::WrongUsage => "wrong-usage",
            Self::NoCertificate => "no-certificate",
            Self::NoMatchingIdentity => "no-matching-identity",
            Self::WrongAddress => "wrong-address",
            Self::WrongPlace => "wrong-place",
            Self::TooManySessions => "too-many-sessions",
            Self::RateLimited => "rate-limited",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A refusal, for programs and for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence. It is sent to the peer if that has proven its identity.
    pub sentence: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            sentence: sentence.into(),
        }
    }

    /// From the error of verifying a certificate.
    pub(super) fn of_certificate(error: &rustls::Error) -> Self {
        let reason = match error {
            rustls::Error::InvalidCertificate(error) => of_certificate(error),
            rustls::Error::NoCertificatesPresented => Reason::NoCertificate,
            _ => Reason::Protocol,
        };
        let sentence = match reason {
            Reason::UnknownCa => "no authority in the CA bundle issued the certificate".into(),
            Reason::Revoked => "the certificate, or one above it, was revoked".into(),
            Reason::StaleCrl => {
                "the revocation list of the certificate's issuer has expired".into()
            }
            Reason::WrongUsage => {
                "the certificate's extended key usage does not include clientAuth".into()
            }
            _ => error.to_string(),
        };
        Self { reason, sentence }
    }

    /// From the error that ended a handshake, if no certificate was refused.
    pub(super) fn of_connection(error: &ConnectionError) -> Self {
        let alert = match error {
            ConnectionError::TransportError(error) => alert(error.code),
            _ => None,
        };
        let reason = match (error, alert) {
            (_, Some(AlertDescription::CertificateRequired)) => Reason::NoCertificate,
            (ConnectionError::TimedOut, _) => Reason::Timeout,
            (
                ConnectionError::TransportError(_)
                | ConnectionError::ConnectionClosed(_)
                | ConnectionError::ApplicationClosed(_)
                | ConnectionError::VersionMismatch
                | ConnectionError::Reset,
                _,
            ) => Reason::Protocol,
            _ => Reason::Other,
        };
        Self::new(reason, error.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.sentence)
    }
}

fn of_certificate(error: &CertificateError) -> Reason {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Reason::NotYetValid
        }
        CertificateError::Revoked => Reason::Revoked,
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => Reason::StaleCrl,
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Reason::UnknownCa,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Reason::WrongUsage
        }
        _ => Reason::Other,
    }
}

/// The TLS alert that QUIC carries as an error (RFC 9001, section 4.8).
#[must_use]
pub fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    let alert = u64::from(code).checked_sub(0x100)?;
    u8::try_from(alert).ok().map(AlertDescription::from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        let is_word = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(names.iter().all(is_word), "{names:?}");
    }

    #[test]
    fn alerts_are_found_in_transport_errors() {
        let code = TransportErrorCode::crypto(48);
        assert_eq!(alert(code), Some(AlertDescription::UnknownCA));
        assert_eq!(alert(TransportErrorCode::CONNECTION_REFUSED), None);
    }
}
