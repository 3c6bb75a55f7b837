//! What an endpoint proves itself with, and whom it trusts.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    sign::SingleCertAndKey,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::enrolment::{
    Certificate,
    pki::{self, KeyPair, PkiError},
    wire,
};

/// The files of an endpoint.
#[derive(Clone, Debug)]
pub struct Files {
    /// Its certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// The key of its certificate, PEM.
    pub key: PathBuf,
    /// Authorities of hosts, PEM.
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

/// The files of one moment.
#[derive(Debug)]
pub struct Credentials {
    /// Where they are from.
    pub files: Files,
    pair: KeyPair,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Credentials {
    /// Reads the files, and checks that they fit each other.
    pub fn read(files: &Files) -> Result<Self, PkiError> {
        let pair = pki::key_pair(&files.certificate, &files.key)?;
        let (roots, _) = pki::roots(&files.ca)?;
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

    /// A configuration for one handshake, and who tells why it failed.
    pub(super) fn handshake(&self) -> Result<(QuicClientConfig, Arc<Witness>), String> {
        let witness = Arc::new(Witness {
            verifier: Arc::clone(&self.verifier),
            error: Mutex::new(None),
        });
        let resolver = SingleCertAndKey::from(Arc::clone(&self.pair.certified));
        let mut tls = rustls::ClientConfig::builder_with_provider(pki::provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            // It verifies as usual and remembers what was wrong.
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as _)
            .with_client_cert_resolver(Arc::new(resolver));
        tls.alpn_protocols = vec![wire::ALPN.to_vec()];
        tls.resumption = Resumption::disabled();
        let quic = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
        Ok((quic, witness))
    }
}

/// Verifies the host's certificate and remembers why it was not trusted, which the connection's
/// error does not tell exactly.
#[derive(Debug)]
pub(super) struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    error: Mutex<Option<rustls::Error>>,
}

impl Witness {
    /// Why the host is not trusted; `None` if it is.
    pub(super) fn error(&self) -> Option<rustls::Error> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .verifier
            .verify_server_cert(leaf, intermediates, name, ocsp, now);
        if let Err(error) = &verified {
            let mut last = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(error.clone());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
