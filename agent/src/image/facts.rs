//! Facts about the host that a policy is compiled for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

/// Facts about the host that a policy is compiled for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Addresses of the host, of all interfaces.
    pub addresses: Vec<IpAddr>,
    /// Broadcast addresses of the host.
    pub broadcasts: Vec<Ipv4Addr>,
    /// MAC addresses of the interfaces that management traffic arrives on, and of those upon them, first
    /// byte highest.
    pub macs: Vec<u64>,
    /// For each index of an interface that frames may arrive on, the VLANs that carry the host's traffic there,
    /// if that is known; on others, any may.
    pub segments: BTreeMap<u32, BTreeSet<u16>>,
    /// For each interface name that an endpoint is bound to, the indexes of the interfaces that
    /// packets may arrive on.
    pub arrivals: BTreeMap<String, Vec<u32>>,
    /// For each address of the host, the indexes of the interfaces that packets to it usually arrive on.
    pub homes: BTreeMap<IpAddr, Vec<u32>>,
}
