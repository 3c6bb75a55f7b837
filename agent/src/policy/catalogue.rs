//! The built-in services: management, control and infrastructure traffic of NFVI hosts, as the
//! usual deployments (`OpenStack`, OVN, Kubernetes, Ceph) use it.
//!
//! There is a file for each subject. Each names the source of its ports: the defaults of a
//! deployment, or the RFC that assigns them. If deployments differ, a service has the ports of all
//! of them.
//!
//! A service is `Encrypted` if the protocol has no plaintext form; `Plaintext` if none of the named
//! deployments encrypts it by default; `Unknown` if they differ, or if both ends negotiate it.

mod administration;
mod clusters;
mod infrastructure;
mod kubernetes;
mod monitoring;
mod network;
mod openstack;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod virtualization;

use std::sync::LazyLock;

use serde::{Serialize, Serializer};

use super::model::{Encryption, Service, ServiceMatch};

/// One built-in service.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CatalogueEntry {
    /// Its name in policies.
    pub name: &'static str,
    /// Its subject, such as `storage`.
    pub subject: &'static str,
    /// Its protocols and ports.
    #[serde(serialize_with = "as_text")]
    pub matches: &'static [ServiceMatch],
    /// Whether its traffic is encrypted.
    pub encryption: Encryption,
    /// Who usually opens its connections.
    pub usual: Usual,
    /// The usual peer.
    pub peer: &'static str,
    /// What it is.
    pub description: &'static str,
}

/// Who usually opens a service's connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usual {
    /// The peers.
    Inbound,
    /// The host.
    Outbound,
    /// Either.
    Both,
}

static CATALOGUE: LazyLock<Vec<CatalogueEntry>> = LazyLock::new(|| {
    let mut all = [
        administration::SERVICES,
        clusters::SERVICES,
        infrastructure::SERVICES,
        kubernetes::SERVICES,
        monitoring::SERVICES,
        network::SERVICES,
        openstack::SERVICES,
        storage::SERVICES,
        virtualization::SERVICES,
    ]
    .concat();
    all.sort_unstable_by_key(|entry| entry.name);
    all
});

/// All built-in services, by name.
#[must_use]
pub fn catalogue() -> &'static [CatalogueEntry] {
    &CATALOGUE
}

/// The built-in service `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static CatalogueEntry> {
    let index = CATALOGUE
        .binary_search_by_key(&name, |entry| entry.name)
        .ok()?;
    CATALOGUE.get(index)
}

impl CatalogueEntry {
    /// The service as a policy uses it.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            matches: self.matches.to_vec(),
            encryption: self.encryption,
        }
    }
}

fn as_text<S: Serializer>(matches: &&[ServiceMatch], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(matches.iter().map(ToString::to_string))
}
