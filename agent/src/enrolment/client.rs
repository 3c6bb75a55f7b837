//! Has rustls verify an endpoint's certificate by the rules of [`Verifier`], and remembers what came of it:
//! after a handshake rustls tells neither which certificate was refused nor exactly why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::verify_tls13_signature,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{Certificate, Refusal, chain::Verifier, pki};

/// Verifies the certificate of one handshake.
#[derive(Debug)]
pub(super) struct ClientWitness {
    verifier: Arc<Verifier>,
    verified: Mutex<Option<Result<Timestamp, Refused>>>,
}

/// A handshake that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// Why.
    pub(super) refusal: Refusal,
    /// The certificate that was shown, verified or not; `None` if there was no readable one.
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

impl ClientWitness {
    pub(super) fn new(verifier: &Arc<Verifier>) -> Self {
        Self {
            verifier: Arc::clone(verifier),
            verified: Mutex::default(),
        }
    }

    fn verified(&self) -> MutexGuard<'_, Option<Result<Timestamp, Refused>>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was found: until when the chain is valid, or why it was refused; `None` if no
    /// certificate was shown.
    pub(super) fn take(&self) -> Option<Result<Timestamp, Refused>> {
        self.verified().take()
    }
}

impl ClientCertVerifier for ClientWitness {
    /// The authorities are not named to peers, which need not know whom this host trusts.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify(leaf, intermediates);
        let (told, kept) = match verified {
            Ok(until) => (Ok(ClientCertVerified::assertion()), Ok(until)),
            Err(refusal) => {
                let shown = Certificate::read(leaf).ok();
                (Err(Error::from(&refusal)), Err(Refused { refusal, shown }))
            }
        };
        *self.verified() = Some(kept);
        told
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // QUIC has TLS 1.3 only.
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let provider = pki::provider();
        let algorithms = &provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        pki::provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
