//! Issuing certificates.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SerialNumber,
};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    Authority, Key, Name, PkiError, Serial,
    authority::Signer,
    create::BACKDATED,
    files::{self, Mode},
    index::{Index, Record},
};

/// Default lifetime of a certificate.
const LIFETIME: Duration = Duration::from_hours(90 * 24);
/// Characters of a common name at most (RFC 5280, A.1).
const COMMON_NAME: usize = 64;
/// Names of an authority's own files.
const RESERVED: [&str; 3] = ["ca", "crl", "intermediate"];
const REMEDY: &str = "choose another name or --out, or move it away";

/// What a certificate is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Purpose {
    /// An endpoint, which is a TLS client.
    #[default]
    Endpoint,
    /// A host that is a TLS server, and a client of others.
    Host,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, Default)]
pub enum Validity {
    /// From now on for 90 days, or until its issuer expires.
    #[default]
    Usual,
    /// From now on for this time; the issuer must not expire earlier.
    For(Duration),
    /// Between two times, which are not checked: for tests.
    Between(OffsetDateTime, OffsetDateTime),
}

/// A request for a certificate.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What its files are called; also the common name of its subject.
    pub name: String,
    /// Its subject alternative names.
    pub names: Vec<Name>,
    /// What it is for.
    pub purpose: Purpose,
    /// When it is valid.
    pub validity: Validity,
    /// Its key.
    pub key: Key,
}

/// What was issued.
#[derive(Clone, Debug, Serialize)]
pub struct Issued {
    /// Its serial.
    pub serial: Serial,
    /// The file with the certificate, and the intermediate's after it.
    pub certificate: PathBuf,
    /// The file with its key.
    pub key: PathBuf,
}

impl Request {
    /// An endpoint's certificate of the usual kind.
    #[must_use]
    pub fn endpoint(name: &str, names: impl Into<Vec<Name>>) -> Self {
        Self {
            name: name.to_owned(),
            names: names.into(),
            ..Self::default()
        }
    }

    /// A host's certificate of the usual kind.
    #[must_use]
    pub fn host(name: &str, names: impl Into<Vec<Name>>) -> Self {
        Self {
            purpose: Purpose::Host,
            ..Self::endpoint(name, names)
        }
    }

    /// Checks names and purpose.
    fn check(&self) -> Result<(), PkiError> {
        let is_sign = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
        if !self
            .name
            .starts_with(|first: char| first.is_ascii_alphanumeric())
            || !self.name.chars().all(is_sign)
            || self.name.len() > COMMON_NAME
        {
            return Err(PkiError::request(
                format!("`{}` cannot name files", self.name),
                "use 1 to 64 letters, digits, -, _ and ., a letter or digit first",
            ));
        }
        if RESERVED.contains(&self.name.as_str()) {
            return Err(PkiError::request(
                format!("`{}` is a name of the authority's own files", self.name),
                "choose another name",
            ));
        }
        if self.names.is_empty() {
            return Err(PkiError::request(
                "the certificate names nobody",
                "give it a name with --uri, --dns or --ip",
            ));
        }
        let uris = self
            .names
            .iter()
            .filter(|name| matches!(name, Name::Uri(_)));
        if self.names.iter().any(Name::is_spiffe) && uris.count() > 1 {
            return Err(PkiError::request(
                "a certificate with a SPIFFE ID has no other URI",
                "issue a certificate for each --uri",
            ));
        }
        let is_server_name = |name: &Name| matches!(name, Name::Dns(_) | Name::Ip(_));
        if self.purpose == Purpose::Host && !self.names.iter().any(is_server_name) {
            return Err(PkiError::request(
                "TLS clients find no name of the host in this certificate",
                "give it one with --dns or --ip",
            ));
        }
        Ok(())
    }

    /// When the certificate begins and ends.
    fn period(
        &self,
        now: OffsetDateTime,
        signer: &Signer,
    ) -> Result<(OffsetDateTime, OffsetDateTime), PkiError> {
        let end = match self.validity {
            Validity::Between(start, end) => return Ok((start, end)),
            Validity::Usual => signer.end.min(now + LIFETIME),
            Validity::For(time) => now + time,
        };
        if end > signer.end || end <= now {
            let date = signer.end.date();
            return Err(PkiError::request(
                format!("the certificate would outlive its authority, which expires on {date}"),
                "shorten it with --days or --hours, or make a new authority",
            ));
        }
        Ok((now - BACKDATED, end))
    }

    /// The certificate to be signed.
    fn params(&self, serial: &Serial) -> Result<CertificateParams, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.name.as_str());
        params.subject_alt_names = self.names.iter().map(Name::san).collect::<Result<_, _>>()?;
        params.serial_number = Some(SerialNumber::from_slice(serial.octets()));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match self.purpose {
            Purpose::Endpoint => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Host => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
        };
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

impl Authority {
    /// Issues a certificate and writes it into the directory `out`: `NAME.pem` and, if the key is
    /// new, `NAME.key`.
    ///
    /// # Errors
    ///
    /// If such a file exists, or the request is invalid.
    pub fn issue(&self, request: &Request, out: &Path) -> Result<Issued, PkiError> {
        request.check()?;
        let _lock = files::lock(&self.directory)?;
        files::create_directory(out)?;
        let certificate = out.join(format!("{}.pem", request.name));
        let new_key = out.join(format!("{}.key", request.name));
        files::must_not_exist(&certificate, REMEDY)?;
        if matches!(request.key, Key::New(_)) {
            files::must_not_exist(&new_key, REMEDY)?;
        }
        let signer = self.signer()?;
        let serial = Serial::random()?;
        let mut params = request.params(&serial)?;
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = request.period(now, &signer)?;
        let pair = request.key.pair()?;
        let leaf = params.signed_by(&pair, &signer.issuer)?;

        // Recorded before it is handed out, so that it can be revoked.
        let mut index = Index::read(&self.directory)?;
        let copy = self.copy(&serial.to_string());
        files::create(&copy, &leaf.pem(), Mode::Public, REMEDY)?;
        index.issued.push(Record {
            name: request.name.clone(),
            serial: serial.clone(),
            not_after: params.not_after.unix_timestamp(),
            revoked: None,
        });
        index.write(&self.directory)?;
        self.refresh_crl(&mut index, &signer, now)?;
        let key = match &request.key {
            Key::Existing(path) => path.clone(),
            Key::New(_) => {
                files::create(&new_key, &pair.serialize_pem(), Mode::Private, REMEDY)?;
                new_key
            }
        };
        let text = format!("{}{}", leaf.pem(), signer.chain);
        files::create(&certificate, &text, Mode::Public, REMEDY)?;
        Ok(Issued {
            serial,
            certificate,
            key,
        })
    }
}
