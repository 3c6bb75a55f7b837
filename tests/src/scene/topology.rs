//! The standard scene: a compute host, those who manage it, and one who should not.
//!
//! ```text
//!   vim      bastion    intruder   tenant
//!    |          |          |          |        eth0 each
//!   -+----------+----------+----------+-       switch: one bridge
//!                     |
//!                    eth0   192.0.2.17, 198.51.100.17   protected
//!                    host
//!                   vnet0   203.0.113.1
//!                     |
//!                   guest   203.0.113.10                not protected
//! ```
//!
//! Traffic between tenant and guest passes through the host's `eth0`, as the traffic of tenants
//! does.

use anyhow::Result;

use crate::machine::namespace::Namespace;
use crate::net::link::{self, Port};
use crate::net::station::{
    BASTION, GUEST, HOST, HOST_GUESTS, HOST_OPERATIONS, INTRUDER, Mac, NIC, Station, TENANT, VIM,
};

/// The host's interface towards its guest.
pub const GUEST_PORT: &str = "vnet0";

const BRIDGE: &str = "br0";

/// The guests' networks, as those outside reach them through the host.
const GUEST_NETWORKS: [&str; 2] = ["203.0.113.0/24", "2001:db8:0:113::/64"];

/// All namespaces of the scene, joined.
#[derive(Debug)]
pub struct Topology {
    /// The protected compute host.
    pub host: Namespace,
    /// Its infrastructure manager.
    pub vim: Namespace,
    /// The operators' jump host.
    pub bastion: Namespace,
    /// The attacker.
    pub intruder: Namespace,
    /// A tenant, which reaches the guest through the host.
    pub tenant: Namespace,
    /// A guest behind the host.
    pub guest: Namespace,
    /// The bridge that joins them.
    pub switch: Namespace,
}

impl Topology {
    /// Builds the scene.
    pub fn new() -> Result<Self> {
        let scene = Self {
            host: Namespace::new(HOST.label)?,
            vim: Namespace::new(VIM.label)?,
            bastion: Namespace::new(BASTION.label)?,
            intruder: Namespace::new(INTRUDER.label)?,
            tenant: Namespace::new(TENANT.label)?,
            guest: Namespace::new(GUEST.label)?,
            switch: Namespace::new("switch")?,
        };
        link::bridge(&scene.switch, BRIDGE)?;
        scene.plug(&scene.host, &[HOST, HOST_OPERATIONS])?;
        scene.plug(&scene.vim, &[VIM])?;
        scene.plug(&scene.bastion, &[BASTION])?;
        scene.plug(&scene.intruder, &[INTRUDER])?;
        scene.plug(&scene.tenant, &[TENANT])?;
        scene.plug_guest()?;
        scene.route_guest()?;
        Ok(scene)
    }

    /// Connects a namespace to the switch; the first station names the port and the MAC.
    fn plug(&self, namespace: &Namespace, stations: &[Station]) -> Result<()> {
        let Some(first) = stations.first() else {
            return Ok(());
        };
        let addresses: Vec<_> = stations.iter().flat_map(prefixed).collect();
        let near = Port {
            namespace,
            name: NIC,
            mac: first.mac,
            addresses: &addresses.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        let Mac([.., number]) = first.mac;
        let far = Port {
            namespace: &self.switch,
            name: first.label,
            mac: Mac([0x52, 0x54, 0x00, 0xcc, 0xdd, number]),
            addresses: &[],
        };
        link::veth(&near, &far)?;
        link::checksums_in_software(namespace, NIC)?;
        link::attach(&self.switch, first.label, BRIDGE)
    }

    fn plug_guest(&self) -> Result<()> {
        let [host_v4, host_v6] = prefixed(&HOST_GUESTS);
        let [guest_v4, guest_v6] = prefixed(&GUEST);
        let near = Port {
            namespace: &self.host,
            name: GUEST_PORT,
            mac: HOST_GUESTS.mac,
            addresses: &[&host_v4, &host_v6],
        };
        let far = Port {
            namespace: &self.guest,
            name: NIC,
            mac: GUEST.mac,
            addresses: &[&guest_v4, &guest_v6],
        };
        link::veth(&near, &far)?;
        link::checksums_in_software(&self.guest, NIC)
    }

    fn route_guest(&self) -> Result<()> {
        self.host.sysctl("net/ipv4/ip_forward", "1")?;
        self.host.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        let outside = [HOST.v4.to_string(), HOST.v6.to_string()];
        let inside = [HOST_GUESTS.v4.to_string(), HOST_GUESTS.v6.to_string()];
        for (network, (outside, inside)) in GUEST_NETWORKS.iter().zip(outside.iter().zip(&inside)) {
            link::route(&self.tenant, network, outside)?;
            link::route(&self.guest, "default", inside)?;
        }
        Ok(())
    }
}

fn prefixed(station: &Station) -> [String; 2] {
    [format!("{}/24", station.v4), format!("{}/64", station.v6)]
}
