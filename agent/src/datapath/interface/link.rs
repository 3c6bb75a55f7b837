//! One interface, as the kernel describes it.

use std::{collections::BTreeSet, iter};

use netlink_packet_route::link::{
    AfSpecBridge, InfoBridge, InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage, LinkXdp, Prop,
};
use nix::net::if_::if_indextoname;
use verdict::frame::ethernet::mac_word;

/// Kinds of interfaces that attach differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A NIC, veth or tap: programs are attached to it.
    Carrier,
    /// A VLAN device or a macvlan on the interface with this index.
    Upon(u32),
    Bridge,
    Bond,
    /// The loopback interface, or one that leads nowhere.
    Inner,
    /// A tunnel (VXLAN, Geneve, GRE): its packets arrive inside others.
    Overlay,
}

/// The name of the interface with this index; `None` if there is none.
#[must_use]
pub fn name_of(index: u32) -> Option<String> {
    let name = if_indextoname(index).ok()?;
    // nix takes a null pointer for success.
    let name = name.to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// An interface.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "an interface has any combination of them"
)]
pub struct Interface {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Alternative names.
    pub alternatives: Vec<String>,
    /// Id of the XDP program that is attached, if any.
    pub xdp_program: Option<u32>,
    /// MAC address, first byte highest; 0 if it has none.
    pub(super) mac: u64,
    pub(super) kind: Kind,
    /// VLAN id, of a VLAN device.
    pub(super) vlan: Option<u16>,
    /// Index of the bond or bridge that it is part of.
    pub(super) master: Option<u32>,
    /// Whether it is a bridge that tells VLANs apart.
    pub(super) filters_vlans: bool,
    /// The VLANs that such a bridge hands to the host; `None` if they cannot be read.
    pub(super) bridge_vlans: Option<BTreeSet<u16>>,
    /// Whether it is a VRF, which leaves frames as they are.
    pub(super) is_vrf: bool,
    /// Whether it is of a kind that guests and containers are joined by.
    pub(super) to_guests: bool,
    /// Whether it is up.
    pub(super) up: bool,
}

impl Interface {
    /// Whether this is one of its names, or a pattern that one of them fits.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let mut names = iter::once(&self.name).chain(&self.alternatives);
        names.any(|own| fits(own, name))
    }

    /// One that is up, and nothing else.
    pub(super) const fn new(index: u32, name: String, kind: Kind) -> Self {
        Self {
            index,
            name,
            alternatives: Vec::new(),
            xdp_program: None,
            mac: 0,
            kind,
            vlan: None,
            master: None,
            filters_vlans: false,
            bridge_vlans: None,
            is_vrf: false,
            to_guests: false,
            up: true,
        }
    }

    /// From the kernel's message.
    pub(super) fn of(message: &LinkMessage) -> Self {
        let mut interface = Self::new(message.header.index, String::new(), Kind::Carrier);
        interface.up = message.header.flags.contains(LinkFlags::Up);
        let mut lower = None;
        let mut kind = None;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => interface.name.clone_from(name),
                LinkAttribute::Address(address) => {
                    if let &[a, b, c, d, e, f] = &address[..] {
                        interface.mac = mac_word([a, b, c, d, e, f]);
                    }
                }
                LinkAttribute::PropList(properties) => {
                    let names = properties.iter().filter_map(|property| match property {
                        Prop::AltIfName(name) => Some(name.clone()),
                        _ => None,
                    });
                    interface.alternatives.extend(names);
                }
                LinkAttribute::Controller(index) => interface.master = Some(*index),
                LinkAttribute::Link(index) => lower = Some(*index),
                LinkAttribute::LinkInfo(info) => {
                    interface.vlan = info.iter().find_map(vlan_id);
                    interface.filters_vlans = info.iter().any(filters_vlans);
                    kind = info.iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind.clone()),
                        _ => None,
                    });
                }
                LinkAttribute::Xdp(xdp) => {
                    interface.xdp_program = xdp.iter().find_map(|xdp| match xdp {
                        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) => {
                            Some(*id)
                        }
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        let loopback = message.header.flags.contains(LinkFlags::Loopback);
        interface.is_vrf = matches!(kind, Some(InfoKind::Vrf));
        interface.to_guests = matches!(kind, Some(InfoKind::Veth | InfoKind::Tun));
        interface.kind = match (kind, lower) {
            (Some(InfoKind::Dummy), _) => Kind::Inner,
            _ if loopback => Kind::Inner,
            (Some(InfoKind::Vlan | InfoKind::MacVlan | InfoKind::IpVlan), Some(lower)) => {
                Kind::Upon(lower)
            }
            (Some(InfoKind::Bridge), _) => Kind::Bridge,
            (Some(InfoKind::Bond), _) => Kind::Bond,
            (Some(InfoKind::Vxlan | InfoKind::Geneve | InfoKind::GreTap | InfoKind::GreTun), _) => {
                Kind::Overlay
            }
            _ => Kind::Carrier,
        };
        interface
    }
}

fn filters_vlans(info: &LinkInfo) -> bool {
    let LinkInfo::Data(InfoData::Bridge(attributes)) = info else {
        return false;
    };
    attributes.contains(&InfoBridge::VlanFiltering(true))
}

/// The VLANs in a bridge's own table, in the kernel's message about it; `None` if that has none.
pub(super) fn bridge_vlans(message: &LinkMessage) -> Option<BTreeSet<u16>> {
    message.attributes.iter().find_map(|attribute| {
        let LinkAttribute::AfSpecBridge(table) = attribute else {
            return None;
        };
        let ids = table.iter().filter_map(|entry| match entry {
            AfSpecBridge::VlanInfo(info) => Some(info.vid),
            _ => None,
        });
        Some(ids.collect())
    })
}

/// Whether a name is a pattern, which may stand for several interfaces.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// Whether `name` is what `pattern` says, where `*` stands for any characters, or none.
fn fits(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let left = name.strip_prefix(first);
    let Some(mut left) = left.and_then(|left| left.strip_suffix(last)) else {
        return false;
    };
    for part in middle.split('*') {
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    true
}

fn vlan_id(info: &LinkInfo) -> Option<u16> {
    let LinkInfo::Data(InfoData::Vlan(attributes)) = info else {
        return None;
    };
    attributes.iter().find_map(|attribute| match attribute {
        InfoVlan::Id(id) => Some(*id),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_names_that_it_fits() {
        for (name, pattern) in [
            ("eth0", "eth0"),
            ("eth0", "eth*"),
            ("eth", "eth*"),
            ("enp3s0f1np1", "enp*f*np*"),
            ("bond0", "*"),
            ("mgmt-a", "*-a"),
            ("aba", "a*a"),
        ] {
            assert!(fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [
            ("eth0", "eth"),
            ("eth0", "eth1*"),
            ("veth0", "eth*"),
            ("enp3s0", "enp*f*"),
            ("a", "a*a"),
            ("ab", "*b*b"),
        ] {
            assert!(!fits(name, pattern), "{name} {pattern}");
        }
    }
}
