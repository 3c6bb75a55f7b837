//! Two routing protocols whose policies are easily written wrongly: VRRP over IPv6 comes from
//! link-local addresses, and a BFD echo has the sender's own address at both ends.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling, facts, read};
use harness::net::packet::{Ethernet, Ipv4, Ipv6, Udp};
use harness::net::station::{HOST, INTRUDER, Mac, Station, VIM};
use verdict::reason::Reason;

use crate::{ethernet, policy};

/// Link-local addresses of the host, and of the router that shares a virtual address with it.
const LINK: [Ipv6Addr; 2] = [link(0x17), link(0x10)];

/// Where VRRP's advertisements go (RFC 9568).
const VRRP_V4: [u8; 4] = [224, 0, 0, 18];
const VRRP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
const VRRP: u8 = 112;

const CONTROL: u16 = 3784;
const ECHO: u16 = 3785;

const fn link(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number)
}

/// The policy that docs/policy.md shows for both.
fn routed() -> Result<impl std::ops::DerefMut<Target = Judges>> {
    let text = policy(
        r#"
endpoints:
  router: { role: router, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  router-link: { role: router, addresses: ["fe80::10"], interface: eth0 }
  self: { role: self, addresses: [192.0.2.17, "2001:db8:0:17::17"] }
reference_points:
  routing: { from: [router], services: [bfd, vrrp] }
  routing-out: { to: [router], services: [bfd, vrrp] }
  echo: { from: [self], services: [bfd] }
  echo-out: { to: [self], services: [bfd] }
"#,
    );
    let mut facts = facts();
    facts.addresses.push(IpAddr::V6(LINK[0]));
    Judges::with(&read(&text)?, &facts)
}

fn advertisement_v6(from: Station, source: Ipv6Addr) -> Packet {
    Packet::new()
        .with(ethernet(from, HOST))
        .with(Ipv6 {
            hop_limit: 255,
            next_header: Some(VRRP),
            ..Ipv6::between(source, VRRP_V6)
        })
        .with(vec![0; 24])
}

fn advertisement_v4(from: Station) -> Packet {
    Packet::new()
        .with(ethernet(from, HOST))
        .with(Ipv4 {
            ttl: 255,
            protocol: Some(VRRP),
            ..Ipv4::between(from.v4, VRRP_V4.into())
        })
        .with(vec![0; 24])
}

/// A datagram of `from`, whose addresses are those of `source` and `destination`.
fn bfd(from: Mac, [source, destination]: [Station; 2], port: u16) -> [Packet; 2] {
    let frame = || {
        Packet::new().with(Ethernet {
            source: from,
            destination: HOST.mac,
            ..Ethernet::default()
        })
    };
    let datagram = Udp {
        source: 49_152,
        ..Udp::to(port)
    };
    [
        frame()
            .with(Ipv4 {
                ttl: 255,
                ..Ipv4::between(source.v4, destination.v4)
            })
            .with(datagram.clone()),
        frame()
            .with(Ipv6 {
                hop_limit: 255,
                ..Ipv6::between(source.v6, destination.v6)
            })
            .with(datagram),
    ]
}

#[test]
fn vrrp_is_accepted_from_routers_only() -> Result<()> {
    let mut judges = routed()?;
    let permitted = |endpoint| Ruling::permitted("routing", "vrrp", endpoint);
    judges.expect(&advertisement_v4(VIM), permitted("router"))?;
    judges.expect(&advertisement_v6(VIM, LINK[1]), permitted("router-link"))?;
    let unknown = || Ruling::from(Reason::UnknownSource).under("routing", "vrrp");
    judges.expect(&advertisement_v4(INTRUDER), unknown())?;
    judges.expect(&advertisement_v6(INTRUDER, link(0x99)), unknown())
}

#[test]
fn vrrp_is_sent_to_the_group() -> Result<()> {
    let mut judges = routed()?;
    let sent = || Ruling::from(Reason::Outbound).under("routing-out", "vrrp");
    judges.expect_out(&advertisement_v4(HOST), sent())?;
    judges.expect_out(&advertisement_v6(HOST, LINK[0]), sent())
}

#[test]
fn bfd_control_goes_both_ways() -> Result<()> {
    let mut judges = routed()?;
    for packet in bfd(HOST.mac, [HOST, VIM], CONTROL) {
        judges.expect_out(&packet, Ruling::outbound("routing-out", "bfd", "router"))?;
    }
    for packet in bfd(VIM.mac, [VIM, HOST], CONTROL) {
        judges.expect(&packet, Ruling::permitted("routing", "bfd", "router"))?;
    }
    Ok(())
}

/// The router sends back what the host sent, unchanged (RFC 5881, section 4).
#[test]
fn bfd_echo_returns_to_its_sender() -> Result<()> {
    let mut judges = routed()?;
    for packet in bfd(HOST.mac, [HOST, HOST], ECHO) {
        judges.expect_out(&packet, Ruling::outbound("echo-out", "bfd", "self"))?;
    }
    for packet in bfd(VIM.mac, [HOST, HOST], ECHO) {
        judges.expect(&packet, Ruling::permitted("echo", "bfd", "self"))?;
    }
    Ok(())
}

/// The host only sends the router's echo back: its addresses are not protected.
#[test]
fn bfd_echo_of_the_router_is_forwarded() -> Result<()> {
    let mut judges = routed()?;
    for packet in bfd(VIM.mac, [VIM, VIM], ECHO) {
        judges.expect(&packet, Reason::Unprotected)?;
        judges.expect_out(&packet, Reason::Unprotected)?;
    }
    Ok(())
}
