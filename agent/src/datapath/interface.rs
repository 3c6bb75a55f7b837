//! The host's interfaces, and which of them a name in the policy resolves to.
//!
//! VLAN devices and bridges support no native XDP: a VLAN device resolves to the interface below
//! it, and a bridge to its ports. A bond resolves to itself: the kernel attaches its program to the
//! members.

mod address;
mod arrival;
mod error;
mod home;
mod link;
mod segments;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    AddressFamily,
    address::AddressMessage,
    link::{LinkExtentMask, LinkMessage},
};

pub use arrival::Arrival;
pub use error::InterfaceError;
pub use link::{Interface, name_of};

use self::{
    address::Address,
    link::{Kind, is_pattern},
};
use super::offload::vlan_strippers;
use crate::{image::Facts, policy::Policy};

/// In place of a name: every interface that can carry traffic from outside, also those that come later.
pub const ALL: &str = "all";

/// The interfaces and addresses of the host at one time.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    by_index: BTreeMap<u32, Interface>,
    addresses: Vec<Address>,
    vlan_strippers: BTreeSet<String>,
    /// Interfaces that names of the policy stand for, whatever they are called now.
    held: BTreeMap<String, BTreeSet<u32>>,
}

/// An interface that a name resolved to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Carrier {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Members, if it is a bond.
    pub members: Vec<(u32, String)>,
    /// The name in the policy that resolved to this interface, if it is another.
    pub via: Option<String>,
}

