//! Signatures of policies: Ed25519 (RFC 8032) over the bytes of the file.
//!
//! Keys are PEM as OpenSSL writes it: PKCS#8 (RFC 8410) for the private one, `SubjectPublicKeyInfo` for
//! the public one. A signature is a file of 64 bytes, beside the policy.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use pem::Pem;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use thiserror::Error;

use crate::files::{self, Owner};

/// PKCS#8 of an Ed25519 key, up to the 32 bytes of its seed (RFC 8410, section 7).
const PRIVATE: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// `SubjectPublicKeyInfo` of an Ed25519 key, up to its 32 bytes (RFC 8410, section 4).
const PUBLIC: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// Length of a signature, bytes.
pub const LENGTH: usize = 64;

/// Why a policy cannot be signed, or is not taken for a signed one.
#[derive(Debug, Error)]
pub enum SignatureError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no such key.
    #[error(
        "{path} holds no {kind} Ed25519 key in PEM. Make a pair of keys with `manoward policy keygen`, or with `openssl genpkey -algorithm ed25519`"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
        /// `private` or `public`.
        kind: &'static str,
    },
    /// The operating system gives no random numbers.
    #[error("cannot make a key: {0}")]
    Random(getrandom::Error),
    /// A seed makes no key.
    #[error("cannot make a key of random numbers")]
    Seed,
    /// There is no signature.
    #[error(
        "this agent takes only policies that are signed, and this one is not. Sign it with `manoward policy sign`"
    )]
    Unsigned,
    /// The signature is of another text, or of a key that is not trusted.
    #[error(
        "the signature is none of this text by a key that this agent trusts (`trusted_keys` in agent.yaml). Sign the policy as it is now, with such a key"
    )]
    Wrong,
    /// The agent would have to change what is signed.
    #[error(
        "this agent takes only policies that are signed, and so cannot give one another serial. Sign the text under a higher serial, and apply that"
    )]
    Renumbered,
    /// A patch would have to change what is signed.
    #[error(
        "this agent takes only policies that are signed, and so cannot change one. Change the file, sign it, and apply that"
    )]
    Patched,
}

/// A private key.
pub struct PrivateKey(Ed25519KeyPair);

/// A pair of new keys, in PEM.
pub struct NewKeys {
    /// The private one.
    pub private: String,
    /// The public one.
    pub public: String,
}

impl NewKeys {
    /// Makes a pair.
    ///
    /// # Errors
    ///
    /// No random numbers.
    pub fn generate() -> Result<Self, SignatureError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(SignatureError::Random)?;
        let private = [&PRIVATE[..], &seed].concat();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| SignatureError::Seed)?;
        let public = [&PUBLIC[..], pair.public_key().as_ref()].concat();
        Ok(Self {
            private: pem::encode(&Pem::new(PRIVATE_LABEL, private)),
            public: pem::encode(&Pem::new(PUBLIC_LABEL, public)),
        })
    }
}

impl PrivateKey {
    /// Reads the key in the file at `path`.
    ///
    /// # Errors
    ///
    /// A file that holds none.
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        let contents = contents(path, PRIVATE_LABEL, Owner::Anyone);
        let pair = contents.and_then(|found| {
            let contents = found.ok_or_else(|| no_key(path, "private"))?;
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&contents)
                .map_err(|_| no_key(path, "private"))
        });
        pair.map(Self)
    }

    /// Signs `text`.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).as_ref().to_vec()
    }
}

/// Fails unless `signature` is one of `text` by a key in one of the files `trusted`.
///
/// # Errors
///
/// [`SignatureError`].
pub fn verify(
    trusted: &[PathBuf],
    text: &str,
    signature: Option<&[u8]>,
) -> Result<(), SignatureError> {
    let signature = signature.ok_or(SignatureError::Unsigned)?;
    for path in trusted {
        let found = contents(path, PUBLIC_LABEL, Owner::Trusted)?;
        let key = found
            .as_deref()
            .and_then(|contents| contents.strip_prefix(&PUBLIC))
            .ok_or_else(|| no_key(path, "public"))?;
        let key = UnparsedPublicKey::new(&ED25519, key);
        if key.verify(text.as_bytes(), signature).is_ok() {
            return Ok(());
        }
    }
    Err(SignatureError::Wrong)
}

/// Where the signature of the policy at `path` lies.
#[must_use]
pub fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".sig");
    name.into()
}

/// The signature in the file at `path`; `None` if there is no file.
///
/// # Errors
///
/// A file that cannot be read.
pub fn read(path: &Path, owner: Owner) -> Result<Option<Vec<u8>>, SignatureError> {
    match files::read(path, files::SETTINGS, owner) {
        Ok(signature) => Ok(Some(signature)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SignatureError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What is under `label` in the file at `path`.
fn contents(path: &Path, label: &str, owner: Owner) -> Result<Option<Vec<u8>>, SignatureError> {
    let text =
        files::read(path, files::SETTINGS, owner).map_err(|source| SignatureError::Read {
            path: path.to_owned(),
            source,
        })?;
    let blocks = pem::parse_many(text).unwrap_or_default();
    let found = blocks.into_iter().find(|block| block.tag() == label);
    Ok(found.map(Pem::into_contents))
}

fn no_key(path: &Path, kind: &'static str) -> SignatureError {
    SignatureError::NoKey {
        path: path.to_owned(),
        kind,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn keys(folder: &Path, name: &str) -> (PrivateKey, PathBuf) {
        let keys = NewKeys::generate().expect("random numbers");
        let (private, public) = (folder.join(name), folder.join(format!("{name}.pub")));
        fs::write(&private, keys.private).expect("write");
        fs::write(&public, keys.public).expect("write");
        (PrivateKey::read(&private).expect("a key"), public)
    }

    #[test]
    fn only_the_text_and_a_trusted_key_count() {
        let folder = tempfile::tempdir().expect("a directory");
        let (key, public) = keys(folder.path(), "one");
        let (other, others) = keys(folder.path(), "two");
        let signature = key.sign(b"serial: 1\n");
        assert_eq!(signature.len(), LENGTH);
        let trusted = [others.clone(), public.clone()];
        let verified = |trusted: &[PathBuf], text, signature: Option<&[u8]>| {
            verify(trusted, text, signature).is_ok()
        };
        assert!(verified(&trusted, "serial: 1\n", Some(&signature)));
        assert!(!verified(&trusted, "serial: 2\n", Some(&signature)));
        assert!(!verified(&[others], "serial: 1\n", Some(&signature)));
        assert!(!verified(&trusted, "serial: 1\n", None));
        assert!(!verified(&trusted, "serial: 1\n", Some(&signature[1..])));
        let foreign = other.sign(b"serial: 1\n");
        assert!(!verified(&[public], "serial: 1\n", Some(&foreign)));
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("none");
        fs::write(&path, "nothing").expect("write");
        let error = verify(std::slice::from_ref(&path), "", Some(&[])).expect_err("no key");
        assert!(
            error.to_string().contains("none holds no public"),
            "{error}"
        );
        let error = PrivateKey::read(&path).err().expect("no key");
        assert!(
            error.to_string().contains("none holds no private"),
            "{error}"
        );
    }
}
