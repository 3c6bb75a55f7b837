//! Datagrams larger than the MTU: where the host may ask anyone, answers arrive whole, whoever sends them.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Result, ensure};
use harness::net::station::{HOST, INTRUDER, VIM};
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
