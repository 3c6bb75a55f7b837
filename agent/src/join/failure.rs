//! Why an endpoint is not admitted at a host, and what to do about it.

use std::{io, net::SocketAddr, path::PathBuf};

use jiff::Timestamp;
use quinn::{ConnectionError, TransportErrorCode};
use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::UnixTime;
use thiserror::Error;

use super::{Credentials, Host};
use crate::enrolment::{Certificate, Reason, alert, wire};

/// Why there is no session with a host.
#[derive(Debug, Error)]
pub enum Failure {
    /// The name has no address.
    #[error(
        "the name of {host} does not resolve: {source}. Check the spelling and this machine's resolver, or give the address if the host's certificate names it"
    )]
    Unresolved {
        /// The host.
        host: Host,
        /// Why.
        source: io::Error,
    },
    /// No address of the host is of a family that this machine has, or that `--bind` allows.
    #[error(
        "{host} has no address that can be reached from here: only {families} can be used. Check --bind, and whether this machine has the other family"
    )]
    NoFamily {
        /// The host.
        host: Host,
        /// Families that can be used.
        families: &'static str,
    },
    /// There was no answer.
    #[error(
        "no answer from {host} at UDP {address}. Check that manoward runs there with enrolment, and that routes and firewalls let UDP port {} pass both ways", host.port
    )]
    NoAnswer {
        /// The host.
        host: Host,
        /// Address and port that were tried.
        address: SocketAddr,
    },
    /// Packets cannot be sent.
    #[error(
        "cannot send to {host} at UDP {address}: {reason}. Check this machine's routes and addresses"
    )]
    Unreachable {
        /// The host.
        host: Host,
        /// Address and port that were tried.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The host is busy.
    #[error("{host} has too many handshakes in progress; it will be asked again")]
    Busy {
        /// The host.
        host: Host,
    },
    /// The host's certificate is not trusted.
    #[error("the certificate of {host} is not trusted: {why}")]
    Distrusted {
        /// The host.
        host: Host,
        /// Why, and what to do.
        why: String,
    },
    /// The host's certificate is for other names.
    #[error(
        "the certificate of {host} is for {presented}. Name the host as its certificate does, or issue one with the SAN `{}`", host.name
    )]
    WrongName {
        /// The host.
        host: Host,
        /// The names that it has.
        presented: String,
    },
    /// The host refused the certificate in the handshake.
    #[error("{host} does not accept the certificate {certificate}: {why}")]
    Rejected {
        /// The host.
        host: Host,
        /// The endpoint's certificate.
        certificate: PathBuf,
        /// The reason.
        reason: Reason,
        /// Why, and what to do.
        why: String,
    },
    /// The host refused the claim.
    #[error("{host} refused ({reason}): {sentence}")]
    Refused {
        /// The host.
        host: Host,
        /// Name of the reason.
        reason: String,
        /// The host's sentence.
        sentence: String,
    },
    /// The host ended a session.
    #[error("{host} ended the session ({reason}): {sentence}")]
    Ended {
        /// The host.
        host: Host,
        /// Name of the reason.
        reason: String,
        /// The host's sentence.
        sentence: String,
    },
    /// The session was lost.
    #[error("the session with {host} is lost: {reason}")]
    Lost {
        /// The host.
        host: Host,
        /// Why.
        reason: String,
    },
    /// The answer does not follow the protocol.
    #[error(
        "{host} does not speak manoward's protocol: {reason}. Check the port, and the version of manoward there"
    )]
    Protocol {
        /// The host.
        host: Host,
        /// What happened.
        reason: String,
    },
}

