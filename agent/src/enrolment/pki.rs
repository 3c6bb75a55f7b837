//! Reads certificates, keys and revocation lists from files.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{facts::Certificate, lists::RevocationList};
use crate::files::{self, Owner};

/// Largest file, in bytes; the CRL of a large authority has a few megabytes.
const LARGEST: u64 = 64 << 20;

/// Why files cannot be used.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}. Check the path, and who may read the file")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not contain what was expected.
    #[error("{file} contains no {what} in PEM form{hint}")]
    Missing {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What to do, beginning with a comma or full stop.
        hint: &'static str,
    },
    /// A file is damaged.
    #[error("{file} is not usable: {reason}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not belong together.
    #[error(
        "the key {key} does not belong to the first certificate in {certificate}. Give the key that the certificate was issued for"
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The contents of a file are well-formed, but cannot be used.
    #[error("cannot use {file}: {reason}")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The cryptography provider of rustls.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// A file's name, and what was in it.
#[derive(Clone)]
pub struct Contents {
    /// The file.
    pub file: PathBuf,
    /// What was in it.
    pub bytes: Vec<u8>,
}

impl Contents {
    /// Reads the file, which is to be the `owner`'s.
    ///
    /// # Errors
    ///
    /// [`PkiError::Read`].
    pub fn read(file: &Path, owner: Owner) -> Result<Self, PkiError> {
        let bytes = files::read(file, LARGEST, owner).map_err(|source| PkiError::Read {
            file: file.to_owned(),
            source,
        })?;
        Ok(Self {
            file: file.to_owned(),
            bytes,
        })
    }
}

/// A private key may be in it.
impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(formatter)
    }
}

/// A certificate chain with the key of its first certificate.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// Chain and key, as the handshake uses them.
    pub certified: Arc<CertifiedKey>,
    /// The first certificate's contents.
    pub leaf: Certificate,
    /// A secret derived from the key; it is the same as long as the key is.
    pub(super) seed: Seed,
}

/// A secret derived from a private key, from which the key cannot be computed: SHA-256 of a label
/// and the key.
#[derive(Clone)]
pub(super) struct Seed(pub(super) [u8; 32]);

impl Seed {
    fn of(key: &PrivateKeyDer<'_>) -> Self {
        let digest = Sha256::new_with_prefix(b"manoward/1 seed").chain_update(key.secret_der());
        Self(digest.finalize().into())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed")
    }
}

/// Reads a chain and its key, and checks that they belong together.
pub fn key_pair(certificate: &Contents, key: &Contents) -> Result<KeyPair, PkiError> {
    let chain = certificates(certificate)?;
    let leaf = Certificate::read(&chain[0]).map_err(|reason| PkiError::Damaged {
        file: certificate.file.clone(),
        reason,
    })?;
    let private = private_key(key)?;
    let seed = Seed::of(&private);
    let certified = CertifiedKey::from_der(chain, private, &provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => PkiError::Mismatch {
            certificate: certificate.file.clone(),
            key: key.file.clone(),
        },
        error => PkiError::Unusable {
            file: key.file.clone(),
            reason: format!("{error}. Keys are RSA, ECDSA on P-256 or P-384, or Ed25519"),
        },
    })?;
    Ok(KeyPair {
        certified: Arc::new(certified),
        leaf,
        seed,
    })
}

/// Reads the certificates of authorities; the store has them in the same order.
pub fn roots(file: &Contents) -> Result<(RootCertStore, Vec<Certificate>), PkiError> {
    let mut store = RootCertStore::empty();
    let mut read = Vec::new();
    for certificate in certificates(file)? {
        let damaged = |reason| PkiError::Damaged {
            file: file.file.clone(),
            reason,
        };
        read.push(Certificate::read(&certificate).map_err(damaged)?);
        store.add(certificate).map_err(|e| damaged(e.to_string()))?;
    }
    Ok((store, read))
}

/// Reads the revocation lists of a file, PEM or DER.
pub fn revocation_lists(contents: &Contents) -> Result<Vec<RevocationList>, PkiError> {
    let Contents { file, bytes } = contents;
    let lists: Vec<CertificateRevocationListDer<'static>> = if bytes.first() == Some(&0x30) {
        vec![bytes.clone().into()]
    } else {
        sections(
            contents,
            "revocation list",
            ". Give a CRL in PEM or DER form",
        )?
    };
    let read = |der: CertificateRevocationListDer<'static>| {
        RevocationList::read(file, &der).map_err(|reason| PkiError::Damaged {
            file: file.clone(),
            reason,
        })
    };
    lists.into_iter().map(read).collect()
}

/// Reads the certificates of a file, at least one.
pub fn certificates(contents: &Contents) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    sections(
        contents,
        "certificate",
        ". Look for -----BEGIN CERTIFICATE-----",
    )
}

fn private_key(contents: &Contents) -> Result<PrivateKeyDer<'static>, PkiError> {
    let Contents { file, bytes } = contents;
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(bytes) => PkiError::Missing {
            file: file.clone(),
            what: "private key without a passphrase",
            hint: ". Remove the passphrase with `openssl pkey`, and let only the program read the file",
        },
        pem::Error::NoItemsFound => PkiError::Missing {
            file: file.clone(),
            what: "private key",
            hint: ". Look for -----BEGIN PRIVATE KEY-----",
        },
        error => PkiError::Damaged {
            file: file.clone(),
            reason: error.to_string(),
        },
    })
}

fn is_encrypted(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"ENCRYPTED";
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

fn sections<T: PemObject>(
    Contents { file, bytes }: &Contents,
    what: &'static str,
    hint: &'static str,
) -> Result<Vec<T>, PkiError> {
    let found: Result<Vec<T>, _> = T::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| PkiError::Damaged {
        file: file.clone(),
        reason: error.to_string(),
    })?;
    if found.is_empty() {
        let file = file.clone();
        return Err(PkiError::Missing { file, what, hint });
    }
    Ok(found)
}

/// Detects changes of files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamps(Vec<Option<(SystemTime, u64, u64)>>);

impl Stamps {
    /// Time, size and inode of each file; a file that cannot be read has none.
    #[must_use]
    pub fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        use std::os::unix::fs::MetadataExt as _;

        let stamp = |file: &Path| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        };
        Self(files.into_iter().map(stamp).collect())
    }
}
