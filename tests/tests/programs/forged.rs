//! What a stranger on the link forges: segments that the host's stack ignores end no connection, and errors
//! about what the host has never sent change no path MTU.

use std::io::Write;
use std::net::{IpAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::machine::wait;
use harness::net::packet::{Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp};
use harness::net::station::{HOST, INTRUDER, NIC, VIM};
use harness::net::wire::Wire;
use harness::{Agent, Packet, Policy, Topology};
use socket2::SockRef;

use crate::{BUS, BUS_PORT, PATIENCE, addresses, connection, outbound_with, receives};

/// More than twice as long as the policy remembers a connection that has ended.
const IDLE: Duration = Duration::from_secs(3);

/// Between two forged sequence numbers; no window is smaller by half.
const STEP: usize = 1 << 26;

/// A segment from the VIM's port to the host's.
fn forged(to: u16, from_v4: bool, flags: u8, sequence: u32) -> Vec<u8> {
    let ethernet = Ethernet {
        destination: HOST.mac,
        source: VIM.mac,
        ..Ethernet::default()
    };
    let packet = Packet::new().with(ethernet);
    let packet = if from_v4 {
        packet.with(Ipv4::between(VIM.v4, HOST.v4))
    } else {
        packet.with(Ipv6::between(VIM.v6, HOST.v6))
    };
    let segment = Tcp {
        source: BUS_PORT,
        destination: to,
        flags,
        sequence,
        ..Tcp::to(0, 0)
    };
    packet.with(segment).build()
}

/// The state of the flow of this connection of the host's.
fn state(agent: &Agent<'_>, near: &TcpStream) -> Result<String> {
    let port = near.local_addr()?.port().to_string();
    let list = agent.ask_json(&["flows", "--port", &port])?;
    let state = list["flows"][0]["state"].as_str();
    Ok(state
        .with_context(|| format!("no flow: {list}"))?
        .to_owned())
}

/// Connections of the host's to both addresses of the VIM.
fn connections(scene: &Topology) -> Result<Vec<[TcpStream; 2]>> {
    let open = |vim: IpAddr| connection(&scene.host, &scene.vim, (vim, BUS_PORT));
    addresses(VIM).into_iter().map(open).collect()
}

fn policy() -> String {
    outbound_with(
        "[bus]",
        BUS,
        "flow_timeouts: { tcp-closed: 1s, tcp-closing: 1s }",
    )
}

#[test]
fn what_the_stack_ignores_ends_no_connection() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &policy())?;
    let mut wire = Wire::open(&scene.intruder, NIC)?;
    let mut open = connections(&scene)?;
    for ends in &mut open {
        assert!(receives(ends)?, "before");
        let local = ends[0].local_addr()?;
        for flags in [Tcp::RST, Tcp::RST | Tcp::ACK, Tcp::FIN | Tcp::ACK] {
            for sequence in (0..=u32::MAX).step_by(STEP) {
                wire.send(&forged(local.port(), local.is_ipv4(), flags, sequence))?;
            }
        }
    }
    thread::sleep(IDLE);
    for ends in &mut open {
        assert_eq!(state(&agent, &ends[0])?, "tcp-established");
        assert!(receives(ends)?, "{:?}", ends[0]);
    }
    Ok(())
}

/// The last data and the reset come before the host has acknowledged anything of them.
#[test]
fn what_the_peer_resets_has_ended() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &outbound_with("[bus]", BUS, ""))?;
    for [near, mut far] in connections(&scene)? {
        far.write_all(b"last words")?;
        SockRef::from(&far).set_linger(Some(Duration::ZERO))?;
        drop(far);
        wait::until(&"tcp-closed".to_owned(), PATIENCE, || state(&agent, &near))?;
    }
    Ok(())
}

/// Where the host serves datagrams to the VIM.
const SERVED: u16 = 7002;

/// A port of the VIM's from which it asks, and one from which it does not.
const ASKS: u16 = 5_000;
const SILENT: u16 = 5_001;

/// An error that quotes a datagram of the host's service to this port of the VIM's.
fn too_big(v4: bool, port: u16) -> Vec<u8> {
    let datagram = Udp {
        source: SERVED,
        destination: port,
        ..Udp::to(0)
    };
    let packet = Packet::new().with(Ethernet {
        destination: HOST.mac,
        source: INTRUDER.mac,
        ..Ethernet::default()
    });
    let packet = if v4 {
        packet
            .with(Ipv4::between(INTRUDER.v4, HOST.v4))
            .with(Icmp::fragmentation_needed(600))
            .with(Ipv4::between(HOST.v4, VIM.v4))
    } else {
        packet
            .with(Ipv6::between(INTRUDER.v6, HOST.v6))
            .with(Icmpv6::too_big(1280))
            .with(Ipv6::between(HOST.v6, VIM.v6))
    };
    packet.with(datagram).with(vec![0; 64]).build()
}

/// What the host knows of the path to the VIM.
fn path(scene: &Topology, vim: IpAddr) -> Result<String> {
    scene.host.run(&["ip", "route", "get", &vim.to_string()])
}

#[test]
fn errors_about_what_was_never_sent_change_no_path() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [telemetry] } }",
        services: "{ telemetry: { protocol: udp, ports: [7002] } }",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let mut wire = Wire::open(&scene.intruder, NIC)?;
    for (host, vim) in addresses(HOST).into_iter().zip(addresses(VIM)) {
        let service = scene.host.udp((host, SERVED), PATIENCE)?;
        let asker = scene.vim.udp((vim, ASKS), PATIENCE)?;
        asker.send_to(b"how are you?", (host, SERVED))?;
        let (_, from) = service.recv_from(&mut [0; 32])?;
        service.send_to(b"fine", from)?;
        let before = agent.counters()?.packets("Nf-Vi", "icmp-unrelated");
        wire.send(&too_big(vim.is_ipv4(), SILENT))?;
        agent.await_packets("Nf-Vi", "icmp-unrelated", before + 1)?;
        assert!(!path(&scene, vim)?.contains("mtu"), "{vim}: never sent");
        // Of what the host may have sent, any router may say so.
        wire.send(&too_big(vim.is_ipv4(), ASKS))?;
        wait::until(&true, PATIENCE, || Ok(path(&scene, vim)?.contains("mtu")))?;
    }
    Ok(())
}
