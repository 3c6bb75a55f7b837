//! A certificate verifier that remembers what it refused.
//!
//! After a handshake rustls reports that a certificate was refused, but neither which one nor
//! exactly why. So both sides verify with a [`Witness`]: it has the verifier of rustls decide, and
//! keeps the certificate and the error if that refuses.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Verifies the certificate of one handshake, and remembers it if it is refused.
#[derive(Debug)]
pub(crate) struct Witness<V: ?Sized> {
    refused: Mutex<Option<Refused>>,
    verifier: Arc<V>,
}

/// A certificate that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The first certificate of the chain that the peer sent.
    pub(crate) leaf: CertificateDer<'static>,
    /// Why.
    pub(crate) error: Error,
}

impl<V: ?Sized> Witness<V> {
    /// A witness that has `verifier` decide.
    pub(crate) fn new(verifier: &Arc<V>) -> Arc<Self> {
        Arc::new(Self {
            refused: Mutex::new(None),
            verifier: Arc::clone(verifier),
        })
    }

    /// Takes what was refused; `None` if nothing was since the last call.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Remembers `leaf` if it was refused.
    fn remember<T>(&self, leaf: &CertificateDer<'_>, verified: &Result<T, Error>) {
        if let Err(error) = verified {
            let refused = Refused {
                leaf: leaf.clone().into_owned(),
                error: error.clone(),
            };
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        }
    }
}

/// The methods that both traits have: checks of signatures are left to the inner verifier.
macro_rules! signatures {
    () => {
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
    };
}

/// On the host: verifies an endpoint's certificate.
impl ClientCertVerifier for Witness<dyn ClientCertVerifier> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(leaf, intermediates, now);
        self.remember(leaf, &verified);
        verified
    }

    signatures!();
}

/// On an endpoint: verifies a host's certificate.
impl ServerCertVerifier for Witness<WebPkiServerVerifier> {
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
        self.remember(leaf, &verified);
        verified
    }

    signatures!();
}
