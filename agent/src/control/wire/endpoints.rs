//! The endpoints of the policy in force, with their counters.

use ipnet::IpNet;
use manoward_api::{EndpointEntry, EndpointList};
use verdict::counters::EndpointCount;

use super::stats::fates;
use crate::{
    datapath::CounterError,
    enforcer::{Observer, View},
    policy::{Authenticate, Endpoint, protocol::Mac},
};

/// Addresses of an endpoint that are listed.
const LISTED: usize = 16;

/// The endpoints of `view`.
pub fn endpoints(observer: &Observer, view: &View) -> Result<EndpointList, CounterError> {
    let Some(current) = &view.current else {
        return Ok(EndpointList {
            endpoints: Vec::new(),
        });
    };
    let counts = observer.endpoints(current.numbers())?;
    let known = &current.policy().endpoints;
    let entries = counts
        .into_iter()
        .filter_map(|(name, count)| Some(entry(name, known.get(name)?, count)));
    Ok(EndpointList {
        endpoints: entries.collect(),
    })
}

fn entry(name: &str, endpoint: &Endpoint, count: EndpointCount) -> EndpointEntry {
    let addresses = &endpoint.addresses;
    EndpointEntry {
        name: name.to_owned(),
        role: endpoint.roles.to_string(),
        addresses: addresses.iter().take(LISTED).map(written).collect(),
        address_count: addresses.len(),
        identity: match &endpoint.authenticate {
            Authenticate::Address => None,
            Authenticate::Certificate { identity, .. } => Some(identity.to_string()),
        },
        mac: endpoint.binding.mac.map(|mac| Mac(mac).to_string()),
        vlan: endpoint.binding.vlan.map(|vlan| vlan.to_string()),
        interfaces: endpoint.binding.interfaces.clone(),
        received: fates(count.received),
        sent: fates(count.sent),
    }
}

/// A prefix as people write it: a single address without its length.
fn written(prefix: &IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}
