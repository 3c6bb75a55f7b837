//! Where packets to an address of the host usually arrive.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use super::{Interfaces, address::Address};

impl Interfaces {
    /// For each address, the indexes under which a program may see packets on its interface.
    pub(super) fn homes(&self) -> BTreeMap<IpAddr, Vec<u32>> {
        let homes = self.addresses.iter().filter_map(|address| {
            let name = &self.by_index.get(&address.ifindex)?.name;
            Some((address.ip, self.arrivals(name)?))
        });
        homes.collect()
    }

    /// The prefixes of the links that the host is on.
    pub fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.addresses.iter().filter_map(Address::network)
    }
}
