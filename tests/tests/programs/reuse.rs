//! A second connection between the same ports: the end of the first one does not end it.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::net::station::{HOST, VIM};
use harness::{Agent, Topology};

use crate::{BUS, BUS_PORT, PATIENCE, addresses, outbound_with, receives};

/// The host's port of both connections.
const OWN_PORT: u16 = 40_000;

/// More than twice as long as the policy remembers a connection that has ended.
const IDLE: Duration = Duration::from_secs(5);

/// Both ends of a connection from the host's port, that of the host first.
fn connect(scene: &Topology, host: IpAddr, vim: IpAddr) -> Result<[TcpStream; 2]> {
    let (host, vim) = (
        SocketAddr::new(host, OWN_PORT),
        SocketAddr::new(vim, BUS_PORT),
    );
    let listener = scene.vim.tcp_listener(vim)?;
    let near = scene.host.tcp_begin(host, vim, PATIENCE)?;
    let (far, _) = listener.accept()?;
    Ok([near, far])
}

#[test]
fn a_refused_connection_does_not_end_the_next() -> Result<()> {
    let scene = Topology::new()?;
    let _agent = Agent::start(
        &scene.host,
        &outbound_with("[bus]", BUS, "flow_timeouts: { tcp-closed: 2s }"),
    )?;
    let mut pairs = Vec::new();
    for (host, vim) in addresses(HOST).into_iter().zip(addresses(VIM)) {
        // Nobody listens: the peer answers with RST.
        let (from, to) = (
            SocketAddr::new(host, OWN_PORT),
            SocketAddr::new(vim, BUS_PORT),
        );
        let answer = scene.host.tcp_begin(from, to, PATIENCE)?.read(&mut [0]);
        let error = answer.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{vim}");
        let mut ends = connect(&scene, host, vim).with_context(|| vim.to_string())?;
        assert!(receives(&mut ends)?, "{vim}: before it is idle");
        pairs.push((vim, ends));
    }
    thread::sleep(IDLE);
    for (vim, mut ends) in pairs {
        assert!(receives(&mut ends)?, "{vim}: after it was idle");
    }
    Ok(())
}
