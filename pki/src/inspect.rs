//! Reading certificates and revocation lists.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, KeyIdentifier, ParsedExtension, X509Extension},
    parse_x509_crl,
    pem::Pem,
    public_key::PublicKey,
    revocation_list::RevokedCertificate,
    time::ASN1Time,
    x509::{SubjectPublicKeyInfo, X509Name},
};

use crate::{Name, PkiError, Serial};

const CERTIFICATE: &str = "CERTIFICATE";
const LIST_BEGINS: &str = "-----BEGIN X509 CRL-----";

/// A certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Where it was read.
    pub file: PathBuf,
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its subject alternative names.
    pub names: Vec<Name>,
    /// Its serial.
    pub serial: Serial,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Its key: `ECDSA P-256`, `RSA 3072`.
    pub key: String,
    /// Whether it may issue others.
    pub authority: bool,
    /// What TLS may use it for: `client`, `server`, and OIDs of other uses.
    pub usages: Vec<String>,
    /// Whether it is revoked.
    pub revocation: Revocation,
}

/// Whether a certificate is revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum Revocation {
    /// It is not in the list of its issuer.
    Good,
    /// It is in the list of its issuer.
    Revoked {
        /// Since when.
        since: Timestamp,
        /// Why, as RFC 5280 numbers it.
        reason: u8,
    },
    /// No list of its issuer is available.
    Unknown,
}

/// A revocation list.
#[derive(Clone, Debug, Serialize)]
pub struct Crl {
    /// Its issuer.
    pub issuer: String,
    /// The key identifier of the issuer, in hexadecimal.
    pub issuer_key: Option<String>,
    /// Its number.
    pub number: Option<u64>,
    /// Since when it holds.
    pub this_update: Timestamp,
    /// When it is no longer valid.
    pub next_update: Option<Timestamp>,
    /// What is revoked.
    pub revoked: Vec<Revoked>,
}

/// A line of a revocation list.
#[derive(Clone, Debug, Serialize)]
pub struct Revoked {
    /// Which certificate.
    pub serial: Serial,
    /// Since when.
    pub since: Timestamp,
    /// Why, as RFC 5280 numbers it; 0 is no reason.
    pub reason: u8,
}

/// The certificates in PEM `text`, with their revocation status by `crls`. No signature is
/// verified.
///
/// # Errors
///
/// If there is no certificate, or a damaged one.
pub fn certificates(text: &str, file: &Path, crls: &[Crl]) -> Result<Vec<Entry>, PkiError> {
    let mut entries = Vec::new();
    for pem in blocks(text, file)? {
        if pem.label != CERTIFICATE {
            continue;
        }
        let certificate = pem
            .parse_x509()
            .map_err(|error| wrong(file, format!("a certificate in it is damaged: {error}")))?;
        entries.push(entry(&certificate, file, crls));
    }
    if entries.is_empty() {
        return Err(wrong(file, "it holds no certificate".to_owned()));
    }
    Ok(entries)
}

/// The revocation lists in PEM `text`.
pub fn crls(text: &str, file: &Path) -> Result<Vec<Crl>, PkiError> {
    let mut found = Vec::new();
    for pem in blocks(text, file)? {
        if pem.label != "X509 CRL" {
            continue;
        }
        let (_, list) = parse_x509_crl(&pem.contents)
            .map_err(|error| wrong(file, format!("a revocation list in it is damaged: {error}")))?;
        found.push(Crl {
            issuer: name(list.issuer()),
            issuer_key: authority_key(list.extensions()),
            number: list.crl_number().and_then(|number| number.try_into().ok()),
            this_update: timestamp(list.last_update()),
            next_update: list.next_update().map(timestamp),
            revoked: list.iter_revoked_certificates().map(revoked).collect(),
        });
    }
    Ok(found)
}

/// Each revocation list in PEM `text`, as PEM.
pub fn lists(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(LIST_BEGINS).skip(1);
    parts.map(|part| format!("{LIST_BEGINS}{part}"))
}

fn blocks(text: &str, file: &Path) -> Result<Vec<Pem>, PkiError> {
    let blocks: Result<_, _> = Pem::iter_from_buffer(text.as_bytes()).collect();
    blocks.map_err(|error| wrong(file, format!("it is no PEM: {error}")))
}

