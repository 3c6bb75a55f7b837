//! A station that takes another's addresses.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::machine::namespace::Namespace;
use crate::net::station::{HOST, Mac, NIC};

/// Makes a machine use this IP address and this MAC address towards the host.
///
/// It neither sends nor answers ARP, so that the owner of the address remains reachable:
/// redirecting its traffic is another attack.
pub fn take_addresses(thief: &Namespace, address: Ipv4Addr, mac: Mac) -> Result<()> {
    thief.sysctl(&format!("net/ipv4/conf/{NIC}/arp_ignore"), "8")?;
    let (source, host) = (address.to_string(), HOST.v4.to_string());
    let script = format!(
        "link set {NIC} address {mac}\n\
         address replace {source}/24 dev {NIC}\n\
         neighbour replace {host} lladdr {} nud permanent dev {NIC}\n\
         route replace {host} dev {NIC} src {source}\n",
        HOST.mac
    );
    thief.feed(&["ip", "-batch", "-"], &script).map(drop)
}
