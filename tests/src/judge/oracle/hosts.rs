//! Two equal hosts, one of which will be protected, and the wires to them.

use anyhow::Result;

use crate::machine::namespace::Namespace;
use crate::net::link::{self, Port};
use crate::net::station::{HOST, HOST_OPERATIONS, Mac, NIC};

/// The far ends of the hosts' cables.
const GUARDED: &str = "guarded";
const TWIN: &str = "twin";

/// How permissive a host's stack is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stack {
    /// The kernel's defaults, but without the reverse path filter.
    Usual,
    /// Accepts all that can be configured: source routes, segment routing, addresses of the
    /// loopback interface from outside; and it forwards.
    Permissive,
}

/// Kernel parameters of both stacks.
const USUAL: [(&str, &str); 8] = [
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/eth0/rp_filter", "0"),
    ("net/ipv4/icmp_echo_ignore_broadcasts", "0"),
    // Fragments that are never reassembled expire before there are too many of them.
    ("net/ipv4/ipfrag_time", "2"),
    ("net/ipv6/ip6frag_time", "2"),
    // Behind an XDP program each fragment takes a page.
    ("net/ipv4/ipfrag_high_thresh", "268435456"),
    ("net/ipv6/ip6frag_high_thresh", "268435456"),
    ("net/ipv4/conf/all/log_martians", "0"),
];

/// Further kernel parameters of a permissive stack.
const PERMISSIVE: [(&str, &str); 9] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv4/conf/all/accept_source_route", "1"),
    ("net/ipv4/conf/eth0/accept_source_route", "1"),
    ("net/ipv6/conf/all/accept_source_route", "1"),
    ("net/ipv6/conf/eth0/accept_source_route", "1"),
    ("net/ipv6/conf/all/seg6_enabled", "1"),
    ("net/ipv6/conf/eth0/seg6_enabled", "1"),
    ("net/ipv4/conf/eth0/route_localnet", "1"),
];

/// The hosts, and the namespace at the far ends of their cables.
#[derive(Debug)]
pub struct Hosts {
    /// The host that an agent protects.
    pub guarded: Namespace,
    /// The host that nobody protects.
    pub twin: Namespace,
    outside: Namespace,
    stack: Stack,
}

impl Hosts {
    /// Builds it.
    pub fn new(stack: Stack) -> Result<Self> {
        let hosts = Self {
            guarded: Namespace::new(GUARDED)?,
            twin: Namespace::new(TWIN)?,
            outside: Namespace::new("outside")?,
            stack,
        };
        // It must not send packets of its own.
        hosts
            .outside
            .sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        hosts.host(&hosts.guarded, GUARDED, 1)?;
        hosts.host(&hosts.twin, TWIN, 2)?;
        Ok(hosts)
    }

    /// Where frames to the protected host are sent.
    pub fn wire_to_guarded(&self) -> Result<crate::net::wire::Wire> {
        crate::net::wire::Wire::open(&self.outside, GUARDED)
    }

    /// Where frames to the unprotected host are sent.
    pub fn wire_to_twin(&self) -> Result<crate::net::wire::Wire> {
        crate::net::wire::Wire::open(&self.outside, TWIN)
    }

    fn host(&self, host: &Namespace, far: &str, number: u8) -> Result<()> {
        let addresses = [HOST, HOST_OPERATIONS]
            .map(|station| [format!("{}/24", station.v4), format!("{}/64", station.v6)]);
        let addresses: Vec<_> = addresses.iter().flatten().map(String::as_str).collect();
        let near = Port {
            namespace: host,
            name: NIC,
            mac: HOST.mac,
            addresses: &addresses,
        };
        let far = Port {
            namespace: &self.outside,
            name: far,
            mac: Mac([0x52, 0x54, 0, 0xcc, 0xdd, number]),
            addresses: &[],
        };
        link::veth(&near, &far)?;
        let permissive = if self.stack == Stack::Permissive {
            &PERMISSIVE[..]
        } else {
            &[]
        };
        for (key, value) in USUAL.iter().chain(permissive) {
            host.sysctl(key, value)?;
        }
        // Nobody answers ARP here, so it is off; a default route leads to every source.
        let script = format!(
            "link set {NIC} arp off\nroute add default dev {NIC}\nroute add ::/0 dev {NIC}\n"
        );
        host.feed(&["ip", "-batch", "-"], &script)?;
        as_received(host)
    }
}

/// Turns GRO off, so that packets are judged and delivered one by one.
pub fn as_received(host: &Namespace) -> Result<()> {
    host.run(&["ethtool", "-K", NIC, "gro", "off"]).map(drop)
}