fn wrong(file: &Path, reason: String) -> PkiError {
    PkiError::Content {
        path: file.to_owned(),
        reason,
        remedy: "It must be a file with BEGIN CERTIFICATE in it; `openssl x509 -inform DER` \
                 converts others",
    }
}

fn entry(certificate: &X509Certificate, file: &Path, crls: &[Crl]) -> Entry {
    let serial = Serial::from_octets(certificate.raw_serial());
    let issuer = name(certificate.issuer());
    Entry {
        file: file.to_owned(),
        subject: name(certificate.subject()),
        names: names(certificate),
        not_before: timestamp(certificate.validity().not_before),
        not_after: timestamp(certificate.validity().not_after),
        key: key(certificate.public_key()),
        authority: certificate.is_ca(),
        usages: usages(certificate),
        revocation: revocation(certificate, &serial, crls),
        serial,
        issuer,
    }
}

fn revocation(certificate: &X509Certificate, serial: &Serial, crls: &[Crl]) -> Revocation {
    let issuer = name(certificate.issuer());
    let is_own = certificate.issuer() == certificate.subject();
    let key = authority_key(certificate.extensions())
        .or_else(|| is_own.then(|| subject_key(certificate.extensions()))?);
    // Authorities may have the same name, as the default is; their keys differ.
    let is_issuers = |list: &&Crl| {
        list.issuer == issuer
            && (key.is_none() || list.issuer_key.is_none() || key == list.issuer_key)
    };
    let mut lists = crls.iter().filter(is_issuers).peekable();
    if lists.peek().is_none() {
        return Revocation::Unknown;
    }
    lists
        .flat_map(|list| &list.revoked)
        .find(|line| line.serial == *serial)
        .map_or(Revocation::Good, |line| Revocation::Revoked {
            since: line.since,
            reason: line.reason,
        })
}

/// The key identifier of the issuer.
fn authority_key(extensions: &[X509Extension]) -> Option<String> {
    extensions
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
            _ => None,
        })
        .map(hexadecimal)
}

/// The key identifier of the subject.
fn subject_key(extensions: &[X509Extension]) -> Option<String> {
    extensions
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id),
            _ => None,
        })
        .map(hexadecimal)
}

fn hexadecimal(id: &KeyIdentifier) -> String {
    id.0.iter()
        .map(|octet| format!("{octet:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

fn revoked(line: &RevokedCertificate) -> Revoked {
    Revoked {
        serial: Serial::from_octets(line.raw_serial()),
        since: timestamp(line.revocation_date),
        reason: line.reason_code().map_or(0, |(_, reason)| reason.0),
    }
}

fn name(name: &X509Name) -> String {
    name.to_string()
}

fn names(certificate: &X509Certificate) -> Vec<Name> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .map(|name| match name {
            GeneralName::URI(uri) => Name::Uri((*uri).to_owned()),
            GeneralName::DNSName(name) => Name::Dns((*name).to_owned()),
            GeneralName::IPAddress(octets) => {
                address(octets).map_or_else(|| Name::Other("damaged address".to_owned()), Name::Ip)
            }
            other => Name::Other(other.to_string()),
        })
        .collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn usages(certificate: &X509Certificate) -> Vec<String> {
    let Ok(Some(extension)) = certificate.extended_key_usage() else {
        return Vec::new();
    };
    let usage = extension.value;
    let known = [(usage.server_auth, "server"), (usage.client_auth, "client")];
    known
        .into_iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| name.to_owned())
        .chain(usage.other.iter().map(ToString::to_string))
        .collect()
}

fn key(key: &SubjectPublicKeyInfo) -> String {
    let oid = key.algorithm.algorithm.to_id_string();
    let curve = || {
        let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
        Some(match curve.to_id_string().as_str() {
            "1.2.840.10045.3.1.7" => "P-256".to_owned(),
            "1.3.132.0.34" => "P-384".to_owned(),
            "1.3.132.0.35" => "P-521".to_owned(),
            other => other.to_owned(),
        })
    };
    match (oid.as_str(), key.parsed()) {
        ("1.3.101.112", _) => "Ed25519".to_owned(),
        ("1.3.101.113", _) => "Ed448".to_owned(),
        (_, Ok(PublicKey::RSA(rsa))) => format!("RSA {}", rsa.key_size()),
        (_, Ok(PublicKey::EC(_))) => format!("ECDSA {}", curve().unwrap_or_default()),
        _ => oid,
    }
}

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}
