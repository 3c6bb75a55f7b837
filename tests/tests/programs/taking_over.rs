//! Connections that exist when the agent first starts go on, if the policy permits them.

use std::net::TcpStream;

use anyhow::{Context, Result};
use harness::net::station::{INTRUDER, Station, VIM};
use harness::{Agent, Namespace, Policy, Topology};

use crate::{BUS, BUS_PORT, addresses, connection, receives};

fn policy() -> String {
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             Nf-Vi-out: { to: [vim], services: [bus] } }",
        services: BUS,
        ..Policy::default()
    };
    policy.to_string()
}

/// Both ends of a connection of the host's to a peer: the host's, and the peer's.
fn connections(scene: &Topology, peer: &Namespace, of: Station) -> Result<Vec<[TcpStream; 2]>> {
    addresses(of)
        .into_iter()
        .map(|address| connection(&scene.host, peer, (address, BUS_PORT)))
        .collect()
}

#[test]
fn the_permitted_ones_go_on_and_the_others_end() -> Result<()> {
    let scene = Topology::new()?;
    let mut permitted = connections(&scene, &scene.vim, VIM)?;
    let mut others = connections(&scene, &scene.intruder, INTRUDER)?;
    let agent = Agent::start(&scene.host, &policy())?;
    for connection in &mut permitted {
        assert!(receives(connection)?, "{:?}", connection[0]);
    }
    for connection in &mut others {
        assert!(!receives(connection)?, "{:?}", connection[0]);
    }
    assert!(agent.counters()?.packets("Nf-Vi-out", "established") > 0);
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
        assert!(receives(connection)?, "without an agent");
    }
    agent.restart()?;
    for connection in &mut open {
        assert!(receives(connection)?, "with the next agent");
    }
    Ok(())
}

/// A filter on some fields leaves the others open.
#[test]
fn flows_are_listed_by_filter() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &policy())?;
    let open = connections(&scene, &scene.vim, VIM)?;
    let ports = open.iter().map(|[local, _]| Ok(local.local_addr()?.port()));
    let ports = ports.collect::<Result<Vec<u16>>>()?;
    for (options, expected) in [
        (&[][..], 2),
        (&["--endpoint", "vim-1", "--state", "tcp-established"], 2),
        (&["--address", "192.0.2.0/24"], 1),
        (&["--service", "bus", "--role", "vim", "--port", "7001"], 2),
        (&["--protocol", "udp"], 0),
        (&["--reference-point", "Nf-Vi"], 0),
    ] {
        let list = agent.ask_json(&[&["flows"], options].concat())?;
        // Connections of tests beside this one are taken over, too, as they have the same
        // addresses.
        let flows = list["flows"].as_array().context("a list")?;
        let own = flows.iter().filter(|flow| {
            let port = flow["local_port"].as_u64().unwrap_or_default();
            ports.iter().any(|&own| u64::from(own) == port)
        });
        assert_eq!(own.count(), expected, "{options:?}: {list}");
        assert_eq!(list["matching"], flows.len(), "{options:?}: {list}");
        assert!(list["open"].as_u64() >= Some(2), "{options:?}: {list}");
    }
    Ok(())
}
