//! The operator's certificates, made with `manoward pki`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::Namespace;
use harness::agent;
use harness::agent::operator;
use harness::machine::process::Process;
use harness::machine::scratch::Scratch;
use harness::net::station::HOST;
use harness::programs::certificate::{self, Identity};

/// The VIM's identity.
pub const VIM: &str = "spiffe://operator.example/vim/1";
/// The bastion's identity, which the policy does not ask for.
const BASTION: &str = "spiffe://operator.example/bastion/1";

/// An authority, and what it has issued.
pub struct Authority {
    folder: Scratch,
    host: Identity,
    /// The VIM's certificate.
    pub vim: Identity,
    /// A certificate of the VIM that was lost, and revoked.
    pub lost: Identity,
    /// The bastion's certificate.
    pub bastion: Identity,
    /// A self-signed certificate with the VIM's identity.
    pub self_signed: Identity,
    /// Owns the folder of the self-signed certificate, made with openssl.
    _other: certificate::Authority,
}

impl Authority {
    /// Makes the authority and the certificates.
    pub fn new() -> Result<Self> {
        let folder = Scratch::new("lab-ca")?;
        let other = certificate::Authority::new("other")?;
        let self_signed = other.self_signed("vim-1", &format!("URI:{VIM}"))?;
        pki(&folder, "init", &[])?;
        let address = HOST.v4.to_string();
        let host = issue(&folder, "compute-17", &["--host", "--ip", &address])?;
        let vim = issue(&folder, "vim-1", &["--uri", VIM])?;
        let lost = issue(&folder, "vim-1-lost", &["--uri", VIM])?;
        let bastion = issue(&folder, "bastion-1", &["--uri", BASTION])?;
        let authority = Self {
            folder,
            host,
            vim,
            lost,
            bastion,
            self_signed,
            _other: other,
        };
        authority.revoke("vim-1-lost")?;
        Ok(authority)
    }

    /// The agent's enrolment settings.
    pub fn settings(&self) -> String {
        let crl = self.folder.join("crl.pem");
        operator::settings(&self.host, &self.bundle(), &crl)
    }

    /// The root's certificate, which all trust.
    pub fn bundle(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Revokes a certificate by the name that it was issued to.
    pub fn revoke(&self, name: &str) -> Result<()> {
        pki(&self.folder, "revoke", &[name])
    }

    /// Starts `manoward join` with a certificate.
    pub fn join(&self, from: &Namespace, with: &Identity, words: &[&str]) -> Result<Process> {
        operator::join(from, with, &self.bundle(), words)
    }
}

fn issue(folder: &Scratch, name: &str, words: &[&str]) -> Result<Identity> {
    pki(folder, "issue", &[&[name], words].concat())?;
    Ok(Identity {
        certificate: folder.join(&format!("{name}.pem")),
        key: folder.join(&format!("{name}.key")),
    })
}

/// `manoward pki COMMAND FOLDER WORDS`
fn pki(folder: &Scratch, command: &str, words: &[&str]) -> Result<()> {
    let output = Command::new(agent::binary()?)
        .args(["pki", command])
        .arg(folder.path())
        .args(words)
        .output()
        .context("starting manoward pki")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "manoward pki {command} {}: {complaint}",
        words.join(" ")
    );
    Ok(())
}
