//! Segments that a stranger on the link forges in the name of the peer: those that the host's stack
//! ignores end no connection.

use std::io::Write;
use std::net::{IpAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::machine::wait;
use harness::net::packet::{Ethernet, Ipv4, Ipv6, Tcp};
use harness::net::station::{HOST, NIC, VIM};
use harness::net::wire::Wire;
use harness::{Agent, Packet, Topology};
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
