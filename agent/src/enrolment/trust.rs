//! The host's certificate, authorities and revocation lists, as read at one time, ready for
//! handshakes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::{server::NoServerSessionStorage, sign::SingleCertAndKey, version::TLS13};
use rustls_pki_types::CertificateDer;

use super::{
    Refusal,
    chain::Verifier,
    client::ClientWitness,
    facts::Certificate,
    lists::RevocationList,
    pki::{self, Contents, KeyPair, PkiError, Seed},
    refusal::Reason,
    wire,
};
use crate::files::Owner;

/// How long before its expiry a certificate is reported.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long before its expiry a revocation list is reported: shorter, as lists are replaced often.
const NOTICE_OF_LIST: SignedDuration = SignedDuration::from_hours(6);
const LIST: &str = "CRL";

/// What an expired revocation list means for the certificates of its issuer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StaleCrl {
    /// They are refused: some of them may have been revoked since.
    #[default]
    Refuse,
    /// The old list is used further. Choose this if a late list must not interrupt management
    /// traffic.
    Accept,
}

/// The files that authentication needs.
#[derive(Clone, Debug)]
pub struct Files {
    /// The host's certificate, followed by its intermediates, PEM.
    pub certificate: PathBuf,
    /// The key of the host's certificate, PEM.
    pub key: PathBuf,
    /// Authorities that endpoints' certificates are verified against, PEM.
    pub ca: PathBuf,
    /// Revocation lists, PEM or DER. Certificates of an authority without a list are accepted.
    pub crls: Vec<PathBuf>,
    /// What an expired list means.
    pub stale_crl: StaleCrl,
}

impl Files {
    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key, &self.ca]
            .into_iter()
            .chain(&self.crls)
            .map(PathBuf::as_path)
    }

    /// Reads all of them.
    ///
    /// # Errors
    ///
    /// The first that cannot be read, or that others may write to.
    pub fn read(&self) -> Result<FileContents, PkiError> {
        let read = |file: &PathBuf| Contents::read(file, Owner::Trusted);
        Ok(FileContents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            ca: read(&self.ca)?,
            crls: self.crls.iter().map(read).collect::<Result<_, _>>()?,
        })
    }
}

/// What was in the [`Files`] at one time.
#[derive(Clone, Debug)]
pub struct FileContents {
    /// The host's certificate.
    pub certificate: Contents,
    /// Its key.
    pub key: Contents,
    /// The authorities.
    pub ca: Contents,
    /// The revocation lists.
    pub crls: Vec<Contents>,
}

/// A file whose content expires soon, or has expired.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiring {
    /// Its kind: `certificate`, `CA certificate` or `CRL`.
    pub what: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The subject of a certificate, or the issuer of a list.
    pub name: String,
    /// When it expires.
    pub until: Timestamp,
}

impl fmt::Display for Expiring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            file,
            name,
            until,
        } = self;
        let file = file.display();
        let until = Timestamp::from_second(until.as_second()).unwrap_or(*until);
        let (tense, remedy) = match (until <= Timestamp::now(), *what) {
            (true, LIST) => ("expired", "a newer list"),
            (true, _) => ("expired", "a new one"),
            (false, LIST) => ("expires", "a newer list"),
            (false, _) => ("expires", "a new one"),
        };
        write!(
            formatter,
            "the {what} of {name} in {file} {tense} at {until}: put {remedy} there"
        )
    }
}

/// The files, as read at one time.
#[derive(Debug)]
pub(super) struct Trust {
    pair: KeyPair,
    verifier: Arc<Verifier>,
    lasting: Vec<Expiring>,
    /// Lists that are used for nothing, in sentences.
    unused: Vec<String>,
}

impl Trust {
    /// Reads all files.
    pub(super) fn read(files: &Files) -> Result<Self, PkiError> {
        Self::of(files, &files.read()?)
    }

