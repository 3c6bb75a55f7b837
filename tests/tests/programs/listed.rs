//! What operators see of open connections in both directions, and how they end some.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};
use harness::net::station::{HOST, VIM};
use harness::{Agent, Policy, Topology};
use serde_json::Value;

use crate::{BUS_PORT, PATIENCE, addresses, connection, receives};

const CONTROL: u16 = 7000;
const TELEMETRY: u16 = 7002;

fn policy() -> String {
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [control, telemetry] },
                             Nf-Vi-out: { to: [vim], services: [bus] } }",
        services: "{ control: { protocol: tcp, ports: [7000] },
                     telemetry: { protocol: udp, ports: [7002] },
                     bus: { protocol: tcp, ports: [7001] } }",
        ..Policy::default()
    };
    policy.to_string()
}

/// The listed connections with this port of the VIM's.
fn listed(agent: &Agent<'_>, options: &[&str], port: u16) -> Result<Vec<Value>> {
    let port = port.to_string();
    let list = agent.ask_json(&[&["flows", "--port", &port], options].concat())?;
    Ok(list["flows"].as_array().context("a list")?.clone())
}

/// Whether the connection was reset.
fn is_reset(end: &mut TcpStream) -> Result<bool> {
    end.set_read_timeout(Some(PATIENCE))?;
    let error = end.read(&mut [0; 16]).err().map(|error| error.kind());
    Ok(error == Some(std::io::ErrorKind::ConnectionReset)
        || error == Some(std::io::ErrorKind::ConnectionAborted))
}

#[test]
fn connections_that_peers_begin_are_listed_and_cut() -> Result<()> {
    let scene = Topology::new()?;
    // One that is older than what is remembered.
    let older = connection(&scene.vim, &scene.host, (HOST.v4, CONTROL))?;
    let agent = Agent::start(&scene.host, &policy())?;
    for host in addresses(HOST) {
        let host = SocketAddr::new(host, CONTROL);
        // Something listens until the connections are looked at.
        let listener = scene.host.tcp_listener(host)?;
        let far = scene.vim.tcp_stream(host, PATIENCE)??;
        let mut open = [listener.accept()?.0, far];
        assert!(receives(&mut open)?, "{host}");
        let port = open[1].local_addr()?.port();
        let found = listed(&agent, &["--direction", "in"], port)?;
        let [flow] = &found[..] else {
            anyhow::bail!("{host}: {found:?}");
        };
        assert_eq!(flow["state"], "tcp-established");
        assert_eq!(flow["endpoint"], "vim-1");
        assert_eq!(flow["reference_point"], "Nf-Vi");
        assert_eq!(flow["received_bytes"], 4);
        assert!(flow["age_s"].as_f64() < Some(30.0) && flow["idle_s"].is_f64());
        assert_eq!(listed(&agent, &["--direction", "out"], port)?.len(), 0);
        if host.is_ipv4() {
            let port = older[0].local_addr()?.port();
            let found = listed(&agent, &[], port)?;
            assert!(found[0]["age_s"].is_null(), "{found:?}");
        }
        // Without --yes nothing is cut.
        let port = port.to_string();
        let told = agent.ask(&["flows", "cut", "--port", &port])?;
        assert!(told.contains("--yes"), "{told}");
        assert!(receives(&mut open)?, "{host}");
        let cut = agent.ask_json(&["flows", "cut", "--port", &port, "--yes"])?;
        assert_eq!(cut["cut"].as_array().map(Vec::len), Some(1), "{cut}");
        assert!(is_reset(&mut open[0])? && is_reset(&mut open[1])?, "{host}");
        let again = scene.vim.tcp_stream(host, PATIENCE)??;
        let mut again = [listener.accept()?.0, again];
        assert!(receives(&mut again)?, "{host}: again");
    }
    Ok(())
}

#[test]
fn connections_that_the_host_begins_are_cut() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &policy())?;
    for vim in addresses(VIM) {
        let mut open = connection(&scene.host, &scene.vim, (vim, BUS_PORT))?;
        let mut other = connection(&scene.host, &scene.vim, (vim, BUS_PORT))?;
        assert!(receives(&mut open)? && receives(&mut other)?, "{vim}");
        let port = open[0].local_addr()?.port();
        let cut = agent.ask_json(&["flows", "cut", "--port", &port.to_string(), "--yes"])?;
        assert_eq!(cut["cut"][0]["direction"], "out", "{cut}");
        assert!(is_reset(&mut open[0])? && is_reset(&mut open[1])?, "{vim}");
        assert_eq!(listed(&agent, &[], port)?.len(), 0, "{vim}");
        assert!(receives(&mut other)?, "{vim}: another");
    }
    Ok(())
}

#[test]
fn datagrams_of_peers_are_listed() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &policy())?;
    for (host, vim) in addresses(HOST).into_iter().zip(addresses(VIM)) {
        let service = scene.host.udp((host, TELEMETRY), PATIENCE)?;
        let asker = scene.vim.udp((vim, 0), PATIENCE)?;
        asker.send_to(b"how are you?", (host, TELEMETRY))?;
        service.recv_from(&mut [0; 16])?;
        let port = asker.local_addr()?.port();
        let found = listed(&agent, &["--service", "telemetry"], port)?;
        assert_eq!(found[0]["state"], "udp-established", "{found:?}");
        assert_eq!(found[0]["direction"], "in");
        assert!(found[0]["sent_bytes"].is_null(), "not known");
        let port = port.to_string();
        let cut = agent.cli(&["flows", "cut", "--port", &port, "--yes"])?;
        assert_eq!(cut.status.code(), Some(1), "{cut:?}");
    }
    Ok(())
}
