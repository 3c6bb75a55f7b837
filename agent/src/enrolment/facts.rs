//! What certificates and revocation lists say.

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _,
    revocation_list::CertificateRevocationList, time::ASN1Time,
};

use super::Identity;

/// Identities of a certificate that are looked at.
const IDENTITIES: usize = 64;

/// A certificate, as people and logs name it.
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

/// All that is read from a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// Names and dates.
    pub facts: Facts,
    /// URIs and DNS names of its SAN extension.
    pub identities: Vec<Identity>,
    /// Whether it may prove a client: it says so, or says nothing about its usage.
    pub for_clients: bool,
    /// Whether it may prove a server.
    pub for_servers: bool,
    /// Whether its subject is its issuer.
    pub self_signed: bool,
}

impl Certificate {
    /// Reads a certificate without verifying it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with its encoding.
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

/// When a revocation list will have run out, and whose it is; no time if it does not say.
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
    // Years that a timestamp cannot hold are beyond every certificate's life.
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