    /// What `contents` say, which were read from `files`.
    pub(super) fn of(files: &Files, contents: &FileContents) -> Result<Self, PkiError> {
        let pair = pki::key_pair(&contents.certificate, &contents.key)?;
        let (roots, authorities) = pki::roots(&contents.ca)?;
        let certificates = pki::certificates(&contents.ca)?;
        let mut lists = Vec::new();
        for contents in &contents.crls {
            lists.extend(pki::revocation_lists(contents)?);
        }
        let verifier = Verifier::new(roots, certificates, lists, files.stale_crl);
        let verifier = verifier.map_err(|reason| PkiError::Damaged {
            file: files.ca.clone(),
            reason,
        })?;
        let (counting, strange) = verifier.lists();
        let lasting = lasting(files, &pair, &authorities, &counting);
        let unused = strange.into_iter().map(|list| {
            format!(
                "the CRL of {} in {} was signed by no authority of this name in {}, and is used for nothing: put its own list there, or the authority's new certificate into the bundle",
                list.issuer,
                list.file.display(),
                files.ca.display()
            )
        });
        Ok(Self {
            pair,
            lasting,
            unused: unused.collect(),
            verifier: Arc::new(verifier),
        })
    }

    /// Verifies a chain, which begins with the leaf, as the handshake does: until when it is valid.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<Timestamp, Refusal> {
        match chain.split_first() {
            Some((leaf, rest)) => self.verifier.verify(leaf, rest),
            None => Err(Refusal::new(Reason::NoCertificate, "no certificate")),
        }
    }

    /// Lists that are used for nothing, in sentences.
    pub(super) fn unused(&self) -> &[String] {
        &self.unused
    }

    /// The configuration for one handshake, and the verifier that knows why it failed.
    pub(super) fn handshake(&self) -> Result<(QuicServerConfig, Arc<ClientWitness>), String> {
        let witness = Arc::new(ClientWitness::new(&self.verifier));
        let resolver = SingleCertAndKey::from(Arc::clone(&self.pair.certified));
        let mut tls = rustls::ServerConfig::builder_with_provider(pki::provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(Arc::clone(&witness) as _)
            .with_cert_resolver(Arc::new(resolver));
        tls.alpn_protocols = vec![wire::ALPN.to_vec()];
        // Every session proves its certificate: no resumption, no early data.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.max_early_data_size = 0;
        let quic = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
        Ok((quic, witness))
    }

    /// A secret derived from the host's key.
    pub(super) const fn seed(&self) -> &Seed {
        &self.pair.seed
    }

    /// What expires soon after `now` or has expired, sorted by expiry.
    pub(super) fn expiring(&self, now: Timestamp) -> Vec<Expiring> {
        let mut expiring: Vec<_> = self
            .lasting
            .iter()
            .filter(|lasting| {
                let notice = match lasting.what {
                    LIST => NOTICE_OF_LIST,
                    _ => NOTICE,
                };
                lasting.until.duration_since(now) < notice
            })
            .cloned()
            .collect();
        expiring.sort_by_key(|lasting| lasting.until);
        expiring
    }
}

fn lasting(
    files: &Files,
    pair: &KeyPair,
    authorities: &[Certificate],
    lists: &[&RevocationList],
) -> Vec<Expiring> {
    let certificate = |what, file: &PathBuf, certificate: &Certificate| Expiring {
        what,
        file: file.clone(),
        name: certificate.facts.subject.clone(),
        until: certificate.facts.not_after,
    };
    let own = certificate("certificate", &files.certificate, &pair.leaf);
    let authorities = authorities
        .iter()
        .map(|authority| certificate("CA certificate", &files.ca, authority));
    let lists = lists.iter().filter_map(|list| {
        Some(Expiring {
            what: LIST,
            file: list.file.clone(),
            name: list.issuer.clone(),
            until: list.next_update?,
        })
    });
    [own].into_iter().chain(authorities).chain(lists).collect()
}
