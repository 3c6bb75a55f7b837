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

/// Who the VIM proves to be.
pub const VIM: &str = "spiffe://operator.example/vim/1";
/// Who the bastion would be, if the policy asked it.
const BASTION: &str = "spiffe://operator.example/bastion/1";

/// An authority, and what it has issued.
pub struct Authority {
    folder: Scratch,
    host: Identity,
    /// The VIM's certificate.
    pub vim: Identity,
    /// A certificate of the VIM that was lost, and revoked.
    pub lost: Identity,
    /// The bastion's.
    pub bastion: Identity,
    /// One with the VIM's name that nobody vouches for.
    pub self_signed: Identity,
    /// Who made that one, with openssl.
    _nobody: certificate::Authority,
}

impl Authority {
    /// Makes all of it.
    pub fn new() -> Result<Self> {
        let folder = Scratch::new("lab-ca")?;
        let nobody = certificate::Authority::new("nobody")?;
        let self_signed = nobody.self_signed("vim-1", &format!("URI:{VIM}"))?;
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
            _nobody: nobody,
        };
        authority.revoke("vim-1-lost")?;
        Ok(authority)
    }

    /// What the agent's configuration says about it.
    pub fn settings(&self) -> String {
        let crl = self.folder.join("crl.pem");
        operator::settings(&self.host, &self.bundle(), &crl)
    }

    /// The certificate that all trust.
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
