//! What a policy needs to know of the host it is compiled for.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

/// What a policy needs to know of the host it is compiled for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Addresses of the host, on whichever interface.
    pub addresses: Vec<IpAddr>,
    /// Broadcast addresses of the host.
    pub broadcasts: Vec<Ipv4Addr>,
    /// For each interface name that the policy uses, the indexes of the interfaces that its
    /// packets arrive on.
    pub arrivals: BTreeMap<String, Vec<u32>>,
}
