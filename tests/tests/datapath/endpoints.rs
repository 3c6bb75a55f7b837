//! The source address identifies the endpoint: the one with the longest prefix that contains it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use harness::judge::{Judges, Ruling, facts, read};
use harness::net::packet::{Ethernet, Icmp, Ipv4, Ipv6, Packet, Tcp, Udp};
use harness::net::station::{HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{both, ethernet, policy, usual};

const NESTED: &str = r#"
endpoints:
  everyone: { role: guest, addresses: [192.0.0.0/16, "2001:db8::/32"] }
  network: { role: peer-compute, addresses: [192.0.2.0/24, "2001:db8:0:17::/64"] }
  rack: { role: rack, addresses: [192.0.2.128/25, "2001:db8:0:17:8000::/65"] }
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  far: { role: far, addresses: [10.0.0.0/8, "2001:db8:ffff::/48", 203.0.113.77] }
reference_points:
  all: { from: [guest, peer-compute, rack, vim, far], services: [ssh] }
"#;

/// A connection to the host's SSH from this address.
fn syn4(source: &str) -> Result<Packet> {
    let header = Ipv4::between(source.parse()?, HOST.v4);
    let packet = Packet::new().with(Ethernet::default()).with(header);
    Ok(packet.with(Tcp::syn(22)))
}

fn syn6(source: &str) -> Result<Packet> {
    let header = Ipv6::between(source.parse()?, HOST.v6);
    let packet = Packet::new().with(Ethernet::default()).with(header);
    Ok(packet.with(Tcp::syn(22)))
}

#[test]
fn the_longest_prefix_wins() -> Result<()> {
    let mut judges = Judges::of(&policy(NESTED))?;
    for (source, endpoint) in [
        ("192.0.2.10", "vim"),
        ("192.0.2.9", "network"),
        ("192.0.2.11", "network"),
        ("192.0.2.0", "network"),
        ("192.0.2.127", "network"),
        ("192.0.2.128", "rack"),
        ("192.0.2.255", "rack"),
        ("192.0.1.255", "everyone"),
        ("192.0.3.0", "everyone"),
        ("192.0.255.255", "everyone"),
        ("10.0.0.0", "far"),
        ("10.255.255.255", "far"),
        ("203.0.113.77", "far"),
    ] {
        judges.expect(&syn4(source)?, Ruling::permitted("all", "ssh", endpoint))?;
    }
    for (source, endpoint) in [
        ("2001:db8:0:17::10", "vim"),
        ("2001:db8:0:17::11", "network"),
        ("2001:db8:0:17:7fff:ffff:ffff:ffff", "network"),
        ("2001:db8:0:17:8000::", "rack"),
        ("2001:db8:0:17:ffff:ffff:ffff:ffff", "rack"),
        ("2001:db8:0:16::10", "everyone"),
        ("2001:db8:ffff::1", "far"),
    ] {
        judges.expect(&syn6(source)?, Ruling::permitted("all", "ssh", endpoint))?;
    }
    Ok(())
}

/// Not even from an endpoint that has every address, or the loopback interface's own.
#[test]
fn nothing_comes_to_addresses_of_the_loopback_interface() -> Result<()> {
    let text = policy(
        r#"
endpoints:
  everyone: { role: all, addresses: [0.0.0.0/0, "::/0"] }
  self: { role: all, addresses: [127.0.0.1, "::1"] }
reference_points:
  all: { from: [all], services: [ssh, relay, ping] }
services:
  relay: { protocol: udp, ports: [7000] }
"#,
    );
    let mut facts = facts();
    facts
        .addresses
        .extend([IpAddr::from([127, 0, 0, 1]), "::1".parse()?]);
    facts.broadcasts.push(Ipv4Addr::new(127, 255, 255, 255));
    let mut judges = Judges::with(&read(&text)?, &facts)?;
    for destination in ["127.0.0.1", "127.0.0.0", "127.1.2.3", "127.255.255.255"] {
        for source in ["203.0.113.66", "192.0.2.10", "127.0.0.1"] {
            let (source, destination): (Ipv4Addr, Ipv4Addr) =
                (source.parse()?, destination.parse()?);
            let packet = || {
                Packet::new()
                    .with(ethernet(VIM, HOST))
                    .with(Ipv4::between(source, destination))
            };
            judges.expect(&packet().with(Tcp::syn(22)), Reason::LoopbackAddress)?;
            judges.expect(&packet().with(Udp::to(7000)), Reason::LoopbackAddress)?;
            let echo = Icmp {
                kind: 8,
                ..Icmp::default()
            };
            judges.expect(&packet().with(echo), Reason::LoopbackAddress)?;
        }
    }
    for source in ["2001:db8::1", "::1"] {
        let packet = Packet::new()
            .with(ethernet(VIM, HOST))
            .with(Ipv6::between(source.parse()?, "::1".parse()?));
        judges.expect(&packet.with(Tcp::syn(22)), Reason::LoopbackAddress)?;
    }
    let near = Packet::new()
        .with(ethernet(VIM, HOST))
        .with(Ipv6::between(VIM.v6, "::2".parse()?));
    judges.expect(&near.with(Tcp::syn(22)), Reason::Unprotected)
}

#[test]
fn addresses_outside_all_prefixes_are_unknown() -> Result<()> {
    let mut judges = Judges::of(&policy(NESTED))?;
    let unknown = Ruling::from(Reason::UnknownSource).under("all", "ssh");
    for source in [
        "191.255.255.255",
        "192.1.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "203.0.113.76",
        "203.0.113.78",
        "0.0.0.0",
        "127.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.17",
    ] {
        let expected = match source {
            "192.0.2.17" => Ruling::permitted("all", "ssh", "network"),
            _ => unknown.clone(),
        };
        judges.expect(&syn4(source)?, expected)?;
    }
    for source in [
        "2001:db7:ffff::",
        "2001:db9::",
        "::",
        "::1",
        "fe80::1",
        "ff02::1",
    ] {
        judges.expect(&syn6(source)?, unknown.clone())?;
    }
    Ok(())
}

#[test]
fn mapped_addresses_of_the_other_family_are_unknown() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
    for mapped in ["::ffff:192.0.2.10", "::192.0.2.10", "64:ff9b::192.0.2.10"] {
        judges.expect(&syn6(mapped)?, unknown.clone())?;
    }
    for packet in both(INTRUDER, HOST) {
        judges.expect(&packet.with(Tcp::syn(22)), unknown.clone())?;
    }
    Ok(())
}

#[test]
fn everyone_can_be_an_endpoint() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  everyone: { role: any, addresses: [0.0.0.0/0, "::/0"] }
  vim: { role: vim, addresses: [192.0.2.10] }
reference_points:
  open: { from: [any, vim], services: [ssh] }
"#,
    ))?;
    for source in ["0.0.0.1", "192.0.2.9", "255.255.255.255", "128.0.0.0"] {
        judges.expect(&syn4(source)?, Ruling::permitted("open", "ssh", "everyone"))?;
    }
    judges.expect(
        &syn4("192.0.2.10")?,
        Ruling::permitted("open", "ssh", "vim"),
    )?;
    for source in ["::1", "ffff::", "2001:db8::1"] {
        judges.expect(&syn6(source)?, Ruling::permitted("open", "ssh", "everyone"))?;
    }
    Ok(())
}
