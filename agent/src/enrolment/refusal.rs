//! Why a claim is refused. The names of the reasons are stable.

use std::fmt;

use quinn::{ConnectionError, TransportErrorCode};
use rustls::{AlertDescription, CertificateError};

use super::wire;

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
    /// The certificate's usage does not include that of a TLS client.
    WrongUsage,
    /// The chain breaks a rule of its authorities.
    InvalidChain,
    /// The certificate has a SPIFFE ID and another URI.
    AmbiguousIdentity,
    /// The peer showed no certificate.
    NoCertificate,
    /// No identity of the certificate is an endpoint of the policy.
    NoMatchingIdentity,
    /// The endpoint has other addresses.
    WrongAddress,
    /// The endpoint has another MAC address, VLAN or interface.
    WrongPlace,
    /// Its frames come from another MAC address than it sends from: somebody relays them.
    Relayed,
    /// Its datagrams come from another address than it sends from: something translates them.
    Translated,
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
    pub const ALL: [Self; 19] = [
        Self::UnknownCa,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::StaleCrl,
        Self::WrongUsage,
        Self::InvalidChain,
        Self::AmbiguousIdentity,
        Self::NoCertificate,
        Self::NoMatchingIdentity,
        Self::WrongAddress,
        Self::WrongPlace,
        Self::Relayed,
        Self::Translated,
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
            Self::InvalidChain => "invalid-chain",
            Self::AmbiguousIdentity => "ambiguous-identity",
            Self::NoCertificate => "no-certificate",
            Self::NoMatchingIdentity => "no-matching-identity",
            Self::WrongAddress => "wrong-address",
            Self::WrongPlace => "wrong-place",
            Self::Relayed => "relayed",
            Self::Translated => "translated",
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
    /// A refusal. The sentence may have what a stranger has sent.
    pub fn new(reason: Reason, sentence: impl AsRef<str>) -> Self {
        Self {
            reason,
            sentence: wire::shortened(sentence.as_ref()),
        }
    }

    /// From webpki's error.
    pub(super) fn of_chain(error: &webpki::Error) -> Self {
        use webpki::Error as E;
        let (reason, sentence) = match error {
            E::CertExpired { .. } | E::InvalidCertValidity => (
                Reason::Expired,
                "the certificate, or one above it, has expired",
            ),
            E::CertNotValidYet { .. } => (
                Reason::NotYetValid,
                "the certificate, or one above it, is not valid yet",
            ),
            E::UnknownIssuer | E::InvalidSignatureForPublicKey => (
                Reason::UnknownCa,
                "no authority in the CA bundle issued the certificate",
            ),
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => (
                Reason::WrongUsage,
                "the certificate's extended key usage does not include clientAuth",
            ),
            E::PathLenConstraintViolated => (
                Reason::InvalidChain,
                "more authorities in a row than one of them permits",
            ),
            E::EndEntityUsedAsCa => (
                Reason::InvalidChain,
                "a certificate that is not an authority's has issued another",
            ),
            E::NameConstraintViolation => (
                Reason::InvalidChain,
                "an authority may not issue certificates for this name",
            ),
            E::CaUsedAsEndEntity => (
                Reason::WrongUsage,
                "the certificate is that of an authority",
            ),
            error => return Self::new(Reason::Other, error.to_string()),
        };
        Self::new(reason, sentence)
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

/// As the error of a TLS handshake, from which rustls makes an alert.
impl From<&Refusal> for rustls::Error {
    fn from(refusal: &Refusal) -> Self {
        let error = match refusal.reason {
            Reason::UnknownCa => CertificateError::UnknownIssuer,
            Reason::Expired => CertificateError::Expired,
            Reason::NotYetValid => CertificateError::NotValidYet,
            Reason::Revoked => CertificateError::Revoked,
            Reason::StaleCrl => CertificateError::ExpiredRevocationList,
            Reason::WrongUsage => CertificateError::InvalidPurpose,
            _ => CertificateError::BadEncoding,
        };
        error.into()
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
