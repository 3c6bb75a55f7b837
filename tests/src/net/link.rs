//! Cables, bridges and routes between namespaces.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

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

/// Sets how large super-packets may be that the stack sends through an interface, and that it puts
/// together there, bytes: over both families.
///
/// It writes the message of rtnetlink(7) itself, as `ip` has learnt these attributes only lately.
pub fn super_packets(namespace: &Namespace, interface: &str, bytes: u32) -> Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST_AND_ACK: u16 = 1 | 4;
    /// GSO and GRO of IPv6, then of IPv4.
    const ATTRIBUTES: [u16; 4] = [41, 58, 63, 64];
    const ACK_LEN: usize = 4096;

    namespace.enter(|| -> Result<()> {
        let index = if_nametoindex(interface)?;
        let mut message = vec![0; 4];
        message.extend(NEW_LINK.to_ne_bytes());
        message.extend(REQUEST_AND_ACK.to_ne_bytes());
        message.extend([0; 8]);
        message.extend([0; 4]);
        message.extend(index.to_ne_bytes());
        message.extend([0; 8]);
        for attribute in ATTRIBUTES {
            message.extend(8_u16.to_ne_bytes());
            message.extend(attribute.to_ne_bytes());
            message.extend(bytes.to_ne_bytes());
        }
        let length = u32::try_from(message.len())?;
        message[..4].copy_from_slice(&length.to_ne_bytes());
        let netlink = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        let kernel = NetlinkAddr::new(0, 0);
        sendto(netlink.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
        let mut answer = [0; ACK_LEN];
        let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        // Behind its header of 16 bytes the answer has an error number, negative, or 0.
        let error = answer[..length]
            .get(16..20)
            .context("an answer that is cut off")?;
        let error = i32::from_ne_bytes(error.try_into()?);
        ensure!(
            error == 0,
            "{interface}: {}",
            std::io::Error::from_raw_os_error(-error)
        );
        Ok(())
    })?
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
