//! A certificate authority for one test, made with openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::machine::scratch::Scratch;

/// A complete configuration: the system's openssl.cnf makes every certificate one of an authority.
const CONFIG: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[member]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
authorityKeyIdentifier = keyid
[alone]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
";

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    folder: Scratch,
    certificate: PathBuf,
    key: PathBuf,
}

/// A key pair with its certificate, as PEM files in the authority's folder.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key (PKCS #8).
    pub key: PathBuf,
}

impl Authority {
    /// Makes a new authority.
    pub fn new(name: &str) -> Result<Self> {
        let folder = Scratch::new("pki")?;
        folder.write("openssl.cnf", CONFIG)?;
        let identity = request(&folder, "authority", name, &["-extensions", "authority"])?;
        Ok(Self {
            folder,
            certificate: identity.certificate,
            key: identity.key,
        })
    }

    /// Its certificate, as a PEM file.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Certifies a fresh key for subject alternative names in openssl's notation, as in
    /// `issue("vim-1", "URI:spiffe://operator.example/vim/1, IP:192.0.2.10")`.
    pub fn issue(&self, name: &str, alternative_names: &str) -> Result<Identity> {
        let names = format!("subjectAltName = {alternative_names}");
        let certificate = self.certificate.to_string_lossy();
        let key = self.key.to_string_lossy();
        let signed = ["-CA", &certificate, "-CAkey", &key, "-addext", &names];
        request(
            &self.folder,
            name,
            name,
            &[&["-extensions", "member"][..], &signed].concat(),
        )
    }

    /// A self-signed certificate for such names.
    pub fn self_signed(&self, name: &str, alternative_names: &str) -> Result<Identity> {
        let names = format!("subjectAltName = {alternative_names}");
        let more = ["-extensions", "alone", "-addext", &names];
        request(&self.folder, name, name, &more)
    }
}

fn request(folder: &Scratch, file: &str, name: &str, more: &[&str]) -> Result<Identity> {
    let identity = Identity {
        certificate: folder.join(&format!("{file}.pem")),
        key: folder.join(&format!("{file}.key")),
    };
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", &format!("/CN={name}"), "-config"])
        .arg(folder.join("openssl.cnf"))
        .arg("-keyout")
        .arg(&identity.key)
        .arg("-out")
        .arg(&identity.certificate)
        .args(more)
        .output()
        .context("starting openssl")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "openssl could not certify {name}: {complaint}"
    );
    Ok(identity)
}
