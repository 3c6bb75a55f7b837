//! Reads certificates and revocation lists, without verifying them.

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _, time::ASN1Time,
    x509::X509Name,
};

use super::{
    Identity,
    chain::{self, Fault},
    wire,
};

/// Most names of a certificate that are read.
const IDENTITIES: usize = 64;

/// The fields of a certificate that output and logs show.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
    /// Why it cannot prove an identity, whoever issued it; `None` if nothing speaks against it.
    pub fault: Option<Fault>,
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
                subject: name(certificate.subject()),
                issuer: name(certificate.issuer()),
                serial: hexadecimal(certificate.raw_serial()),
                not_before: timestamp(certificate.validity().not_before),
                not_after: timestamp(certificate.validity().not_after),
                fingerprint: hexadecimal(&Sha256::digest(der)),
            },
            identities: identities(&certificate)?,
            for_clients: usage.is_none_or(|usage| usage.client_auth),
            for_servers: usage.is_none_or(|usage| usage.server_auth),
            self_signed: certificate.subject() == certificate.issuer(),
            fault: chain::fault_of_leaf(&certificate)?,
        })
    }
}

/// A distinguished name, fit to be shown: whoever asks for a certificate may have chosen it.
pub(super) fn name(name: &X509Name<'_>) -> String {
    wire::shortened(&name.to_string())
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

pub(super) fn timestamp(time: ASN1Time) -> Timestamp {
    // A time beyond the range of timestamps means that the certificate never expires.
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
