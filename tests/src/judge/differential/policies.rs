//! The policies under which frames are judged.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::judge::read;
use anyhow::{Context, Result};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use manoward::policy::Policy;

fn policy(mode: &str, rest: &str) -> Result<Policy> {
    read(&text(mode, rest))
}

fn text(mode: &str, rest: &str) -> String {
    format!(
        "apiVersion: manoward/v1\n\
         name: host\n\
         serial: 1\n\
         interfaces: [eth0]\n\
         protect: [interface-addresses, 203.0.113.9, \"2001:db8:0:113::9\"]\n\
         mode: {mode}\n\
         {rest}{SERVICES}"
    )
}

const SERVICES: &str = r"
services:
  relay: { protocol: udp, ports: [7000-7003] }
  telemetry: { protocol: sctp, ports: [36422] }
  tunnel: [{ protocol: gre }, { protocol: esp }]
  names: { protocol: udp, ports: [53] }
  web: { protocol: tcp, ports: [443] }
";

/// Two endpoints of one address per family each, and services of every protocol.
pub fn small() -> Result<Policy> {
    read(&small_text())
}

/// The text of [`small`].
#[must_use]
pub fn small_text() -> String {
    let rest = r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  bastion: { role: bastion, addresses: [198.51.100.2, "2001:db8:0:51::2"] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, libvirt-tls, relay, telemetry, tunnel] }
  operations: { from: [bastion], services: [ssh, ping] }
  out: { to: [vim], services: [names] }
"#;
    text("enforce", rest)
}

/// Nested prefixes of many lengths; some reference points audit, and so does the policy.
pub fn audited() -> Result<Policy> {
    let text = r#"
endpoints:
  everyone: { role: guest, addresses: [0.0.0.0/0, "::/0"] }
  site: { role: site, addresses: [192.0.0.0/16, 198.51.0.0/20, "2001:db8::/32"] }
  network: { role: vim, addresses: [192.0.2.0/24, "2001:db8:0:17::/64"] }
  rack: { role: rack, addresses: [192.0.2.128/26, "2001:db8:0:17:8000::/65"] }
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10/127"] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, relay, tunnel], mode: enforce }
  racks: { from: [rack, site], services: [ssh, telemetry, ping] }
  out: { to: [site], services: [names] }
"#;
    policy("audit", text)
}

/// Endpoints with every kind of binding, and one without a permission to enter.
pub fn bound() -> Result<Policy> {
    let text = r#"
endpoints:
  mac: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"], mac: "52:54:00:aa:bb:01" }
  tagged: { role: vim, addresses: [192.0.2.11, "2001:db8:0:17::11"], vlan: 42 }
  untagged: { role: vim, addresses: [192.0.2.12, "2001:db8:0:17::12"], vlan: untagged }
  stacked: { role: vim, addresses: [192.0.2.13, "2001:db8:0:17::13"], vlan: "200.100" }
  here: { role: bastion, addresses: [198.51.100.0/28, "2001:db8:0:51::/120"], interface: eth0 }
  elsewhere: { role: bastion, addresses: [198.51.100.32/28], interface: eth1 }
  all: { role: vim, addresses: [192.0.2.14], mac: "52:54:00:aa:bb:01", vlan: 42, interface: eth0 }
  idle: { role: guest, addresses: [203.0.113.64/26, "2001:db8:0:113:1::/80"] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, relay, tunnel] }
  operations: { from: [bastion], services: [ssh, telemetry] }
  out: { to: [guest, vim], services: [names, web, ping] }
"#;
    policy("enforce", text)
}

/// Endpoints that need a certificate, with and without bindings, and one that needs none.
pub fn proven() -> Result<Policy> {
    let text = r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"], authenticate: certificate,
         identity: "spiffe://operator.example/vim/1" }
  tagged: { role: vim, addresses: [192.0.2.11, "2001:db8:0:17::11"], authenticate: certificate,
            identity: vim.operator.example, mac: "52:54:00:aa:bb:01", vlan: 42 }
  bastion: { role: bastion, addresses: [198.51.100.0/28, "2001:db8:0:51::/120"] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, relay, tunnel] }
  operations: { from: [bastion], services: [ssh, telemetry] }
  out: { to: [vim, bastion], services: [names, web, ping] }
"#;
    policy("enforce", text)
}

/// Services for anyone, endpoints with several roles, and reference points that apply at some places.
pub fn places() -> Result<Policy> {
    let text = r#"
endpoints:
  vim: { roles: [vim, bastion], addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  bastion: { role: bastion, addresses: [198.51.100.2, "2001:db8:0:51::2"], mac: "52:54:00:aa:bb:01" }
  site: { role: site, addresses: [192.0.2.0/24, 198.51.100.0/24, "2001:db8::/32"] }
reference_points:
  management: { from: [vim], services: [ssh, relay], at: [192.0.2.17, "2001:db8:0:17::17"] }
  tunnel: { from: [site], services: [telemetry, tunnel], at: [eth0] }
  elsewhere: { from: [bastion], services: [ssh, libvirt-tls, relay], at: [eth1] }
  public: { from: [anyone], services: [web, ping] }
  relays: { from: [anyone], services: [relay], at: [203.0.113.9, "2001:db8:0:113::9"], mode: audit }
  out: { to: [anyone], services: [names] }
  out-there: { to: [site], services: [web], at: [eth1, 192.0.2.17] }
"#;
    policy("enforce", text)
}

/// The host may connect to anyone.
pub fn open() -> Result<Policy> {
    let text = r#"
outbound: any
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  bastion: { role: bastion, addresses: [198.51.100.0/28], mac: "52:54:00:aa:bb:01" }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, relay, ping] }
  out: { to: [bastion], services: [names] }
"#;
    policy("enforce", text)
}

/// 100,000 addresses and prefixes, so that the image has several chunks.
pub fn large() -> Result<Policy> {
    let text = r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"], vlan: 42 }
  computes: { role: peer-compute, addresses: [192.0.2.128/25] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, relay, tunnel] }
  migration: { from: [peer-compute], services: [ssh, telemetry] }
  out: { to: [vim], services: [names] }
"#;
    let mut policy = policy("enforce", text)?;
    let computes = policy
        .endpoints
        .get_mut("computes")
        .context("it is there")?;
    let more = (0..50_000_u32).flat_map(|n| {
        let v4 = Ipv4Addr::from_bits(0x0a00_0000 + n * 5);
        let v6 = Ipv6Addr::from_bits((0x2001_0db8_0001 << 80) | (u128::from(n) << 32) | 9);
        // Every hundredth is a network.
        let (four, six) = if n % 100 == 0 { (30, 112) } else { (32, 128) };
        [
            Ipv4Net::new(v4, four).map(|net| IpNet::V4(net.trunc())),
            Ipv6Net::new(v6, six).map(|net| IpNet::V6(net.trunc())),
        ]
    });
    for prefix in more {
        computes.addresses.push(prefix?);
    }
    computes.addresses.sort_unstable();
    computes.addresses.dedup();
    Ok(policy)
}