impl Interfaces {
    /// Reads them from the kernel (rtnetlink, ethtool).
    pub async fn read() -> Result<Self, InterfaceError> {
        let netlink = |what| {
            move |error: rtnetlink::Error| InterfaceError::Netlink {
                what,
                reason: error.to_string(),
            }
        };
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| InterfaceError::Netlink {
                what: "a connection",
                reason: error.to_string(),
            })?;
        let connection = tokio::spawn(connection);
        let links: Vec<LinkMessage> = handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(netlink("interfaces"))?;
        let addresses: Vec<AddressMessage> = handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(netlink("addresses"))?;
        let by_index = links.iter().map(Interface::of);
        let mut by_index: BTreeMap<u32, Interface> =
            by_index.map(|link| (link.index, link)).collect();
        if by_index.values().any(|link| link.filters_vlans) {
            let mask = vec![LinkExtentMask::Brvlan];
            let tables = handle.link().get();
            let tables = tables.set_filter_mask(AddressFamily::Bridge, mask);
            let tables: Vec<LinkMessage> = tables
                .execute()
                .try_collect()
                .await
                .map_err(netlink("tables of bridges"))?;
            for table in tables {
                let bridge = by_index.get_mut(&table.header.index);
                if let Some(bridge) = bridge.filter(|bridge| bridge.filters_vlans) {
                    bridge.bridge_vlans = link::bridge_vlans(&table);
                }
            }
        }
        connection.abort();
        Ok(Self {
            by_index,
            addresses: addresses.iter().filter_map(Address::of).collect(),
            vlan_strippers: vlan_strippers().await,
            held: BTreeMap::new(),
        })
    }

    /// The interfaces called `name`, which may be an alternative name or a pattern.
    pub fn called(&self, name: &str) -> impl Iterator<Item = &Interface> {
        let interfaces = self.by_index.values();
        interfaces.filter(move |interface| interface.is_called(name))
    }

    /// Whether the host has an interface that `name` stands for.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        name == ALL || !self.meant_by(name).is_empty()
    }

    /// Has names stand for these interfaces, too, whatever they are called now.
    pub fn hold(&mut self, held: &BTreeMap<String, BTreeSet<u32>>) {
        self.held.clone_from(held);
    }

    /// The interfaces that are held under a name which they no longer have: that name, and the
    /// interface.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &Interface)> {
        self.held.iter().flat_map(|(name, indexes)| {
            let held = indexes.iter().filter_map(|&index| self.get(index));
            let renamed = held.filter(|interface| !interface.is_called(name));
            renamed.map(|interface| (name.as_str(), interface))
        })
    }

    /// The interfaces that `name` stands for.
    fn meant_by(&self, name: &str) -> BTreeSet<u32> {
        let held = self.held.get(name).into_iter().flatten();
        let held = held.filter_map(|&index| self.get(index));
        let meant = held.chain(self.called(name));
        let meant = meant.map(|interface| match interface.master {
            // A bond stands for its ports. One that is named itself is meant itself.
            Some(master) if is_pattern(name) && !self.bond_ports(master).is_empty() => master,
            _ => interface.index,
        });
        meant.collect()
    }

    /// The interface with `index`.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Interface> {
        self.by_index.get(&index)
    }

    /// Whether `name` removes VLAN tags from frames before XDP sees them.
    #[must_use]
    pub fn strips_vlan_tags(&self, name: &str) -> bool {
        self.vlan_strippers.contains(name)
    }

    /// Names of all interfaces.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_index
            .values()
            .map(|interface| interface.name.as_str())
    }

    /// Every address of the host.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(|address| address.ip)
    }

    /// The addresses of the interface with this index.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = IpAddr> {
        let of = self.addresses.iter().filter(move |it| it.ifindex == index);
        of.map(|address| address.ip)
    }

    /// The interfaces over which packets reach the host from outside of it, each with those on which
    /// programs see them.
    pub fn entrances(&self) -> impl Iterator<Item = (&Interface, Vec<Carrier>)> {
        let upper = |interface: &&Interface| {
            let is_port = interface.master.is_some_and(|master| {
                let master = self.get(master);
                master.is_some_and(|it| matches!(it.kind, Kind::Bond | Kind::Bridge))
            });
            interface.up && interface.kind != Kind::Inner && !is_port
        };
        self.by_index.values().filter(upper).map(|interface| {
            let mut indexes = BTreeSet::new();
            self.descend(interface, &mut indexes);
            let carriers = indexes.into_iter();
            let carriers = carriers.filter_map(|index| self.carrier(index, &interface.name));
            (interface, carriers.collect())
        })
    }

    /// The interfaces on which programs see the packets to `name`.
    pub fn resolve(&self, name: &str) -> Result<Vec<Carrier>, InterfaceError> {
        if name == ALL {
            return Ok(self.all());
        }
        let meant = self.meant_by(name);
        if meant.is_empty() {
            let known = self.names().collect::<Vec<_>>().join(", ");
            return Err(InterfaceError::Unknown {
                name: name.to_owned(),
                known,
            });
        }
        let mut indexes = BTreeSet::new();
        for interface in meant.into_iter().filter_map(|index| self.get(index)) {
            self.descend(interface, &mut indexes);
        }
        if indexes.is_empty() {
            return Err(InterfaceError::NoPorts {
                name: name.to_owned(),
            });
        }
        Ok(indexes
            .into_iter()
            .filter_map(|index| self.carrier(index, name))
            .collect())
    }

    /// All interfaces that can carry traffic from outside.
    fn all(&self) -> Vec<Carrier> {
        let outside = self.by_index.values().filter(|it| self.is_outside(it));
        outside
            .filter_map(|interface| self.carrier(interface.index, &interface.name))
            .collect()
    }

    /// Whether traffic from outside can arrive on this interface itself: not on one that lies upon
    /// others, not on a bond's port, which the bond stands for, and not on what leads to guests.
    fn is_outside(&self, interface: &Interface) -> bool {
        let master = interface.master.and_then(|master| self.get(master));
        let in_bridge = master.is_some_and(|master| master.kind == Kind::Bridge);
        let in_bond = master.is_some_and(|master| master.kind == Kind::Bond);
        match interface.kind {
            Kind::Bond | Kind::Overlay => true,
            Kind::Carrier => !(in_bond || in_bridge && interface.to_guests),
            Kind::Upon(_) | Kind::Bridge | Kind::Inner => false,
        }
    }

    fn descend(&self, interface: &Interface, found: &mut BTreeSet<u32>) {
        match interface.kind {
            Kind::Carrier | Kind::Bond | Kind::Overlay | Kind::Inner => {
                found.insert(interface.index);
            }
            Kind::Upon(lower) => {
                if let Some(lower) = self.get(lower) {
                    self.descend(lower, found);
                }
            }
            Kind::Bridge => {
                for port in self.ports(interface.index) {
                    self.descend(port, found);
                }
            }
        }
    }

    /// Whether an interface looks as if it led to the host's own guests: a veth or tap, or a bridge that has no
    /// other ports.
    #[must_use]
    pub fn seems_to_lead_to_guests(&self, interface: &Interface) -> bool {
        match interface.kind {
            Kind::Carrier => interface.to_guests,
            Kind::Bridge => self.ports(interface.index).all(|port| port.to_guests),
            _ => false,
        }
    }

    fn ports(&self, master: u32) -> impl Iterator<Item = &Interface> {
        self.by_index
            .values()
            .filter(move |port| port.master == Some(master))
    }

    /// Indexes of the ports of a bond; none of other interfaces.
    #[must_use]
    pub fn bond_ports(&self, index: u32) -> Vec<u32> {
        let is_bond = self.get(index).is_some_and(|it| it.kind == Kind::Bond);
        let ports = self.ports(index).filter(|_| is_bond);
        ports.map(|port| port.index).collect()
    }

    fn carrier(&self, index: u32, asked: &str) -> Option<Carrier> {
        let interface = self.get(index)?;
        let members = match interface.kind {
            Kind::Bond => self
                .ports(index)
                .map(|port| (port.index, port.name.clone()))
                .collect(),
            _ => Vec::new(),
        };
        let via = (interface.name != asked).then(|| asked.to_owned());
        Some(Carrier {
            index,
            name: interface.name.clone(),
            members,
            via,
        })
    }

    /// All interfaces that those of `policy` resolve to, each once. The first that is missing is an
    /// error.
    pub fn carriers(&self, policy: &Policy) -> Result<Vec<Carrier>, InterfaceError> {
        let (carriers, mut missing) = self.carriers_present(policy);
        match missing.len() {
            0 => Ok(carriers),
            1 => Err(missing.swap_remove(0)),
            _ => Err(InterfaceError::Several(missing)),
        }
    }

    /// All interfaces that those of `policy` resolve to, each once, and an error for each that is
    /// missing.
    #[must_use]
    pub fn carriers_present(&self, policy: &Policy) -> (Vec<Carrier>, Vec<InterfaceError>) {
        let mut carriers: BTreeMap<u32, Carrier> = BTreeMap::new();
        let mut missing = Vec::new();
        for name in &policy.interfaces {
            match self.resolve(name) {
                Ok(found) => {
                    for carrier in found {
                        carriers.entry(carrier.index).or_insert(carrier);
                    }
                }
                Err(error) => missing.push(error),
            }
        }
        (carriers.into_values().collect(), missing)
    }

    /// Interfaces with addresses where `policy` is not enforced, each with its first address that is
    /// not of the link alone.
    #[must_use]
    pub fn unenforced(&self, policy: &Policy) -> Vec<(String, IpAddr)> {
        let (carriers, _) = self.carriers_present(policy);
        let enforced: BTreeSet<u32> = carriers.iter().map(|carrier| carrier.index).collect();
        let mut found: BTreeMap<&str, IpAddr> = BTreeMap::new();
        for address in &self.addresses {
            let of_link = match address.ip {
                IpAddr::V4(ip) => ip.is_link_local(),
                IpAddr::V6(ip) => ip.is_unicast_link_local(),
            };
            let Some(interface) = self.by_index.get(&address.ifindex) else {
                continue;
            };
            let resolved = self.resolve(&interface.name).unwrap_or_default();
            let is_open = resolved.iter().any(|at| !enforced.contains(&at.index));
            if is_open && !of_link && !address.ip.is_loopback() {
                found.entry(&interface.name).or_insert(address.ip);
            }
        }
        let found = found.into_iter();
        found.map(|(name, ip)| (name.to_owned(), ip)).collect()
    }

    /// The facts about this host that `policy` is compiled with.
    ///
    /// The addresses are those of every interface, and those that the kernel derives from them: it
    /// accepts a packet to any of them on any interface.
    #[must_use]
    pub fn facts(&self, policy: &Policy) -> Facts {
        let arrivals = policy
            .places()
            .filter_map(|name| Some((name.clone(), self.arrivals(name)?)))
            .collect();
        let anycasts = self.addresses.iter().filter_map(Address::router_anycast);
        Facts {
            addresses: self.addresses().chain(anycasts).collect(),
            broadcasts: self
                .addresses
                .iter()
                .flat_map(Address::broadcasts)
                .collect(),
            macs: self.macs(policy),
            segments: self.segments(policy, &self.carriers_present(policy).0),
            arrivals,
            homes: self.homes(),
        }
    }

    /// MAC addresses of the interfaces that those of `policy` resolve to, and of all that lie upon
    /// these: what is sent to them is for the host.
    fn macs(&self, policy: &Policy) -> Vec<u64> {
        let (carriers, _) = self.carriers_present(policy);
        let carriers: BTreeSet<u32> = carriers.iter().map(|carrier| carrier.index).collect();
        let upon = self.by_index.values().filter(|interface| {
            let mut below = BTreeSet::new();
            self.descend(interface, &mut below);
            !below.is_disjoint(&carriers)
        });
        let macs: BTreeSet<u64> = upon.map(|interface| interface.mac).collect();
        macs.into_iter().filter(|&mac| mac != 0).collect()
    }

    /// For each bond and each of its ports, the other interfaces of the bond: the far end chooses a
    /// port for each flow, so an endpoint's packets may arrive on any of them.
    #[must_use]
    pub fn links(&self) -> BTreeMap<u32, Vec<u32>> {
        let bonds = self
            .by_index
            .values()
            .filter(|interface| interface.kind == Kind::Bond);
        let mut links = BTreeMap::new();
        for bond in bonds {
            let ports = self.ports(bond.index).map(|port| port.index);
            let all: Vec<u32> = ports.chain([bond.index]).collect();
            for &one in &all {
                let others = all.iter().copied().filter(|&other| other != one);
                links.insert(one, others.collect());
            }
        }
        links
    }

    /// Indexes under which a program may see packets that arrive on `name`.
    #[must_use]
    pub fn arrivals(&self, name: &str) -> Option<Vec<u32>> {
        let carriers = self.resolve(name).ok()?;
        let members = carriers
            .iter()
            .flat_map(|carrier| carrier.members.iter().map(|m| m.0));
        let indexes: BTreeSet<u32> = carriers
            .iter()
            .map(|carrier| carrier.index)
            .chain(members)
            .collect();
        Some(indexes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, kind: Kind, master: Option<u32>) -> (u32, Interface) {
        let interface = Interface {
            master,
            ..Interface::new(index, format!("eth{index}"), kind)
        };
        (index, interface)
    }

    #[test]
    fn the_ports_of_a_bond_are_one_link_and_those_of_a_bridge_are_not() {
        let interfaces = Interfaces {
            by_index: BTreeMap::from([
                link(2, Kind::Carrier, Some(9)),
                link(3, Kind::Carrier, Some(9)),
                link(4, Kind::Carrier, Some(8)),
                link(5, Kind::Carrier, Some(8)),
                link(8, Kind::Bridge, None),
                link(9, Kind::Bond, None),
            ]),
            ..Interfaces::default()
        };
        let expected = [(2, vec![3, 9]), (3, vec![2, 9]), (9, vec![2, 3])];
        assert_eq!(interfaces.links(), BTreeMap::from(expected));
    }
}
