//! An endpoint's certificate and key, and the authorities that it trusts.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::{
    client::{Resumption, WebPkiServerVerifier},
    sign::SingleCertAndKey,
    version::TLS13,
};

use crate::{
    enrolment::{
        Certificate,
        pki::{self, Contents, KeyPair, PkiError},
        wire,
        witness::Witness,
    },
    files::Owner,
};

/// The files of an endpoint.
#[derive(Clone, Debug)]
pub struct Files {
    /// Its certificate, followed by its intermediates, PEM.
    pub certificate: PathBuf,
    /// The key of its certificate, PEM.
    pub key: PathBuf,
    /// Authorities that hosts' certificates are verified against, PEM.
    pub ca: PathBuf,
}

impl Files {
    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key, &self.ca]
            .into_iter()
            .map(PathBuf::as_path)
    }
}

/// Verifies a host's certificate, and remembers why it was refused.
pub(super) type ServerWitness = Witness;

/// The files, as read at one time.
#[derive(Debug)]
pub struct Credentials {
    /// Paths of the files.
    pub files: Files,
    pair: KeyPair,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Credentials {
    /// Reads the files, and checks that certificate and key belong together.
    pub fn read(files: &Files) -> Result<Self, PkiError> {
        let read = |file: &Path| Contents::read(file, Owner::Anyone);
        let pair = pki::key_pair(&read(&files.certificate)?, &read(&files.key)?)?;
        let (roots, _) = pki::roots(&read(&files.ca)?)?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), pki::provider())
                .build()
                .map_err(|error| PkiError::Unusable {
                    file: files.ca.clone(),
                    reason: error.to_string(),
                })?;
        Ok(Self {
            files: files.clone(),
            pair,
            verifier,
        })
    }

    /// The endpoint's certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.pair.leaf
    }

    /// The configuration for one handshake, and the verifier that knows why it failed.
    pub(super) fn handshake(&self) -> Result<(QuicClientConfig, Arc<ServerWitness>), String> {
        let witness = Witness::new(&self.verifier);
        let resolver = SingleCertAndKey::from(Arc::clone(&self.pair.certified));
        let mut tls = rustls::ClientConfig::builder_with_provider(pki::provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            // Not dangerous here: it verifies as usual, and remembers what it refused.
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as _)
            .with_client_cert_resolver(Arc::new(resolver));
        tls.alpn_protocols = vec![wire::ALPN.to_vec()];
        tls.resumption = Resumption::disabled();
        let quic = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
        Ok((quic, witness))
    }
}
