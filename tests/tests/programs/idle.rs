//! Connections that are idle for longer than a flow is remembered.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use harness::net::station::VIM;
use harness::{Agent, Topology};
use socket2::{SockRef, TcpKeepalive};

use crate::{BUS, BUS_PORT, addresses, connection, outbound_with, receives};

/// More than twice as long as the policy remembers a flow.
const IDLE: Duration = Duration::from_secs(5);

fn keep_alive(stream: &TcpStream) -> Result<()> {
    let second = Duration::from_secs(1);
    let every_second = TcpKeepalive::new().with_time(second).with_interval(second);
    SockRef::from(stream).set_tcp_keepalive(&every_second)?;
    Ok(())
}

#[test]
fn keepalive_keeps_a_flow_and_silence_ends_it() -> Result<()> {
    let scene = Topology::new()?;
    let _agent = Agent::start(
        &scene.host,
        &outbound_with("[bus]", BUS, "flow_timeouts: { tcp-established: 2s }"),
    )?;
    let mut pairs = Vec::new();
    for vim in addresses(VIM) {
        let vim = SocketAddr::new(vim, BUS_PORT);
        let open = || connection(&scene.host, &scene.vim, vim);
        let (kept, mut silent) = (open()?, open()?);
        keep_alive(&kept[0])?;
        assert!(receives(&mut silent)?, "{vim}: before it is idle");
        pairs.push((vim, kept, silent));
    }
    thread::sleep(IDLE);
    for (vim, mut kept, mut silent) in pairs {
        assert!(receives(&mut kept)?, "{vim}: with keepalive");
        assert!(!receives(&mut silent)?, "{vim}: without keepalive");
    }
    Ok(())
}
