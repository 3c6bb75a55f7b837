//! Facts of the host that lints look at.

use crate::{
    datapath::interface::Interfaces,
    policy::{HostFacts, Policy},
};

/// Collects the facts.
#[must_use]
pub fn host_facts(interfaces: &Interfaces, policy: &Policy) -> HostFacts {
    let named = policy.interfaces.iter().chain(policy.places());
    let there = named.filter(|name| interfaces.has(name));
    HostFacts {
        addresses: interfaces.addresses().collect(),
        interfaces: there.cloned().collect(),
        unenforced: interfaces.unenforced(policy),
    }
}
