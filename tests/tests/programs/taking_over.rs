//! Connections that exist when the agent first starts go on, if the policy permits them.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};

use anyhow::{Context, Result};
use harness::machine::wait::until;
use harness::net::station::{HOST, INTRUDER, NIC, Station, VIM};
use harness::{Agent, Namespace, Policy, Topology};

use crate::{BUS, BUS_PORT, PATIENCE, addresses, connection, receives};

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

#[test]
fn another_size_of_the_table_interrupts_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &policy())?;
    let mut open = connections(&scene, &scene.vim, VIM)?;
    let settings = agent.folder().join("agent.yaml");
    let before = std::fs::read_to_string(&settings)?;
    let sized = |flows: &str| before.replace("flows: 65536\n", flows);
    let at_first = agent.ask_json(&["flows"])?["capacity"].clone();
    assert_eq!(at_first, 65_536);
    for (text, flows) in [
        ("flows: 1024\n", 1024),
        // It stays as it is.
        ("", 1024),
        ("flows: 131072\n", 131_072),
    ] {
        std::fs::write(&settings, sized(text))?;
        agent.kill9();
        agent.restart()?;
        let list = agent.ask_json(&["flows"])?;
        assert_eq!(list["capacity"], flows);
        for connection in &mut open {
            // The flow was moved: its sequence numbers are known.
            assert!(receives(connection)?, "{flows}: {:?}", connection[0]);
            let port = connection[0].local_addr()?.port().to_string();
            let flow = agent.ask_json(&["flows", "--port", &port])?["flows"][0].clone();
            assert!(flow["sent_bytes"].as_u64() > Some(100), "{flow}");
        }
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

/// What is asked about is the next segment of the connection, not another SYN.
#[test]
fn packets_of_an_open_flow_are_explained_as_such() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &policy())?;
    for mut open in connections(&scene, &scene.vim, VIM)? {
        assert!(receives(&mut open)?, "before");
        let [local, remote] = [open[0].local_addr()?, open[0].peer_addr()?];
        let reason = |from: SocketAddr, to: SocketAddr, way: &[&str]| -> Result<String> {
            let [source, port] = [from, to].map(|end| end.port().to_string());
            let [from, to] = [from, to].map(|end| end.ip().to_string());
            let ends = [
                "--from",
                &from,
                "--source-port",
                &source,
                "--to",
                &to,
                "--port",
                &port,
            ];
            // What is dropped has an exit code of its own.
            let json = ["--output", "json"];
            let output = agent.cli(&[&["explain"], &ends[..], way, &json].concat())?;
            let told: serde_json::Value = serde_json::from_str(&output.stdout)?;
            Ok(told["reason"].as_str().context("a reason")?.to_owned())
        };
        assert_eq!(reason(remote, local, &[])?, "established");
        assert_eq!(reason(local, remote, &["--outbound"])?, "outbound");
        let other = SocketAddr::new(local.ip(), 1);
        assert_eq!(reason(remote, other, &[])?, "no-flow");
    }
    Ok(())
}

/// The host's stack is shown to the agent without sequence numbers: it knows less than the flows do.
#[test]
fn an_address_more_interrupts_no_stream() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &policy())?;
    let mut open = connections(&scene, &scene.vim, VIM)?;
    for connection in &mut open {
        assert!(receives(connection)?, "before");
    }
    scene
        .host
        .run(&["ip", "address", "add", "192.0.2.99/32", "dev", "lo"])?;
    until(&2, PATIENCE, || {
        Ok(agent.log().matches("connections taken over").count())
    })?;
    for connection in &mut open {
        // The host sends nothing but acknowledgements.
        for _ in 0..3 {
            assert!(receives(connection)?, "{:?}", connection[0]);
        }
    }
    assert_eq!(agent.counters()?.packets("Nf-Vi-out", "out-of-window"), 0);
    Ok(())
}

