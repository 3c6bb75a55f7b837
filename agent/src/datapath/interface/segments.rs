//! Which VLANs of an interface carry the host's own traffic.

use std::collections::{BTreeMap, BTreeSet};

use super::{Carrier, Interface, Interfaces, link::Kind};
use crate::policy::Policy;

impl Interfaces {
    /// For each index under which a program may see frames of `carriers`, the outer VLANs that carry the host's
    /// traffic there: those that `policy` tells, or those of the devices upon the interface, and
    /// those that endpoints are bound to. Interfaces are left out where that is not known.
    pub(super) fn segments(
        &self,
        policy: &Policy,
        carriers: &[Carrier],
    ) -> BTreeMap<u32, BTreeSet<u16>> {
        let bound: BTreeSet<u16> = policy.bound_vlans().collect();
        let mut segments = BTreeMap::new();
        for carrier in carriers {
            let known = policy.vlans.clone();
            let known = known.or_else(|| self.vlans_upon(self.get(carrier.index)?));
            if let Some(mut ids) = known {
                ids.extend(&bound);
                let members = carrier.members.iter().map(|member| member.0);
                for index in members.chain([carrier.index]) {
                    segments.insert(index, ids.clone());
                }
            }
        }
        segments
    }

    /// The outer VLANs of the devices that lie upon `interface`; `None` if it is part of something that may
    /// take tags off in other ways.
    fn vlans_upon(&self, interface: &Interface) -> Option<BTreeSet<u16>> {
        let mut ids = BTreeSet::new();
        let upon = self.by_index.values();
        for device in upon.filter(|it| it.kind == Kind::Upon(interface.index)) {
            match device.vlan {
                Some(id) => {
                    ids.insert(id);
                }
                None => ids.extend(self.vlans_upon(device)?),
            }
        }
        let Some(master) = interface.master else {
            return Some(ids);
        };
        let master = self.get(master)?;
        match master.kind {
            Kind::Bond => ids.extend(self.vlans_upon(master)?),
            Kind::Bridge => match &master.bridge_vlans {
                // The bridge hands to the host what is in its own table, and takes the tag off.
                Some(own) => ids.extend(own),
                None if master.filters_vlans => return None,
                None => ids.extend(self.vlans_upon(master)?),
            },
            _ if master.is_vrf => {}
            _ => return None,
        }
        Some(ids)
    }

    /// Whether frames for the interface with this index may arrive over segments that `policy` says carry no
    /// traffic of the host's.
    #[must_use]
    pub fn is_beside(&self, index: u32, policy: &Policy) -> bool {
        let (Some(told), Some(id)) = (&policy.vlans, self.outer_vlan(index)) else {
            return false;
        };
        !told.contains(&id) && policy.bound_vlans().all(|bound| bound != id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, kind: Kind) -> Interface {
        Interface::new(index, format!("eth{index}"), kind)
    }

    fn vlan(index: u32, lower: u32, id: u16) -> Interface {
        Interface {
            vlan: Some(id),
            ..interface(index, Kind::Upon(lower))
        }
    }

    fn upon(all: Vec<Interface>) -> Option<Vec<u16>> {
        let by_index = all.into_iter().map(|it| (it.index, it)).collect();
        let interfaces = Interfaces {
            by_index,
            ..Interfaces::default()
        };
        let ids = interfaces.vlans_upon(interfaces.get(1)?)?;
        Some(ids.into_iter().collect())
    }

    fn port(master: u32) -> Interface {
        Interface {
            master: Some(master),
            ..interface(1, Kind::Carrier)
        }
    }

    #[test]
    fn vlan_devices_upon_an_interface_its_bond_or_its_bridge_are_the_hosts() {
        let nic = interface(1, Kind::Carrier);
        assert_eq!(upon(vec![nic.clone()]), Some(vec![]), "untagged only");
        let stacked = vlan(3, 2, 7);
        let found = upon(vec![nic.clone(), vlan(2, 1, 100), stacked]);
        assert_eq!(found, Some(vec![100]), "only the outer tag");
        let macvlan = interface(2, Kind::Upon(1));
        assert_eq!(upon(vec![nic, macvlan, vlan(3, 2, 9)]), Some(vec![9]));
        for kind in [Kind::Bond, Kind::Bridge] {
            let all = vec![port(5), interface(5, kind), vlan(6, 5, 300)];
            assert_eq!(upon(all), Some(vec![300]), "{kind:?}");
        }
    }

    #[test]
    fn a_bridge_that_filters_hands_the_host_what_is_in_its_own_table() {
        let mut bridge = interface(5, Kind::Bridge);
        bridge.filters_vlans = true;
        let unread = vec![port(5), bridge.clone(), vlan(6, 5, 300)];
        assert_eq!(upon(unread), None);
        bridge.bridge_vlans = Some([1, 40].into());
        assert_eq!(
            upon(vec![port(5), bridge, vlan(6, 5, 300)]),
            Some(vec![1, 40])
        );
    }

    #[test]
    fn what_a_switch_of_another_kind_does_with_tags_is_not_known() {
        let mut switch = interface(5, Kind::Carrier);
        assert_eq!(upon(vec![port(5), switch.clone()]), None, "Open vSwitch");
        assert_eq!(upon(vec![port(9)]), None, "gone meanwhile");
        switch.is_vrf = true;
        assert_eq!(upon(vec![port(5), switch, vlan(2, 1, 8)]), Some(vec![8]));
    }
}
