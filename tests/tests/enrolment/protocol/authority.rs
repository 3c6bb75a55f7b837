//! Authorities and what they issue.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams,
    CrlIssuingDistributionPoint, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

pub const DAY: Duration = Duration::DAY;

/// The content of a certificate to issue.
pub struct Profile {
    pub sans: Vec<SanType>,
    pub usage: Vec<ExtendedKeyUsagePurpose>,
    pub key_usage: Vec<KeyUsagePurpose>,
    pub from: OffsetDateTime,
    pub until: OffsetDateTime,
}

impl Profile {
    /// For an endpoint with a SPIFFE ID.
    pub fn endpoint(id: &str) -> Self {
        Self {
            sans: vec![SanType::URI(id.try_into().unwrap())],
            usage: vec![ExtendedKeyUsagePurpose::ClientAuth],
            key_usage: vec![KeyUsagePurpose::DigitalSignature],
            from: OffsetDateTime::now_utc() - DAY,
            until: OffsetDateTime::now_utc() + DAY * 90,
        }
    }

    /// For a host on loopback.
    pub fn host() -> Self {
        Self {
            sans: vec![
                SanType::DnsName("localhost".try_into().unwrap()),
                SanType::IpAddress([127, 0, 0, 1].into()),
                SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()),
            ],
            usage: vec![ExtendedKeyUsagePurpose::ServerAuth],
            ..Self::endpoint("spiffe://unused")
        }
    }

    pub fn valid(mut self, from: OffsetDateTime, until: OffsetDateTime) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    pub fn usage(mut self, usage: &[ExtendedKeyUsagePurpose]) -> Self {
        self.usage = usage.to_vec();
        self
    }

    pub fn key_usage(mut self, usage: &[KeyUsagePurpose]) -> Self {
        self.key_usage = usage.to_vec();
        self
    }

    pub fn sans(mut self, sans: &[SanType]) -> Self {
        self.sans = sans.to_vec();
        self
    }

    fn params(&self) -> CertificateParams {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "under test");
        params.subject_alt_names.clone_from(&self.sans);
        params.extended_key_usages.clone_from(&self.usage);
        params.key_usages.clone_from(&self.key_usage);
        params.not_before = self.from;
        params.not_after = self.until;
        params.serial_number = Some(SERIAL.fetch_add(1, Ordering::Relaxed).into());
        params
    }
}

/// A certificate with its key in two files.
#[derive(Clone)]
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub serial: SerialNumber,
}

/// An authority with its certificate in a file.
pub struct Authority {
    pub file: PathBuf,
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    name: String,
    pem: String,
    /// PEM of the intermediates, which follow a leaf.
    above: String,
}

impl Authority {
    pub fn new(directory: &Path, name: &str) -> Self {
        Self::with(directory, name, |_| {})
    }

    /// An authority whose certificate is changed before it is made.
    pub fn with(directory: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority(name);
        change(&mut params);
        let pem = params.self_signed(&key).unwrap().pem();
        let file = directory.join(format!("{name}.pem"));
        fs::write(&file, &pem).unwrap();
        Self {
            file,
            directory: directory.into(),
            issuer: Issuer::new(params, key),
            name: name.into(),
            pem,
            above: String::new(),
        }
    }

    /// The same authority with a certificate that is valid now.
    pub fn renewed(&self) -> Self {
        let key = KeyPair::from_pem(&self.issuer.key().serialize_pem()).unwrap();
        let params = authority(&self.name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            file: self.file.clone(),
            directory: self.directory.clone(),
            issuer: Issuer::new(params, key),
            name: self.name.clone(),
            pem,
            above: String::new(),
        }
    }

    /// An intermediate of this authority, and the intermediate's serial.
    pub fn intermediate(&self, name: &str) -> (Self, SerialNumber) {
        self.intermediate_with(name, |_| {})
    }

    /// An intermediate whose certificate is changed before it is made.
    pub fn intermediate_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Self, SerialNumber) {
        let key = KeyPair::generate().unwrap();
        let mut params = authority(name);
        change(&mut params);
        let serial = SerialNumber::from(4711);
        params.serial_number = Some(serial.clone());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let below = Self {
            file: self.file.clone(),
            directory: self.directory.clone(),
            issuer: Issuer::new(params, key),
            name: name.into(),
            above: format!("{pem}{}", self.above),
            pem,
        };
        (below, serial)
    }

    pub fn issue(&self, name: &str, profile: &Profile) -> Issued {
        let key = KeyPair::generate().unwrap();
        let params = profile.params();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = format!("{}{}", certificate.pem(), self.above);
        self.write(name, &pem, &key, &params)
    }

    /// A self-signed certificate.
    pub fn self_signed(&self, name: &str, profile: &Profile) -> Issued {
        let key = KeyPair::generate().unwrap();
        let params = profile.params();
        let pem = params.self_signed(&key).unwrap().pem();
        self.write(name, &pem, &key, &params)
    }

    fn write(&self, name: &str, pem: &str, key: &KeyPair, params: &CertificateParams) -> Issued {
        let issued = Issued {
            certificate: self.directory.join(format!("{name}.crt")),
            key: self.directory.join(format!("{name}.key")),
            serial: params.serial_number.clone().unwrap(),
        };
        replace(&issued.key, &key.serialize_pem());
        replace(&issued.certificate, pem);
        issued
    }

    /// Writes a list of the revoked into `file`.
    pub fn revoke(&self, file: &Path, revoked: &[&SerialNumber], next_update: OffsetDateTime) {
        replace(file, &self.list(1, revoked, next_update, None));
    }

    /// A list with a number, for a part of the certificates or for all, PEM.
    pub fn list(
        &self,
        number: u64,
        revoked: &[&SerialNumber],
        next_update: OffsetDateTime,
        part: Option<CrlIssuingDistributionPoint>,
    ) -> String {
        let entry = |serial: &&SerialNumber| RevokedCertParams {
            serial_number: (*serial).clone(),
            revocation_time: OffsetDateTime::now_utc() - Duration::HOUR,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: next_update - DAY * 30,
            next_update,
            crl_number: number.into(),
            issuing_distribution_point: part,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// Adds this authority to another bundle.
    pub fn join_bundle(&self, bundle: &Path) {
        let pem = fs::read_to_string(bundle).unwrap() + &self.pem;
        replace(bundle, &pem);
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = OffsetDateTime::now_utc() - DAY * 2;
    params.not_after = OffsetDateTime::now_utc() + DAY * 365;
    params
}

/// Replaces a file at once, as renewal programs do.
pub fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}