#[test]
fn connections_of_an_address_gained_without_an_agent_go_on() -> Result<()> {
    const GAINED: &str = "192.0.2.98";
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &policy())?;
    agent.kill9();
    let add = ["ip", "address", "add", "192.0.2.98/24", "dev", NIC];
    scene.host.run(&add)?;
    let listener = scene.vim.tcp_listener((VIM.v4, BUS_PORT))?;
    let from = (GAINED.parse::<IpAddr>()?, 40_123);
    let near = scene.host.tcp_begin(from, (VIM.v4, BUS_PORT), PATIENCE)?;
    let (far, _) = listener.accept()?;
    let mut gained = [near, far];
    assert!(receives(&mut gained)?, "while it is not protected");
    agent.restart()?;
    assert!(receives(&mut gained)?, "since it is protected");
    Ok(())
}

/// Their sockets are elsewhere, with other addresses.
#[test]
fn connections_behind_nat_go_on() -> Result<()> {
    let scene = Topology::new()?;
    scene.host.feed(
        &["nft", "-f", "-"],
        "table ip nat {
           chain post { type nat hook postrouting priority 100; oifname eth0 ip saddr 203.0.113.10 masquerade; }
           chain pre { type nat hook output priority -100; ip daddr 10.96.0.1 dnat to 192.0.2.10; }
         }
        ",
    )?;
    scene
        .host
        .run(&["ip", "route", "add", "10.96.0.1/32", "dev", NIC])?;
    let cluster: SocketAddr = "10.96.0.1:7001".parse()?;
    let listener = scene.vim.tcp_listener((VIM.v4, BUS_PORT))?;
    let mut open = Vec::new();
    for (from, to) in [
        (&scene.guest, (VIM.v4, BUS_PORT).into()),
        (&scene.host, cluster),
    ] {
        let near = from.tcp_stream(to, PATIENCE)??;
        let (far, peer) = listener.accept()?;
        assert_eq!(peer.ip(), HOST.v4, "translated");
        open.push([near, far]);
    }
    let agent = Agent::start(&scene.host, &policy())?;
    for connection in &mut open {
        assert!(receives(connection)?, "{:?}", connection[0]);
    }
    let log = agent.log();
    assert!(!log.contains("10.96.0.1"), "{log}");
    Ok(())
}

/// Under an audit, strangers get in. What they had open then does not go on once they may not.
#[test]
fn a_strangers_session_does_not_outlast_the_audit() -> Result<()> {
    let policy = |serial, mode| Policy {
        serial,
        mode,
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        more: "outbound: audit",
        ..Policy::default()
    };
    let scene = Topology::new()?;
    // The host's end first, as in all connections here.
    let open = || -> Result<Vec<[TcpStream; 2]>> {
        let sessions = addresses(HOST).into_iter().map(|address| {
            let [far, near] = connection(&scene.intruder, &scene.host, (address, 8080))?;
            Ok([near, far])
        });
        sessions.collect()
    };
    // At this one something still listens when the agent starts.
    let kept = addresses(HOST).map(|address| scene.host.tcp_listener((address, 8081)));
    let mut sessions = Vec::new();
    for listener in kept {
        let listener = listener?;
        let far = scene
            .intruder
            .tcp_stream(listener.local_addr()?, PATIENCE)??;
        sessions.push((listener.accept()?.0, far, Some(listener)));
    }
    let agent = Agent::start(&scene.host, &policy(1, "audit").to_string())?;
    sessions.extend(open()?.into_iter().map(|[near, far]| (near, far, None)));
    let mut sessions: Vec<_> = sessions
        .into_iter()
        .map(|(near, far, listener)| ([near, far], listener))
        .collect();
    for (session, _) in &mut sessions {
        assert!(receives(session)?, "under the audit: {:?}", session[0]);
        session[0].write_all(b"answer")?;
    }
    assert!(agent.apply(policy(2, "enforce"))?.status.success());
    for (session, _) in &mut sessions {
        assert!(!receives(session)?, "{:?}", session[0]);
    }
    Ok(())
}
