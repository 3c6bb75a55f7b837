//! Simultaneous open (RFC 9293, 3.5): both ends connect, and nobody listens.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use anyhow::{Context, Result};
use harness::machine::wait;
use harness::net::stack_counter::StackCounter;
use harness::net::station::{HOST, INTRUDER, VIM};
use harness::{Agent, Topology};

use crate::{BUS, BUS_PORT, PATIENCE, SHORT, addresses, outbound};

/// The peer loses what would open a connection, as a network might.
const LOSSY: &str = "table inet lossy { chain c { type filter hook input priority 0;\n\
                     tcp dport 7001 tcp flags & (syn | ack) == syn drop; }; }\n";

/// What the peer's network loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// The host's first SYN: the next one meets the peer's.
    FirstSyn,
    /// All of them: only the peer's SYN comes through.
    EverySyn,
}

/// Begins a connection from the host to the VIM, and one from the VIM to the host's same port.
fn open(scene: &Topology, host: IpAddr, vim: IpAddr, lost: Lost) -> Result<[TcpStream; 2]> {
    let [host, vim] = [host, vim].map(|ip| SocketAddr::new(ip, BUS_PORT));
    scene.vim.feed(&["nft", "-f", "-"], LOSSY)?;
    let seen = StackCounter::of(&scene.vim, host.ip())?;
    let near = scene.host.tcp_begin(host, vim, PATIENCE)?;
    wait::until(&true, PATIENCE, || Ok(seen.packets()? > 0))?;
    if lost == Lost::FirstSyn {
        scene
            .vim
            .run(&["nft", "delete", "table", "inet", "lossy"])?;
    }
    let far = scene.vim.tcp_begin(vim, host, PATIENCE)?;
    Ok([near, far])
}

fn opens(scene: &Topology, lost: Lost) -> Result<()> {
    for (host, vim) in addresses(HOST).into_iter().zip(addresses(VIM)) {
        let mut ends = open(scene, host, vim, lost)?;
        talks(&mut ends).with_context(|| format!("{host} and {vim}, {lost:?}"))?;
        if lost == Lost::EverySyn {
            scene
                .vim
                .run(&["nft", "delete", "table", "inet", "lossy"])?;
        }
    }
    Ok(())
}

fn talks([near, far]: &mut [TcpStream; 2]) -> Result<()> {
    let mut heard = [0; 4];
    far.write_all(b"ping")?;
    near.read_exact(&mut heard)?;
    assert_eq!(&heard, b"ping");
    near.write_all(b"pong")?;
    far.read_exact(&mut heard)?;
    assert_eq!(&heard, b"pong");
    Ok(())
}

#[test]
fn it_works_without_the_agent() -> Result<()> {
    let scene = Topology::new()?;
    opens(&scene, Lost::FirstSyn)?;
    opens(&Topology::new()?, Lost::EverySyn)
}

#[test]
fn the_syns_of_host_and_peer_may_cross() -> Result<()> {
    let scene = Topology::new()?;
    let _agent = Agent::start(&scene.host, &outbound("[bus]", BUS))?;
    opens(&scene, Lost::FirstSyn)
}

#[test]
fn the_peers_syn_may_be_the_only_one_to_arrive() -> Result<()> {
    let scene = Topology::new()?;
    let _agent = Agent::start(&scene.host, &outbound("[bus]", BUS))?;
    opens(&scene, Lost::EverySyn)
}

#[test]
fn a_strangers_syn_does_not_match_the_hosts() -> Result<()> {
    let scene = Topology::new()?;
    let _agent = Agent::start(&scene.host, &outbound("[bus]", BUS))?;
    let [host, vim] = [HOST.v4, VIM.v4].map(|ip| SocketAddr::from((ip, BUS_PORT)));
    let near = scene.host.tcp_begin(host, vim, PATIENCE)?;
    let seen = StackCounter::of(&scene.host, INTRUDER.v4)?;
    let intruder = (INTRUDER.v4, BUS_PORT);
    let mut far = scene.intruder.tcp_begin(intruder, host, SHORT)?;
    assert!(far.write_all(b"ping").is_err());
    assert_eq!(seen.packets()?, 0);
    drop(near);
    Ok(())
}
