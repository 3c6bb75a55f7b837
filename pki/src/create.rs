//! Making an authority.

use std::{path::Path, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

use crate::{
    Authority, KeyAlgorithm, PkiError, Serial,
    authority::Paths,
    files::{self, Mode},
    index::Index,
};

/// Certificates begin this long before now, to allow for clock skew.
pub const BACKDATED: Duration = Duration::from_mins(5);
/// How long a revocation list is valid.
const CRL_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// Characters of an authority's name at most: with `intermediate` after it, it must fit into a
/// common name of 64 (RFC 5280, A.1).
const NAME_LENGTH: usize = 48;
/// Organisation in the certificates of an authority.
const ORGANIZATION: &str = "For labs and tests only";
const REMEDY: &str = "choose another directory, or move it away";

/// Options of a new authority.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name, which its certificates carry.
    pub name: String,
    /// Its keys.
    pub algorithm: KeyAlgorithm,
    /// How long it is valid.
    pub lifetime: Duration,
    /// Whether an intermediate issues certificates, not the root.
    pub intermediate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "manoward lab CA".to_owned(),
            algorithm: KeyAlgorithm::default(),
            lifetime: Duration::from_hours(3650 * 24),
            intermediate: false,
        }
    }
}

impl Authority {
    /// Makes an authority in `directory`, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// If something of another authority is there.
    pub fn create(directory: &Path, options: &Options) -> Result<Self, PkiError> {
        let length = options.name.chars().count();
        if length == 0 || length > NAME_LENGTH || options.name.contains(char::is_control) {
            return Err(PkiError::request(
                format!("an authority cannot be named `{}`", options.name),
                format!("give it a name of 1 to {NAME_LENGTH} characters"),
            ));
        }
        files::create_directory(directory)?;
        let _lock = files::lock(directory)?;
        let paths = Paths::of(directory);
        let index = Index::path(directory);
        for path in paths.all().into_iter().chain([index.as_path()]) {
            files::must_not_exist(path, REMEDY)?;
        }
        files::create_directory(&paths.issued)?;
        let now = OffsetDateTime::now_utc();
        let end = now + options.lifetime;
        let root = root(options, now, end)?;
        files::create(
            &paths.root_key,
            &root.key().serialize_pem(),
            Mode::Private,
            REMEDY,
        )?;
        files::create(&paths.root, &root.pem(), Mode::Public, REMEDY)?;
        let crl = if options.intermediate {
            let issuer = intermediate(options, now, end, &root)?;
            let key = issuer.key().serialize_pem();
            files::create(&paths.intermediate_key, &key, Mode::Private, REMEDY)?;
            files::create(&paths.intermediate, &issuer.pem(), Mode::Public, REMEDY)?;
            // The root's key may be kept elsewhere, so its list is valid as long as the root.
            let of_root = sign_crl(&root, 1, Vec::new(), now, end)?;
            let of_issuer = sign_crl(&issuer, 1, Vec::new(), now, next_update(now, end))?;
            format!("{of_issuer}{of_root}")
        } else {
            sign_crl(&root, 1, Vec::new(), now, next_update(now, end))?
        };
        files::create(&paths.crl, &crl, Mode::Public, REMEDY)?;
        let index = Index {
            crl_number: 1,
            issued: Vec::new(),
        };
        index.write(directory)?;
        Self::open(directory)
    }
}

/// `nextUpdate` of a list that is signed `now` by an authority that expires at `end`.
pub fn next_update(now: OffsetDateTime, end: OffsetDateTime) -> OffsetDateTime {
    end.min(now + CRL_LIFETIME).max(now + BACKDATED)
}

/// A signed revocation list, as PEM.
pub fn sign_crl(
    issuer: &Issuer<'_, KeyPair>,
    number: u64,
    revoked: Vec<RevokedCertParams>,
    now: OffsetDateTime,
    next_update: OffsetDateTime,
) -> Result<String, PkiError> {
    let list = CertificateRevocationListParams {
        this_update: now - BACKDATED,
        next_update,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(list.signed_by(issuer)?.pem()?)
}

type Ca = CertifiedIssuer<'static, KeyPair>;

fn root(options: &Options, now: OffsetDateTime, end: OffsetDateTime) -> Result<Ca, PkiError> {
    let below = u8::from(options.intermediate);
    let params = params(&options.name, now, end, below)?;
    Ok(Ca::self_signed(params, options.algorithm.generate()?)?)
}

fn intermediate(
    options: &Options,
    now: OffsetDateTime,
    end: OffsetDateTime,
    root: &Ca,
) -> Result<Ca, PkiError> {
    let mut params = params(&format!("{} intermediate", options.name), now, end, 0)?;
    params.use_authority_key_identifier_extension = true;
    Ok(Ca::signed_by(params, options.algorithm.generate()?, root)?)
}

/// The certificate of an authority; `below` is its path length constraint.
fn params(
    name: &str,
    now: OffsetDateTime,
    end: OffsetDateTime,
    below: u8,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(Serial::random()?.octets()));
    params.not_before = now - BACKDATED;
    params.not_after = end;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}
