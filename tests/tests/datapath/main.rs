//! What the datapath does with a packet, one file per behaviour.
//!
//! Every packet is judged three times, by the program at XDP, by the one at TCX, and by the
//! decision on the host over the same image. They have to agree before any expectation is looked
//! at.

mod arp;
mod bindings;
mod break_glass;
mod counters;
mod dhcp;
mod endpoints;
mod extension_headers;
mod flows;
mod fragments;
mod groups;

mod icmp;
mod ipv4_options;
mod modes;
mod neighbour_discovery;
mod no_policy;
mod places;
mod roles;
mod routing;
mod services;
mod unparseable;
mod unprotected;
mod vlan;

use harness::net::packet::{Ethernet, Ipv4, Ipv6, Packet};
use harness::net::station::Station;

/// A policy that protects the host's addresses; `rest` are its other fields.
fn policy(rest: &str) -> String {
    format!(
        "apiVersion: manoward/v1\n\
         name: host\n\
         serial: 1\n\
         interfaces: [eth0]\n\
         protect: [interface-addresses]\n\
         {rest}"
    )
}

/// The VIM and the bastion, each under both of its addresses.
const ENDPOINTS: &str = r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  bastion: { role: bastion, addresses: [198.51.100.2, "2001:db8:0:51::2"] }
"#;

/// The VIM may use SSH and TLS, the bastion SSH; `more` are further lines.
fn usual(more: &str) -> String {
    policy(&format!(
        r"
{ENDPOINTS}reference_points:
  Nf-Vi: {{ from: [vim], services: [ssh, libvirt-tls, relay, telemetry, gre] }}
  operations: {{ from: [bastion], services: [ssh] }}
services:
  relay: {{ protocol: udp, ports: [7000] }}
  telemetry: {{ protocol: sctp, ports: [36422] }}
  gre: {{ protocol: gre }}
{more}"
    ))
}

/// A port without a service in [`usual`].
const NO_SERVICE: u16 = 4444;

/// Ethernet and IPv4 from one station to another.
fn v4(from: Station, to: Station) -> Packet {
    Packet::new()
        .with(ethernet(from, to))
        .with(Ipv4::between(from.v4, to.v4))
}

/// Ethernet and IPv6 from one station to another.
fn v6(from: Station, to: Station) -> Packet {
    Packet::new()
        .with(ethernet(from, to))
        .with(Ipv6::between(from.v6, to.v6))
}

/// Both families, for what does not depend on one.
fn both(from: Station, to: Station) -> [Packet; 2] {
    [v4(from, to), v6(from, to)]
}

fn ethernet(from: Station, to: Station) -> Ethernet {
    Ethernet {
        destination: to.mac,
        source: from.mac,
        ..Ethernet::default()
    }
}
