//! The built-in services: management, control and infrastructure traffic of NFVI hosts, as the
//! usual deployments (`OpenStack`, OVN, Kubernetes, Ceph) use it.
//!
//! There is a file for each subject. Each names the source of its ports: a deployment's own
//! defaults, or the RFC that assigns them. Where deployments differ, a service has the ports of all.
//!
//! A service is `Encrypted` where the protocol has no plaintext form, `Plaintext` where none of
//! the deployments named protects it unless told to, and `Unknown` where they differ, or both ends
//! agree on it.

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
    /// What a policy calls it.
    pub name: &'static str,
    /// What it belongs to.
    pub subject: &'static str,
    /// What its packets carry.
    #[serde(serialize_with = "as_text")]
    pub matches: &'static [ServiceMatch],
    /// Whether it protects what it carries.
    pub encryption: Encryption,
    /// Who usually opens its connections.
    pub usual: Usual,
    /// Who legitimately is at the other end.
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
