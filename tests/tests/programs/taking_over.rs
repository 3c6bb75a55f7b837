//! Connections that exist when the agent first starts go on, if the policy permits them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::Result;
use harness::station::{INTRUDER, Station, VIM};
use harness::{Agent, Namespace, Policy, Topology};

use crate::{PATIENCE, SHORT, addresses};

const BUS_PORT: u16 = 7001;

fn policy() -> String {
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             Nf-Vi-out: { to: [vim], services: [bus] } }",
        services: "{ bus: { protocol: tcp, ports: [7001] } }",
        ..Policy::default()
    };
    policy.to_string()
}

/// Both ends of a connection of the host's to a peer: the host's, and the peer's.
fn connections(scene: &Topology, peer: &Namespace, of: Station) -> Result<Vec<[TcpStream; 2]>> {
    addresses(of)
        .into_iter()
        .map(|address| {
            let address = SocketAddr::new(address, BUS_PORT);
            let listener = peer.tcp_listener(address)?;
            let host = scene.host.tcp_stream(address, PATIENCE)??;
            let (far, _) = listener.accept()?;
            Ok([host, far])
        })
        .collect()
}

/// Whether what the peer says first reaches the host.
fn hears([host, far]: &mut [TcpStream; 2]) -> Result<bool> {
    far.write_all(b"news")?;
    host.set_read_timeout(Some(SHORT))?;
    let mut heard = [0; 4];
    Ok(host.read_exact(&mut heard).is_ok() && &heard == b"news")
}

#[test]
fn the_permitted_ones_go_on_and_the_others_end() -> Result<()> {
    let scene = Topology::new()?;
    let mut permitted = connections(&scene, &scene.vim, VIM)?;
    let mut others = connections(&scene, &scene.intruder, INTRUDER)?;
    let agent = Agent::start(&scene.host, &policy())?;
    for connection in &mut permitted {
        assert!(hears(connection)?, "{:?}", connection[0]);
    }
    for connection in &mut others {
        assert!(!hears(connection)?, "{:?}", connection[0]);
    }
    assert!(agent.tally()?.packets("Nf-Vi-out", "established") > 0);
    Ok(())
}

/// The table of flows outlives the agent.
#[test]
fn a_restart_of_the_agent_interrupts_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &policy())?;
    let mut open = connections(&scene, &scene.vim, VIM)?;
    agent.kill9();
    for connection in &mut open {
        assert!(hears(connection)?, "without an agent");
    }
    agent.restart()?;
    for connection in &mut open {
        assert!(hears(connection)?, "with the next agent");
    }
    Ok(())
}
