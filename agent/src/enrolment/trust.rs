//! Whom the host trusts and how it proves itself: the files of one moment, ready for handshakes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::{
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    Refusal,
    facts::Certificate,
    pki::{self, KeyPair, PkiError, RevocationList, Seed},
    refusal::Reason,
    wire,
    witness::{self, Witness},
};

/// How long before its end a certificate is reported.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The same for a revocation list, which is replaced all the time.
const NOTICE_OF_LIST: SignedDuration = SignedDuration::from_hours(6);
const LIST: &str = "CRL";

/// What a revocation list that has run out means for the certificates of its authority.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StaleCrl {
    /// They are refused: nobody knows which of them were revoked since.
    #[default]
    Refuse,
    /// The old list goes on to count. Choose this where a late list must not cut management
    /// traffic.
    Accept,
}

/// The files that authentication needs.
#[derive(Clone, Debug)]
pub struct Files {
    /// The host's certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// The key of the host's certificate, PEM.
    pub key: PathBuf,
    /// Authorities of endpoints, PEM.
    pub ca: PathBuf,
    /// Revocation lists, PEM or DER. Certificates of an authority without a list pass.
    pub crls: Vec<PathBuf>,
    /// What a list that has run out means.
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
}

/// A file whose content expires soon, or has expired.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiring {
    /// What it is: `certificate`, `CA certificate` or `CRL`.
    pub what: &'static str,
    /// The file.
    pub file: PathBuf,
    /// Whose it is: the subject of a certificate, the issuer of a list.
    pub name: String,
    /// When it ends.
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
            (true, LIST) => ("ran out", "a newer list"),
            (true, _) => ("expired", "a new one"),
            (false, LIST) => ("runs out", "a newer list"),
            (false, _) => ("expires", "a new one"),
        };
        write!(
            formatter,
            "the {what} of {name} in {file} {tense} at {until}: put {remedy} there"
        )
    }
}

/// Who remembers why an endpoint's certificate was refused.
pub(super) type ClientWitness = Witness<dyn ClientCertVerifier>;

/// The files of one moment.
#[derive(Debug)]
pub(super) struct Trust {
    pair: KeyPair,
    verifier: Arc<dyn ClientCertVerifier>,
    lasting: Vec<Expiring>,
}

impl Trust {
    /// Reads all files.
    pub(super) fn read(files: &Files) -> Result<Self, PkiError> {
        let pair = pki::key_pair(&files.certificate, &files.key)?;
        let (roots, authorities) = pki::roots(&files.ca)?;
        let mut lists = Vec::new();
        for file in &files.crls {
            lists.extend(pki::revocation_lists(file)?.into_iter().map(|l| (file, l)));
        }
        let lasting = lasting(files, &pair, &authorities, &lists);
        let lists = lists.into_iter().map(|(_, list)| list.der);
        // Whom this host trusts is nobody's business, so that authorities are not named to peers.
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), pki::provider())
                .with_crls(lists)
                .clear_root_hint_subjects()
                .allow_unknown_revocation_status();
        if files.stale_crl == StaleCrl::Refuse {
            verifier = verifier.enforce_revocation_expiration();
        }
        let verifier = verifier.build().map_err(|error| PkiError::Unusable {
            file: files.crls.first().unwrap_or(&files.ca).clone(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            pair,
            verifier,
            lasting,
        })
    }

    /// Verifies a chain, its leaf first, as a handshake does.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Refusal> {
        let Some((leaf, rest)) = chain.split_first() else {
            return Err(Refusal::new(Reason::NoCertificate, "no certificate"));
        };
        match self
            .verifier
            .verify_client_cert(leaf, rest, UnixTime::now())
        {
            Ok(_) => Ok(()),
            Err(error) => Err(refusal(leaf, &error)),
        }
    }

    /// A configuration for one handshake, and who tells why it failed.
    pub(super) fn handshake(&self) -> Result<(QuicServerConfig, Arc<ClientWitness>), String> {
        let witness = Witness::new(&self.verifier);
        let resolver = SingleCertAndKey::from(Arc::clone(&self.pair.certified));
        let mut tls = rustls::ServerConfig::builder_with_provider(pki::provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(Arc::clone(&witness) as _)
            .with_cert_resolver(Arc::new(resolver));
        tls.alpn_protocols = vec![wire::ALPN.to_vec()];
        // Every session proves its certificate: none is resumed, and no data comes early.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.max_early_data_size = 0;
        let quic = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
        Ok((quic, witness))
    }

    /// A secret that lasts as long as the host's key.
    pub(super) const fn seed(&self) -> &Seed {
        &self.pair.seed
    }

    /// What ends within 30 days of `now`, the next first.
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
    lists: &[(&PathBuf, RevocationList)],
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
    let lists = lists.iter().filter_map(|(file, list)| {
        Some(Expiring {
            what: LIST,
            file: (*file).clone(),
            name: list.issuer.clone(),
            until: list.next_update?,
        })
    });
    [own].into_iter().chain(authorities).chain(lists).collect()
}

/// A handshake that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// Why.
    pub(super) refusal: Refusal,
    /// The certificate that was shown, proven or not; `None` if there was none that can be read.
    pub(super) shown: Option<Certificate>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            shown: None,
        }
    }
}

impl From<witness::Refused> for Refused {
    fn from(witness::Refused { leaf, error }: witness::Refused) -> Self {
        Self {
            refusal: refusal(&leaf, &error),
            shown: Certificate::read(&leaf).ok(),
        }
    }
}

/// Why `leaf` is refused.
fn refusal(leaf: &CertificateDer<'_>, error: &rustls::Error) -> Refusal {
    let refusal = Refusal::of_certificate(error);
    // A self-signed certificate is often one of an authority, which cannot prove an endpoint
    // whoever vouches for it; that nobody does is what the reader needs to know.
    let self_signed = Certificate::read(leaf).is_ok_and(|certificate| certificate.self_signed);
    match refusal.reason {
        Reason::Other | Reason::UnknownCa if self_signed => Refusal::new(
            Reason::UnknownCa,
            "the certificate is self-signed; endpoints need one of an authority in the CA bundle",
        ),
        _ => refusal,
    }
}
