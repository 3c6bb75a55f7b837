//! Tenants' traffic over the host's own NIC is left alone: other VLANs, groups, and what is broken.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;
use harness::agent::Hook;
use harness::net::packet::{Ethernet, Extension, Fragment, Icmpv6, Ipv4, Ipv6, Tcp, Udp, Vlan};
use harness::net::station::{HOST, Mac, NIC, TENANT, VIM};
use harness::net::wire::Wire;
use harness::{Agent, Packet, Policy, Topology};

const ENFORCE: &str = "door: enforce\n";

/// A port that the host serves, too.
const SNMP: u16 = 161;

/// Long enough for frames to cross the switch.
const CROSSED: Duration = Duration::from_millis(100);

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn policy<'a>(more: &'a str) -> Policy<'a> {
    Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh, snmp, ping] } }",
        services: "{}",
        more,
        ..Policy::default()
    }
}

fn start<'a>(scene: &'a Topology, more: &str, door: &str) -> Result<Agent<'a>> {
    Agent::start_with(&scene.host, &policy(more).to_string(), Hook::Xdp, door)
}

fn link(to: Mac) -> Packet {
    Packet::new().with(Ethernet {
        destination: to,
        source: TENANT.mac,
        ..Ethernet::default()
    })
}

fn tagged(to: Mac, tags: &[u16]) -> Packet {
    let tags = tags.iter().map(|&id| Vlan::new(id));
    tags.fold(link(to), Packet::with)
}

/// Sends frames of tenants to the host's port, and tells what was dropped there, by reason.
fn dropped(scene: &Topology, agent: &Agent<'_>, frames: &[Packet]) -> Result<Vec<String>> {
    let before = agent.counters()?.dropped();
    let mut wire = Wire::open(&scene.tenant, NIC)?;
    for frame in frames {
        wire.send(&frame.build())?;
    }
    std::thread::sleep(CROSSED);
    let mut dropped = Vec::new();
    for ((point, reason), packets) in agent.counters()?.dropped() {
        let more = packets - before.get(&(point, reason.clone())).copied().unwrap_or(0);
        dropped.extend((0..more).map(|_| reason.clone()));
    }
    Ok(dropped)
}

/// To groups, at a port that the host serves, and for what it answers itself.
fn to_groups() -> Vec<Packet> {
    let (v4, v6) = (TENANT.v4, TENANT.v6);
    let to = |group| link(Mac::BROADCAST).with(Ipv4::between(v4, group));
    let to6 = |group| link(Mac([0x33, 0x33, 0, 0, 0, 1])).with(Ipv6::between(v6, group));
    let router_alert = || Extension::of(0, vec![5, 2, 0, 0, 1, 0]);
    let solicitation = Icmpv6 {
        kind: 152,
        ..Icmpv6::default()
    };
    vec![
        to(Ipv4Addr::BROADCAST).with(Udp::to(SNMP)),
        to(Ipv4Addr::new(192, 0, 2, 255)).with(Udp::to(SNMP)),
        to(Ipv4Addr::new(239, 1, 1, 1)).with(Udp::to(SNMP)),
        to6(ALL_NODES).with(Udp::to(SNMP)),
        to6(ALL_NODES).with(Icmpv6::echo()),
        // Multicast router discovery (RFC 4286).
        to6("ff02::2".parse().expect("an address"))
            .with(router_alert())
            .with(solicitation),
        // What no host could make sense of.
        link(Mac::BROADCAST)
            .with(Ipv4 {
                total_length: Some(7),
                ..Ipv4::between(v4, Ipv4Addr::new(239, 1, 1, 1))
            })
            .with(Udp::to(SNMP)),
        link(Mac::BROADCAST)
            .with(Ipv4 {
                ihl: Some(15),
                ..Ipv4::between(v4, Ipv4Addr::new(224, 0, 0, 1))
            })
            .with(Udp::to(SNMP)),
    ]
}

/// In a VLAN of tenants: the host's own addresses, and any number of tags.
fn in_a_vlan_of_tenants() -> Vec<Packet> {
    let host = || Ipv4::between(TENANT.v4, HOST.v4);
    let mut frames: Vec<Packet> = [&[300][..], &[300, 7], &[300, 7, 7], &[300, 7, 7, 7]]
        .into_iter()
        .map(|tags| tagged(HOST.mac, tags).with(host()).with(Tcp::syn(22)))
        .collect();
    frames.push(
        tagged(HOST.mac, &[300])
            .with(Ipv6::between(VIM.v6, HOST.v6))
            .with(Tcp::syn(23)),
    );
    frames.push(
        tagged(Mac::BROADCAST, &[300])
            .with(Ipv4::between(TENANT.v4, Ipv4Addr::BROADCAST))
            .with(Udp::to(SNMP)),
    );
    frames
}

#[test]
fn frames_in_vlans_of_tenants_pass_in_both_directions() -> Result<()> {
    let scene = Topology::new()?;
    // As from a wire, to a NIC that leaves tags in frames.
    let port = HOST.label;
    scene
        .switch
        .run(&["ethtool", "-K", port, "txvlan", "off"])?;
    let agent = start(&scene, "", "door: off\n")?;
    let frames = in_a_vlan_of_tenants();
    assert_eq!(dropped(&scene, &agent, &frames)?, Vec::<String>::new());
    // A guest has the host's address in another VLAN, and its answer leaves by the host's NIC.
    let mut out = Wire::open(&scene.host, NIC)?;
    let mut far = Wire::open(&scene.tenant, NIC)?;
    let answer = Packet::new()
        .with(Ethernet {
            destination: TENANT.mac,
            source: HOST.mac,
            ..Ethernet::default()
        })
        .with(Vlan::new(300))
        .with(Ipv4::between(HOST.v4, TENANT.v4))
        .with(Tcp::from(22, 0x12))
        .build();
    out.send(&answer)?;
    let arrived = far.receive(CROSSED * 5, |frame| frame.ends_with(&answer[18..]))?;
    assert!(arrived.is_some());
    assert_eq!(agent.counters()?.refused_out(), 0);
    drop(agent);

    // Where the policy says that it is the host's own, it is judged.
    let told = "vlans: [untagged, 300]\noutbound: enforce";
    let agent = start(&scene, told, "door: off\n")?;
    let mut reasons = dropped(&scene, &agent, &frames)?;
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "no-service",
            "unknown-source",
            "unknown-source",
            "unknown-source",
            "vlan-depth",
            "vlan-depth"
        ]
    );
    Ok(())
}

#[test]
fn what_is_for_groups_is_left_to_the_sockets() -> Result<()> {
    let scene = Topology::new()?;
    let frames = to_groups();
    // Without the door, nobody else would judge it.
    for door in ["door: off\n", "door: audit\n"] {
        let agent = start(&scene, "", door)?;
        assert!(dropped(&scene, &agent, &frames)?.len() >= 5, "{door}");
    }
    let agent = start(&scene, "", ENFORCE)?;
    assert_eq!(dropped(&scene, &agent, &frames)?, Vec::<String>::new());
    // But for fragments, which the kernel would keep.
    let fragment = |more, offset| {
        link(Mac([0x33, 0x33, 0, 0, 0, 1]))
            .with(Ipv6::between(TENANT.v6, ALL_NODES))
            .with(Fragment {
                more,
                offset,
                ..Fragment::default()
            })
            .with(Udp::to(SNMP))
    };
    let fragments = [fragment(true, 0), fragment(false, 20)];
    let reasons = dropped(&scene, &agent, &fragments)?;
    assert_eq!(reasons, ["fragment-unpermitted", "fragment-unpermitted"]);
    Ok(())
}
