//! A flood from the address of the peer itself displaces no connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::net::link::{self, Port};
use harness::net::packet::{Ethernet, Ipv6, Packet, Udp};
use harness::net::station::{HOST, Mac, NIC, VIM};
use harness::net::wire::Wire;
use harness::{Agent, Namespace, Policy};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{BUS_PORT, PATIENCE};

const CONNECTIONS: usize = 1000;
/// Packets of one sender.
const PACKETS: usize = 5_000_000;
/// As many as this machine has cores for.
const SENDERS: usize = 2;
/// Time between two rounds of all connections, while the flood lasts.
const ROUND: Duration = Duration::from_millis(200);

fn scene() -> Result<[Namespace; 2]> {
    let (host, vim) = (Namespace::new(HOST.label)?, Namespace::new(VIM.label)?);
    let port = |namespace, mac, addresses| Port {
        namespace,
        name: NIC,
        mac: Mac::station(mac),
        addresses,
    };
    link::veth(
        &port(&host, 0x17, &["192.0.2.17/24", "2001:db8:0:17::17/64"]),
        &port(&vim, 0x01, &["192.0.2.10/24", "2001:db8:0:17::10/64"]),
    )?;
    link::checksums_in_software(&host, NIC)?;
    Ok([host, vim])
}

fn policy() -> String {
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             Nf-Vi-out: { to: [vim], services: [bus, names] } }",
        services: "{ bus: { protocol: tcp, ports: [7001] },
                     names: { protocol: udp, ports: [53] } }",
        ..Policy::default()
    };
    policy.to_string()
}

/// Answers to questions that the host has not asked, from the resolver's own address and port.
fn frames() -> Vec<Vec<u8>> {
    (1024..u16::MAX)
        .step_by(7)
        .map(|port| {
            Packet::new()
                .with(Ethernet {
                    source: Mac::station(0x01),
                    destination: Mac::station(0x17),
                    ..Ethernet::default()
                })
                .with(Ipv6::between(VIM.v6, HOST.v6))
                .with(Udp {
                    source: 53,
                    ..Udp::to(port)
                })
                .build()
        })
        .collect()
}

/// Asks and answers on every connection.
fn round(connections: &mut [[TcpStream; 2]]) -> Result<()> {
    for (number, [host, vim]) in connections.iter_mut().enumerate() {
        let mut heard = [0; 4];
        vim.write_all(b"news")?;
        host.read_exact(&mut heard)
            .with_context(|| format!("connection {number} to the host"))?;
        host.write_all(b"seen")?;
        vim.read_exact(&mut heard)
            .with_context(|| format!("connection {number} from the host"))?;
    }
    Ok(())
}

#[test]
fn a_thousand_connections_outlast_ten_million_spoofed_packets() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let [host, vim] = scene()?;
    let agent = Agent::start(&host, &policy())?;
    let address = SocketAddr::from((VIM.v4, BUS_PORT));
    let listener = vim.tcp_listener(address)?;
    let connect = || -> Result<[TcpStream; 2]> {
        let near = host.tcp_stream(address, PATIENCE)??;
        let (far, _) = listener.accept()?;
        for end in [&near, &far] {
            end.set_read_timeout(Some(PATIENCE))?;
            end.set_nodelay(true)?;
        }
        Ok([near, far])
    };
    let mut connections = (0..CONNECTIONS)
        .map(|_| connect())
        .collect::<Result<Vec<_>>>()?;
    round(&mut connections)?;
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| Ok((Wire::open(&vim, NIC)?, frames())))
        .collect::<Result<_>>()?;
    let flood: Vec<JoinHandle<()>> = senders
        .into_iter()
        .map(|(mut wire, frames)| {
            thread::spawn(move || {
                for frame in frames.iter().cycle().take(PACKETS) {
                    // The next queue is full.
                    while wire.send(frame).is_err() {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut rounds = 0;
    while flood.iter().any(|sender| !sender.is_finished()) {
        round(&mut connections)?;
        connections.push(connect().context("a new connection, under the flood")?);
        rounds += 1;
        thread::sleep(ROUND);
    }
    for sender in flood {
        sender.join().expect("a sender does not panic");
    }
    round(&mut connections)?;
    let dropped = agent.counters()?.packets("Nf-Vi-out", "no-flow");
    ensure!(rounds > 1, "the flood ended too early");
    // A queue on the way may lose some.
    let sent = (SENDERS * PACKETS) as u64;
    ensure!(dropped > sent / 2, "of {sent} packets {dropped} arrived");
    Ok(())
}