impl Failure {
    /// Stable name of the reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Unresolved { .. } => "unresolved",
            Self::NoFamily { .. } => "no-family",
            Self::NoAnswer { .. } => "no-answer",
            Self::Unreachable { .. } => "unreachable",
            Self::Busy { .. } => "busy",
            Self::Distrusted { .. } => "host-distrusted",
            Self::WrongName { .. } => "host-wrong-name",
            Self::Rejected { reason, .. } => reason.name(),
            Self::Refused { reason, .. } | Self::Ended { reason, .. } => reason,
            Self::Lost { .. } => "lost",
            Self::Protocol { .. } => "protocol",
        }
    }

    /// Whether the host itself refused.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Refused { .. })
    }

    /// Whether another holder of the same identity has replaced the session.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        matches!(self, Self::Ended { reason, .. } if reason == "replaced")
    }

    /// From the error of verifying the host's certificate.
    pub(super) fn of_host(host: &Host, error: rustls::Error, ca: &std::path::Path) -> Self {
        let host = host.clone();
        let ca = ca.display();
        let why = match error {
            rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented,
                ..
            }) => {
                let presented = match presented.as_slice() {
                    [] => "no name at all".to_owned(),
                    names => names.join(", "),
                };
                return Self::WrongName { host, presented };
            }
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
                "no authority in {ca} issued it. Add the authority that did to {ca}, and check that the host sends its intermediate certificates"
            ),
            rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                time,
                not_after,
            }) => format!(
                "it expired at {}, and this machine's clock shows {}. Issue a new one for the host, or set the clock",
                moment(not_after),
                moment(time)
            ),
            rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                time,
                not_before,
            }) => format!(
                "it is valid from {}, and this machine's clock shows {}. Compare the clocks of this machine and of the authority",
                moment(not_before),
                moment(time)
            ),
            rustls::Error::InvalidCertificate(CertificateError::InvalidPurposeContext {
                ..
            }) => {
                "its extended key usage does not include serverAuth. Issue one that does".to_owned()
            }
            error => error.to_string(),
        };
        Self::Distrusted { host, why }
    }

    /// From the error that ended a connection to a host whose certificate is trusted.
    pub(super) fn of_connection(
        host: &Host,
        address: SocketAddr,
        error: &ConnectionError,
        credentials: &Credentials,
    ) -> Self {
        let owned = host.clone();
        match error {
            ConnectionError::TimedOut => Self::NoAnswer {
                host: owned,
                address,
            },
            ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
                Some(alert) => Self::of_alert(host, alert, credentials),
                None if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                    Self::Busy { host: owned }
                }
                None => Self::Protocol {
                    host: owned,
                    reason: wire::shortened(&error.to_string()),
                },
            },
            ConnectionError::ApplicationClosed(close) if close.error_code == wire::REFUSED => {
                Self::Refused {
                    host: owned,
                    reason: wire::shortened(&String::from_utf8_lossy(&close.reason)),
                    sentence: "its message did not arrive".into(),
                }
            }
            error => Self::Protocol {
                host: owned,
                reason: wire::shortened(&error.to_string()),
            },
        }
    }

    /// From the host's TLS alert about the endpoint's certificate (RFC 8446, section 6.2).
    fn of_alert(host: &Host, alert: AlertDescription, credentials: &Credentials) -> Self {
        let certificate = credentials.certificate();
        let (reason, why) = match alert {
            AlertDescription::UnknownCA => (
                Reason::UnknownCa,
                format!(
                    "no authority in its CA bundle issued it, or the revocation list of its issuer has expired there. The issuer is `{}`; add that authority to the host's bundle, and the intermediate certificates to {}",
                    certificate.facts.issuer,
                    credentials.files.certificate.display()
                ),
            ),
            AlertDescription::CertificateExpired => expired(certificate, Timestamp::now()),
            AlertDescription::CertificateRevoked => (
                Reason::Revoked,
                format!(
                    "it, or one above it, was revoked. Get a new certificate; this one has the serial {}",
                    certificate.facts.serial
                ),
            ),
            AlertDescription::UnsupportedCertificate => (
                Reason::WrongUsage,
                "its extended key usage does not include clientAuth, or its key usage not digitalSignature. Get one that has both".into(),
            ),
            AlertDescription::BadCertificate => (
                Reason::InvalidChain,
                "the host finds a fault in it, or in one above it, that its log names (path length, keyCertSign, cRLSign, name constraints, or a SPIFFE ID beside another URI)".into(),
            ),
            AlertDescription::CertificateRequired => {
                (Reason::NoCertificate, "the host received none".into())
            }
            AlertDescription::NoApplicationProtocol => {
                return Self::Protocol {
                    host: host.clone(),
                    reason: "it supports only another protocol".into(),
                };
            }
            alert => (
                Reason::Other,
                format!("it answers with the TLS alert {alert:?}"),
            ),
        };
        Self::Rejected {
            host: host.clone(),
            certificate: credentials.files.certificate.clone(),
            reason,
            why,
        }
    }
}

/// The alert is the same for a certificate that has expired and for one that is not valid yet.
fn expired(certificate: &Certificate, now: Timestamp) -> (Reason, String) {
    let facts = &certificate.facts;
    let (from, until) = (seconds(facts.not_before), seconds(facts.not_after));
    if now > facts.not_after {
        let why = format!("it expired at {until}. Get a new one");
        (Reason::Expired, why)
    } else if now < facts.not_before {
        let why = format!(
            "it is valid from {from}. Compare the clocks of this machine and of the authority"
        );
        (Reason::NotYetValid, why)
    } else {
        let why = format!(
            "the host considers it expired or not yet valid, but it is valid from {from} until {until}, and this machine's clock shows {}. Set the host's clock, or check the certificates above it",
            seconds(now)
        );
        (Reason::Expired, why)
    }
}

/// A time in whole seconds: `2026-01-31T12:00:00Z`.
#[must_use]
pub(super) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn moment(time: UnixTime) -> Timestamp {
    Timestamp::from_second(time.as_secs().cast_signed()).unwrap_or(Timestamp::MAX)
}
