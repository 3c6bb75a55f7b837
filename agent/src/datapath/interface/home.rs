//! Where packets to an address of the host usually arrive.

use std::{collections::BTreeMap, net::IpAddr};

use super::Interfaces;

impl Interfaces {
    /// For each address, the indexes under which a program may see packets on its interface.
    pub(super) fn homes(&self) -> BTreeMap<IpAddr, Vec<u32>> {
        let homes = self.addresses.iter().filter_map(|address| {
            let name = &self.by_index.get(&address.ifindex)?.name;
            Some((address.ip, self.arrivals(name)?))
        });
        homes.collect()
    }
}
