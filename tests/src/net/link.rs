//! Cables, bridges and routes between namespaces.

use anyhow::Result;

use crate::machine::namespace::Namespace;
use crate::net::station::Mac;

/// One end of a cable.
#[derive(Clone, Copy, Debug)]
pub struct Port<'a> {
    /// Where it is plugged in.
    pub namespace: &'a Namespace,
    /// The interface's name.
    pub name: &'a str,
    /// The interface's Ethernet address.
    pub mac: Mac,
    /// The interface's addresses with prefix lengths, IPv4 and IPv6.
    pub addresses: &'a [&'a str],
}

/// Joins two ports by a pair of veth interfaces, both up.
pub fn veth(near: &Port<'_>, far: &Port<'_>) -> Result<()> {
    let path = far.namespace.path();
    let script = format!(
        "link add {} address {} type veth peer name {} address {} netns {}\n",
        near.name,
        near.mac,
        far.name,
        far.mac,
        path.display()
    );
    ip(near.namespace, &script)?;
    configure(near)?;
    configure(far)
}

/// Makes a bridge that floods and forwards at once.
pub fn bridge(namespace: &Namespace, name: &str) -> Result<()> {
    let script = format!(
        "link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
         link set {name} up\n"
    );
    ip(namespace, &script)
}

/// Makes an interface a port of a bridge in the same namespace.
pub fn attach(namespace: &Namespace, interface: &str, bridge: &str) -> Result<()> {
    ip(
        namespace,
        &format!("link set {interface} master {bridge}\n"),
    )
}

/// Adds a route, as in `route(&guest, "default", "203.0.113.1")`.
pub fn route(namespace: &Namespace, destination: &str, via: &str) -> Result<()> {
    ip(namespace, &format!("route add {destination} via {via}\n"))
}

/// Has checksums computed before a frame leaves, so that what is captured is what would be on a
/// wire.
pub fn checksums_in_software(namespace: &Namespace, interface: &str) -> Result<()> {
    namespace
        .run(&["ethtool", "-K", interface, "tx", "off"])
        .map(drop)
}

fn configure(port: &Port<'_>) -> Result<()> {
    let name = port.name;
    let mut script: Vec<_> = port
        .addresses
        .iter()
        .map(|address| {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            format!("address add {address} dev {name} {nodad}\n")
        })
        .collect();
    script.push(format!("link set {name} up\n"));
    ip(port.namespace, &script.concat())
}

fn ip(namespace: &Namespace, script: &str) -> Result<()> {
    namespace.feed(&["ip", "-batch", "-"], script).map(drop)
}
