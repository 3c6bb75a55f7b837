//! An address is not enough where the policy binds it to a MAC address, VLAN or interface.

use std::time::Duration;

use anyhow::Result;
use harness::agent::Hook;
use harness::net::link::{self, Port};
use harness::net::packet::{Ethernet, Ipv4, Ipv6, Packet, Tcp, Vlan};
use harness::net::stack_counter::StackCounter;
use harness::net::station::{GUEST, HOST, HOST_GUESTS, INTRUDER, Mac, NIC, Station, VIM};
use harness::net::wire::Wire;
use harness::programs::openssh;
use harness::{Agent, Namespace, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

/// SYNs from the VIM's addresses, out of an interface with this MAC address.
fn from_vim(mac: Mac) -> [Vec<u8>; 2] {
    let ethernet = Ethernet {
        source: mac,
        ..Ethernet::default()
    };
    let v4 = Packet::new().with(ethernet.clone()).with(Ipv4::default());
    let v6 = Packet::new().with(ethernet).with(Ipv6::default());
    [v4, v6].map(|packet| packet.with(Tcp::syn(openssh::PORT)).build())
}

#[test]
fn the_right_address_from_another_mac_is_dropped() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let policy = Policy {
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"],
                               mac: 52:54:00:aa:bb:01 } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let outcome = openssh::connect(&scene.vim, PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);

    let seen = [
        StackCounter::of(&scene.host, VIM.v4)?,
        StackCounter::of(&scene.host, VIM.v6)?,
    ];
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    for frame in [from_vim(INTRUDER.mac), from_vim(INTRUDER.mac)].concat() {
        intruder.send(&frame)?;
    }
    agent.await_packets("Nf-Vi", "wrong-mac", 4)?;
    assert_eq!(agent.counters()?.endpoint("vim-1")?.dropped.packets, 4);
    assert_eq!((seen[0].packets()?, seen[1].packets()?), (0, 0));
    Ok(())
}

#[test]
fn an_endpoint_is_let_in_on_its_interface_only() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let policy = Policy {
        interfaces: "[eth0, vnet0]",
        endpoints: "{ inside: { role: em, addresses: [203.0.113.10], interface: vnet0 },
                      vim-1: { role: vim, addresses: [192.0.2.10], interface: vnet0 } }",
        reference_points: "{ management: { from: [em, vim], services: [ssh] } }",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let outcome = scene
        .guest
        .tcp_connect((HOST_GUESTS.v4, openssh::PORT), PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);
    let outcome = openssh::connect(&scene.vim, SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut);

    let before = agent.counters()?.endpoint("inside")?.dropped.packets;
    let seen = StackCounter::of(&scene.host, GUEST.v4)?;
    let mut outside = Wire::open(&scene.intruder, NIC)?;
    let spoofed = Packet::new()
        .with(Ethernet::default())
        .with(Ipv4::between(GUEST.v4, HOST_GUESTS.v4))
        .with(Tcp::syn(openssh::PORT))
        .build();
    outside.send(&spoofed)?;
    let wrong = agent.counters()?.endpoint("vim-1")?.dropped.packets + 1;
    agent.await_packets("management", "wrong-interface", wrong)?;
    assert_eq!(
        agent.counters()?.endpoint("inside")?.dropped.packets,
        before + 1
    );
    assert_eq!(seen.packets()?, 0);
    Ok(())
}

fn port<'a>(namespace: &'a Namespace, mac: Mac, addresses: &'a [&'a str]) -> Port<'a> {
    Port {
        namespace,
        name: NIC,
        mac,
        addresses,
    }
}

#[test]
fn an_endpoint_is_let_in_with_its_vlan_tags_only() -> Result<()> {
    for hook in [Hook::Xdp, Hook::Tcx] {
        // A direct cable: a bridge between them would remove tags.
        let (host, vim) = (Namespace::new("host")?, Namespace::new("vim")?);
        link::veth(
            &port(&host, HOST.mac, &["192.0.2.17/24"]),
            &port(&vim, VIM.mac, &["192.0.2.10/24"]),
        )?;
        let policy = Policy {
            endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10], vlan: untagged },
                          vim-200: { role: vim, addresses: [\"2001:db8:0:200::10\"], vlan: 200 },
                          twice: { role: vim, addresses: [192.0.2.20], vlan: \"200.100\" } }",
            reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
            more: "vlans: [untagged, 100, 200]",
            ..Policy::default()
        };
        let agent = Agent::start_with(&host, &policy.to_string(), hook, "")?;
        let _ssh = host.tcp_listener((HOST.v4, openssh::PORT))?;
        let outcome = openssh::connect(&vim, PATIENCE)?;
        assert_eq!(outcome, Outcome::Connected, "{hook:?}");
        tags_are_compared(&vim, &agent)?;
    }
    Ok(())
}

/// Sends SYNs under many tags; only those with the tags of their endpoint pass.
fn tags_are_compared(vim: &Namespace, agent: &Agent<'_>) -> Result<()> {
    let twice = Station {
        v4: [192, 0, 2, 20].into(),
        ..VIM
    };
    let syn = |source: Station, tags: &[Vlan]| {
        let mut packet = Packet::new().with(Ethernet::default());
        for tag in tags {
            packet = packet.with(tag.clone());
        }
        packet
            .with(Ipv4::between(source.v4, HOST.v4))
            .with(Tcp::syn(openssh::PORT))
            .build()
    };
    let priority = Vlan {
        priority: 3,
        ..Vlan::new(0)
    };
    let stacked = [Vlan::service(200), Vlan::new(100)];
    let right = [syn(VIM, &[priority]), syn(twice, &stacked)];
    let wrong = [
        syn(VIM, &[Vlan::new(200)]),
        syn(VIM, &stacked),
        syn(twice, &[]),
        syn(twice, &[Vlan::new(200)]),
        syn(twice, &[Vlan::service(100), Vlan::new(200)]),
    ];
    let before = agent.counters()?;
    let mut wire = Wire::open(vim, NIC)?;
    for frame in right.iter().chain(&wrong) {
        wire.send(frame)?;
    }
    agent.await_packets("Nf-Vi", "wrong-vlan", wrong.len() as u64)?;
    let passed = before.endpoint("twice")?.passed.packets + 1;
    let after = agent.counters()?;
    assert_eq!(after.endpoint("twice")?.passed.packets, passed);
    assert_eq!(after.endpoint("twice")?.dropped.packets, 3);
    assert_eq!(after.endpoint("vim-1")?.dropped.packets, 2);
    Ok(())
}
