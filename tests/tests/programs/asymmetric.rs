//! Two interfaces: a connection leaves by one, and its answers come in by the other.

use std::io::{Read, Write};

use anyhow::Result;
use harness::net::link::{self, Port};
use harness::net::station::{HOST, HOST_OPERATIONS, Mac, NIC, VIM};
use harness::{Agent, Namespace, Outcome, Policy};

use crate::{BUS, BUS_PORT, PATIENCE, SHORT, addresses};

const SECOND_NIC: &str = "eth1";

fn port<'a>(
    namespace: &'a Namespace,
    name: &'a str,
    mac: u8,
    addresses: &'a [&'a str],
) -> Port<'a> {
    Port {
        namespace,
        name,
        mac: Mac::station(mac),
        addresses,
    }
}

/// The host and the VIM, joined by two cables; whatever the VIM sends goes through the second.
fn scene() -> Result<(Namespace, Namespace)> {
    let (host, vim) = (Namespace::new(HOST.label)?, Namespace::new(VIM.label)?);
    link::veth(
        &port(&host, NIC, 0x17, &["192.0.2.17/24", "2001:db8:0:17::17/64"]),
        &port(&vim, NIC, 0x01, &["192.0.2.10/24", "2001:db8:0:17::10/64"]),
    )?;
    link::veth(
        &port(
            &host,
            SECOND_NIC,
            0x27,
            &["198.51.100.17/24", "2001:db8:0:51::17/64"],
        ),
        &port(
            &vim,
            SECOND_NIC,
            0x21,
            &["198.51.100.10/24", "2001:db8:0:51::10/64"],
        ),
    )?;
    for [station, gateway] in addresses(HOST)
        .into_iter()
        .zip(addresses(HOST_OPERATIONS))
        .map(|(station, gateway)| [station, gateway].map(|address| address.to_string()))
    {
        link::route(&vim, &station, &gateway)?;
    }
    for interface in ["all", NIC, SECOND_NIC] {
        host.sysctl(&format!("net/ipv4/conf/{interface}/rp_filter"), "0")?;
    }
    Ok((host, vim))
}

fn policy(bound: &str) -> String {
    let endpoints = format!(
        "{{ vim-1: {{ role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"]{bound} }} }}"
    );
    let policy = Policy {
        interfaces: "[eth0, eth1]",
        endpoints: &endpoints,
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             Nf-Vi-out: { to: [vim], services: [bus] } }",
        services: BUS,
        ..Policy::default()
    };
    policy.to_string()
}

#[test]
fn answers_may_come_in_by_the_other_interface() -> Result<()> {
    let (host, vim) = scene()?;
    // Nothing of the connection comes in by the first.
    host.feed(
        &["nft", "-f", "-"],
        "table inet t { chain c { type filter hook input priority 0;\n\
         iifname eth0 tcp sport 7001 drop; }; }\n",
    )?;
    let _agent = Agent::start(&host, &policy(""))?;
    for address in addresses(VIM) {
        let listener = vim.tcp_listener((address, BUS_PORT))?;
        let mut near = host.tcp_stream((address, BUS_PORT), PATIENCE)??;
        let (mut far, _) = listener.accept()?;
        let mut heard = [0; 4];
        near.write_all(b"ping")?;
        far.read_exact(&mut heard)?;
        far.write_all(b"pong")?;
        near.read_exact(&mut heard)?;
        assert_eq!(&heard, b"pong", "{address}");
    }
    Ok(())
}

#[test]
fn answers_of_an_endpoint_that_is_bound_to_an_interface_may_not() -> Result<()> {
    let (host, vim) = scene()?;
    let agent = Agent::start(&host, &policy(", interface: eth0"))?;
    for address in addresses(VIM) {
        let _listener = vim.tcp_listener((address, BUS_PORT))?;
        let outcome = host.tcp_connect((address, BUS_PORT), SHORT)?;
        assert_eq!(outcome, Outcome::TimedOut, "{address}");
    }
    agent.await_any("*", "wrong-interface")
}
