//! An operator's certificate authority, and endpoints that enrol with its certificates.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use manoward_api::LeaseList;
use manoward_pki::{Authority, Issued, Name, Options, Request};

use crate::agent::policy::Policy;
use crate::agent::{self, Agent, Hook};
use crate::machine::namespace::Namespace;
use crate::machine::process::Process;
use crate::machine::scratch::Scratch;
use crate::machine::wait;
use crate::net::station::HOST;
use crate::programs::certificate::Identity;

/// The identity of the endpoint `vim-1`.
pub const VIM_1: &str = "spiffe://operator.example/vim/1";

/// An authority with certificates of the host and of the VIM.
#[derive(Debug)]
pub struct Operator {
    /// Where certificates and keys are.
    pub folder: Scratch,
    /// The authority that issues them.
    pub authority: Authority,
    /// The host's certificate.
    pub host: Identity,
    /// The VIM's certificate.
    pub vim: Identity,
}

impl Operator {
    /// Makes an authority and both certificates.
    pub fn new() -> Result<Self> {
        let folder = Scratch::new("pki")?;
        let authority = Authority::create(&folder.join("ca"), &Options::default())?;
        let names = [Name::Ip(HOST.v4.into()), Name::Ip(HOST.v6.into())];
        let host = authority.issue(&Request::host("compute-17", names), folder.path())?;
        let vim = Request::endpoint("vim-1", [Name::uri(VIM_1)?]);
        let vim = authority.issue(&vim, folder.path())?;
        Ok(Self {
            folder,
            authority,
            host: identity(host),
            vim: identity(vim),
        })
    }

    /// Issues an endpoint's certificate with this URI.
    pub fn issue(&self, name: &str, uri: &str) -> Result<Identity> {
        self.issue_to(&Request::endpoint(name, [Name::uri(uri)?]))
    }

    /// Issues what is requested.
    pub fn issue_to(&self, request: &Request) -> Result<Identity> {
        Ok(identity(self.authority.issue(request, self.folder.path())?))
    }

    /// Starts an agent that knows the authority, with the policy.
    pub fn agent<'a>(&self, host: &'a Namespace, policy: &Policy<'_>) -> Result<Agent<'a>> {
        Agent::start_with(host, &policy.to_string(), Hook::Xdp, &self.settings())
    }

    /// Enrolment settings for the agent's configuration.
    #[must_use]
    pub fn settings(&self) -> String {
        settings(&self.host, self.authority.bundle(), self.authority.crl())
    }

    /// Has an endpoint with this certificate join the host.
    pub fn join(&self, from: &Namespace, with: &Identity, words: &[&str]) -> Result<Process> {
        join(from, with, self.authority.bundle(), words)
    }

    /// The file of revocation lists.
    #[must_use]
    pub fn crl(&self) -> PathBuf {
        self.authority.crl().to_owned()
    }
}

fn identity(issued: Issued) -> Identity {
    Identity {
        certificate: issued.certificate,
        key: issued.key,
    }
}

/// Enrolment settings (YAML) of an agent with the certificate `host` that trusts `ca`. Leases have
/// the shortest lifetime that is allowed.
#[must_use]
pub fn settings(host: &Identity, ca: &Path, crl: &Path) -> String {
    format!(
        "enrolment:\n  certificate: {}\n  key: {}\n  ca: {}\n  crls: [{}]\n  lease: 20\n",
        host.certificate.display(),
        host.key.display(),
        ca.display(),
        crl.display(),
    )
}

/// Starts `manoward join` towards the host.
pub fn join(from: &Namespace, with: &Identity, ca: &Path, words: &[&str]) -> Result<Process> {
    let mut command = Command::new(agent::binary()?);
    command
        .args(["join", "--to", &HOST.v4.to_string(), "--cert"])
        .arg(&with.certificate)
        .arg("--key")
        .arg(&with.key)
        .arg("--ca")
        .arg(ca)
        .args(words);
    from.spawn(&command)
}

/// A policy that demands a certificate of the VIM.
#[must_use]
pub fn policy() -> Policy<'static> {
    Policy {
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"],
            authenticate: certificate, identity: \"spiffe://operator.example/vim/1\" } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [control] } }",
        ..Policy::default()
    }
}

impl Agent<'_> {
    /// The leases in force, and what was refused.
    pub fn leases(&self) -> Result<LeaseList> {
        let list = self.ask_json(&["lease", "list"])?;
        serde_json::from_value(list).context("reading leases")
    }

    /// Waits until so many leases are in force.
    pub fn await_leases(&self, count: usize, patience: Duration) -> Result<()> {
        wait::until(&count, patience, || Ok(self.leases()?.leases.len())).context("leases in force")
    }

    /// How many enrolments were refused for a reason.
    pub fn refused(&self, reason: &str) -> Result<u64> {
        let refused = self.leases()?.refused;
        let counts = refused.iter().filter(|refused| refused.reason == reason);
        Ok(counts.map(|refused| refused.count).sum())
    }
}
