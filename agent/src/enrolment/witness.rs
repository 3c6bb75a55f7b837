//! A verifier of hosts' certificates that remembers what it refused.
//!
//! After a handshake rustls reports that a certificate was refused, but not exactly why. So endpoints
//! verify with a [`Witness`]: it has the verifier of rustls decide, and keeps the error if that refuses.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Verifies the certificate of one handshake, and remembers why if it is refused.
#[derive(Debug)]
pub(crate) struct Witness {
    refused: Mutex<Option<Error>>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Witness {
    /// A witness that has `verifier` decide.
    pub(crate) fn new(verifier: &Arc<WebPkiServerVerifier>) -> Arc<Self> {
        Arc::new(Self {
            refused: Mutex::new(None),
            verifier: Arc::clone(verifier),
        })
    }

    /// Takes why it was refused; `None` if nothing was since the last call.
    pub(crate) fn refused(&self) -> Option<Error> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Checks of signatures are left to the inner verifier.
impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .verifier
            .verify_server_cert(leaf, intermediates, name, ocsp, now);
        if let Err(error) = &verified {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
