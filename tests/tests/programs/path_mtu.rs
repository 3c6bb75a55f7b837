//! A hop with a smaller MTU: its ICMP errors reach the host, whoever opened the connection.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use harness::net::link::{self, Port};
use harness::net::station::{HOST, Mac, NIC, VIM};
use harness::{Agent, Namespace, Policy};

use crate::{BUS_PORT, PATIENCE, connection};

const CONTROL_PORT: u16 = 7000;
/// The smallest that IPv6 permits is 1280.
const NARROW: &str = "1300";
/// Many segments of the MTU of the host's own link.
const LENGTH: usize = 300_000;

const FAR: [&str; 2] = ["198.51.100.10", "2001:db8:0:51::10"];

/// Host, router and the VIM behind it.
fn scene() -> Result<[Namespace; 3]> {
    let host = Namespace::new(HOST.label)?;
    let router = Namespace::new("router")?;
    let vim = Namespace::new(VIM.label)?;
    let port = |namespace, name, mac, addresses| Port {
        namespace,
        name,
        mac: Mac::station(mac),
        addresses,
    };
    link::veth(
        &port(&host, NIC, 0x17, &["192.0.2.17/24", "2001:db8:0:17::17/64"]),
        &port(&router, NIC, 0x31, &["192.0.2.1/24", "2001:db8:0:17::1/64"]),
    )?;
    link::veth(
        &port(
            &router,
            "eth1",
            0x32,
            &["198.51.100.1/24", "2001:db8:0:51::1/64"],
        ),
        &port(
            &vim,
            NIC,
            0x01,
            &["198.51.100.10/24", "2001:db8:0:51::10/64"],
        ),
    )?;
    router.sysctl("net/ipv4/ip_forward", "1")?;
    router.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    for (network, gateway) in [
        ("198.51.100.0/24", "192.0.2.1"),
        ("2001:db8:0:51::/64", "2001:db8:0:17::1"),
    ] {
        link::route(&host, network, gateway)?;
    }
    for (network, gateway) in [
        ("192.0.2.0/24", "198.51.100.1"),
        ("2001:db8:0:17::/64", "2001:db8:0:51::1"),
    ] {
        link::route(&vim, network, gateway)?;
    }
    router.run(&["ip", "link", "set", "eth1", "mtu", NARROW])?;
    link::checksums_in_software(&host, NIC)?;
    Ok([host, router, vim])
}

fn policy() -> String {
    let policy = Policy {
        endpoints: "{ vim-1: { role: vim, addresses: [198.51.100.10, \"2001:db8:0:51::10\"] } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [control] },
                             Nf-Vi-out: { to: [vim], services: [bus] } }",
        services: "{ control: { protocol: tcp, ports: [7000] },
                     bus: { protocol: tcp, ports: [7001] } }",
        ..Policy::default()
    };
    policy.to_string()
}

/// Sends much from one end, and waits until the other has it all.
fn transfer(mut from: TcpStream, mut to: TcpStream) -> Result<usize> {
    to.set_read_timeout(Some(PATIENCE))?;
    let sender = thread::spawn(move || from.write_all(&vec![7; LENGTH]).map(|()| from));
    let mut received = vec![0; LENGTH];
    let read = to.read_exact(&mut received).map(|()| received.len());
    let sent = sender.join().expect("the sender does not panic");
    read.context("not everything arrived")?;
    sent.map(|_| LENGTH).context("sending")
}

/// Makes the host forget the path MTU.
fn forget_path(host: &Namespace) -> Result<()> {
    host.run(&["ip", "route", "flush", "cache"])?;
    host.run(&["ip", "-6", "route", "flush", "cache"])?;
    Ok(())
}

#[test]
fn is_discovered_by_the_host() -> Result<()> {
    let [host, _router, vim] = scene()?;
    let agent = Agent::start(&host, &policy())?;
    for (far, near) in FAR.into_iter().zip([HOST.v4.into(), IpAddr::from(HOST.v6)]) {
        let far = far.parse::<IpAddr>()?;
        // The host opens, and sends.
        let [from, to] = connection(&host, &vim, (far, BUS_PORT))?;
        assert_eq!(transfer(from, to)?, LENGTH, "{far}");
        forget_path(&host)?;
        // The VIM opens, and the host sends.
        let [to, from] = connection(&vim, &host, (near, CONTROL_PORT))?;
        assert_eq!(transfer(from, to)?, LENGTH, "{near}");
        forget_path(&host)?;
    }
    let counters = agent.counters()?;
    assert!(counters.packets("Nf-Vi-out", "icmp-error") > 0);
    assert!(counters.packets("Nf-Vi", "icmp-error") > 0);
    assert_eq!(counters.packets("*", "icmp-unrelated"), 0);
    Ok(())
}
