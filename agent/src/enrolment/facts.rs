//! Reads certificates and revocation lists, without verifying them.

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _,
    revocation_list::CertificateRevocationList, time::ASN1Time,
};

use super::Identity;

/// Most names of a certificate that are read.
const IDENTITIES: usize = 64;

/// The fields of a certificate that output and logs show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Distinguished name; may be empty.
    pub subject: String,
    /// Distinguished name of its authority.
    pub issuer: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// When its validity begins.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
}

/// A certificate's contents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// Names and dates.
    pub facts: Facts,
    /// URIs and DNS names of its SAN extension.
    pub identities: Vec<Identity>,
    /// Whether it is valid for TLS clients: its extended key usage has clientAuth, or it has none.
    pub for_clients: bool,
    /// Whether it is valid for TLS servers, by its extended key usage.
    pub for_servers: bool,
    /// Whether its subject is its issuer.
    pub self_signed: bool,
}

impl Certificate {
    /// Reads a certificate without verifying it.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with its encoding.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
        let usage = certificate
            .extended_key_usage()
            .map_err(|e| e.to_string())?;
        let usage = usage.map(|usage| usage.value);
        Ok(Self {
            facts: Facts {
                subject: certificate.subject().to_string(),
                issuer: certificate.issuer().to_string(),
                serial: hexadecimal(certificate.raw_serial()),
                not_before: timestamp(certificate.validity().not_before),
                not_after: timestamp(certificate.validity().not_after),
                fingerprint: hexadecimal(&Sha256::digest(der)),
            },
            identities: identities(&certificate)?,
            for_clients: usage.is_none_or(|usage| usage.client_auth),
            for_servers: usage.is_none_or(|usage| usage.server_auth),
            self_signed: certificate.subject() == certificate.issuer(),
        })
    }
}

/// The issuer of a revocation list, and when it expires (nextUpdate), if it says so.
pub(super) fn revocation_list(der: &[u8]) -> Result<(String, Option<Timestamp>), String> {
    let (_, list) = CertificateRevocationList::from_der(der).map_err(|e| e.to_string())?;
    Ok((list.issuer().to_string(), list.next_update().map(timestamp)))
}

fn identities(certificate: &X509Certificate<'_>) -> Result<Vec<Identity>, String> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|e| e.to_string())?;
    let Some(names) = names else {
        return Ok(Vec::new());
    };
    let identities: BTreeSet<_> = names
        .value
        .general_names
        .iter()
        .take(IDENTITIES)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Identity::uri(uri),
            GeneralName::DNSName(name) => Identity::dns(name),
            _ => None,
        })
        .collect();
    Ok(identities.into_iter().collect())
}

fn timestamp(time: ASN1Time) -> Timestamp {
    // A time beyond the range of timestamps means that the certificate never expires.
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
