//! Facts of the host that lints look at.

use crate::{
    datapath::interface::Interfaces,
    policy::{HostFacts, Policy},
};

/// Collects the facts.
#[must_use]
pub fn host_facts(interfaces: &Interfaces, policy: &Policy) -> HostFacts {
    HostFacts {
        addresses: interfaces.addresses().collect(),
        interfaces: interfaces.names().map(str::to_owned).collect(),
        unenforced: interfaces.unenforced(policy),
    }
}
