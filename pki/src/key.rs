//! Private keys.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use crate::{PkiError, files};

/// Keys that can be made. RSA keys can only be brought, see [`Key::Existing`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum KeyAlgorithm {
    /// ECDSA on the curve P-256
    #[default]
    EcdsaP256,
    /// ECDSA on the curve P-384
    EcdsaP384,
    /// Ed25519
    Ed25519,
}

impl KeyAlgorithm {
    /// A new key.
    pub(crate) fn generate(self) -> Result<KeyPair, PkiError> {
        let algorithm = match self {
            Self::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
            Self::EcdsaP384 => &PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &PKCS_ED25519,
        };
        Ok(KeyPair::generate_for(algorithm)?)
    }
}

/// Where the key of a certificate comes from.
#[derive(Clone, Debug)]
pub enum Key {
    /// It is made.
    New(KeyAlgorithm),
    /// It is in this file, as PKCS#8 in PEM. It may also be an RSA key.
    Existing(PathBuf),
}

impl Default for Key {
    fn default() -> Self {
        Self::New(KeyAlgorithm::default())
    }
}

impl Key {
    /// The key itself.
    pub(crate) fn pair(&self) -> Result<KeyPair, PkiError> {
        match self {
            Self::New(algorithm) => algorithm.generate(),
            Self::Existing(path) => read(path),
        }
    }
}

/// Reads a key.
pub fn read(path: &Path) -> Result<KeyPair, PkiError> {
    let text = files::read(path)?;
    let remedy = if text.contains("ENCRYPTED") {
        "Decrypt it: openssl pkcs8 -in KEY -out PLAIN.key"
    } else if text.contains("RSA PRIVATE KEY") || text.contains("EC PRIVATE KEY") {
        "Convert it: openssl pkcs8 -topk8 -nocrypt -in KEY -out PKCS8.key"
    } else {
        "It must be an ECDSA key on P-256 or P-384, an Ed25519 key or an RSA key of 2048 to 4096 \
         bits, in a file that begins with BEGIN PRIVATE KEY"
    };
    KeyPair::from_pem(&text).map_err(|error| PkiError::Content {
        path: path.to_owned(),
        reason: error.to_string().to_lowercase(),
        remedy,
    })
}
