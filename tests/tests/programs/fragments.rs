//! Datagrams larger than the MTU: where the host may ask anyone, answers arrive whole, whoever sends them.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Result, ensure};
use harness::net::packet::{Ethernet, Ipv4, Packet};
use harness::net::station::{HOST, INTRUDER, NIC, VIM};
use harness::net::wire::Wire;
use harness::{Agent, Namespace, Policy, Topology};

use crate::{PATIENCE, SHORT, addresses};

const PORT: u16 = 5353;
/// Three fragments, at an MTU of 1500.
const LENGTH: usize = 3000;

/// A policy that lists nobody the host may ask, with this mode of the whole and of what it asks.
fn policy(mode: &str, outbound: &str) -> String {
    let policy = Policy {
        mode,
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"] } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        services: "{}",
        more: &format!("outbound: {outbound}"),
        ..Policy::default()
    };
    policy.to_string()
}

fn echo(host: &Namespace, to: &str) -> bool {
    let size = LENGTH.to_string();
    let ping = host.run(&["ping", "-n", "-c", "2", "-W", "2", "-s", &size, to]);
    ping.is_ok()
}

/// Whether a datagram of the peer's answers one of the host's.
fn answered(host: &Namespace, peer: &Namespace, address: SocketAddr) -> Result<bool> {
    let listening = peer.enter(|| UdpSocket::bind(address))??;
    let any: SocketAddr = if address.is_ipv4() {
        "0.0.0.0:0".parse()?
    } else {
        "[::]:0".parse()?
    };
    let asking = host.enter(|| UdpSocket::bind(any))??;
    listening.set_read_timeout(Some(PATIENCE))?;
    asking.set_read_timeout(Some(SHORT))?;
    asking.send_to(b"question", address)?;
    let mut received = [0; 2 * LENGTH];
    let (_, asker) = listening.recv_from(&mut received)?;
    listening.send_to(&[7; LENGTH], asker)?;
    Ok(asking
        .recv_from(&mut received)
        .is_ok_and(|(length, _)| length == LENGTH))
}

#[test]
fn answers_of_strangers_arrive_whole() -> Result<()> {
    let scene = Topology::new()?;
    for (mode, outbound) in [("enforce", "any"), ("enforce", "audit"), ("audit", "audit")] {
        let _agent = Agent::start(&scene.host, &policy(mode, outbound))?;
        for (peer, station) in [(&scene.intruder, INTRUDER), (&scene.vim, VIM)] {
            for address in addresses(station) {
                let what = format!("{address}, mode {mode}, outbound {outbound}");
                ensure!(echo(&scene.host, &address.to_string()), "echo: {what}");
                let whole = answered(&scene.host, peer, (address, PORT).into())?;
                ensure!(whole, "UDP: {what}");
            }
        }
    }
    Ok(())
}

/// What a stranger sends unasked does not arrive, in one piece or several, but where an audit lets it
/// pass: then all of it does.
#[test]
fn what_nobody_asked_for_arrives_only_in_an_audit() -> Result<()> {
    let scene = Topology::new()?;
    for (mode, expected) in [("enforce", false), ("audit", true)] {
        let _agent = Agent::start(&scene.host, &policy(mode, "any"))?;
        for (host, intruder) in addresses(HOST).into_iter().zip(addresses(INTRUDER)) {
            let listening = scene.host.enter(|| UdpSocket::bind((host, PORT)))??;
            let sending = scene.intruder.enter(|| UdpSocket::bind((intruder, 0)))??;
            listening.set_read_timeout(Some(SHORT))?;
            sending.send_to(&[7; LENGTH], (host, PORT))?;
            let mut received = [0; 2 * LENGTH];
            let arrived = listening
                .recv(&mut received)
                .is_ok_and(|length| length == LENGTH);
            ensure!(arrived == expected, "{host}, mode {mode}");
        }
    }
    Ok(())
}

/// The kernel keeps fragments of all senders in one memory, whoever they are for.
#[test]
fn fragments_to_everyone_do_not_fill_the_hosts_memory() -> Result<()> {
    const FLOOD: u16 = 6000;
    let scene = Topology::new()?;
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [mdns] } }",
        services: "{ mdns: { protocol: udp, ports: [5353] } }",
        ..Policy::default()
    };
    let _agent = Agent::start(&scene.host, &policy.to_string())?;
    let listening = scene.host.enter(|| UdpSocket::bind((HOST.v4, PORT)))??;
    listening.set_read_timeout(Some(PATIENCE))?;
    let mut wire = Wire::open(&scene.intruder, NIC)?;
    for (more, offset) in [(false, 185), (true, 0)] {
        for identification in 0..FLOOD {
            let header = Ipv4 {
                identification,
                more_fragments: more,
                fragment_offset: offset,
                protocol: Some(17),
                ..Ipv4::between(INTRUDER.v4, [224, 0, 0, 1].into())
            };
            let packet = Packet::new()
                .with(Ethernet {
                    destination: HOST.mac,
                    source: INTRUDER.mac,
                    ..Ethernet::default()
                })
                .with(header);
            wire.send(&packet.with(vec![0; 1400]).build())?;
        }
        let sending = scene.vim.enter(|| UdpSocket::bind((VIM.v4, 0)))??;
        sending.send_to(&[7; LENGTH], (HOST.v4, PORT))?;
        let (length, _) = listening.recv_from(&mut [0; 2 * LENGTH])?;
        assert_eq!(length, LENGTH);
    }
    Ok(())
}
