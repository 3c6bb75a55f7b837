//! A port scan learns nothing, not even that the host exists.

use std::net::IpAddr;

use anyhow::Result;
use harness::net::stack_counter::StackCounter;
use harness::net::station::{BASTION, HOST, INTRUDER, VIM};
use harness::programs::nmap;
use harness::programs::openssh;
use harness::{Agent, Namespace, Outcome, Topology};

use crate::{PATIENCE, addresses, outbound};

/// Ports of services of the host, of services of its peers, and without a service.
const TCP_PORTS: &str = "21-25,80,443,5672,7000,16514,49152";
const UDP_PORTS: &str = "53,67,68,123,161,546,5201,49152";

/// Scans without a SYN.
const NO_SYN: [&[&str]; 6] = [
    &["-sA"],
    &["-sF"],
    &["-sX"],
    &["-sN"],
    &["-sA", "--source-port", "5672"],
    &["-sF", "--source-port", "5672"],
];

fn policy() -> String {
    outbound("[amqp, dns, ntp]", "{}")
}

/// Scans, and returns what gave something away: a port, or a packet that reached the host.
fn findings(
    scene: &Topology,
    scanner: &Namespace,
    host: IpAddr,
    options: &[&str],
    ports: &str,
) -> Result<Vec<String>> {
    let sources = [VIM, INTRUDER, BASTION].map(addresses).concat();
    let seen = StackCounter::of_any(&scene.host, &sources)?;
    let states = nmap::scan(scanner, host, options, ports)?;
    let ports = states.into_iter().filter(|(_, state)| !hidden(state));
    let mut findings: Vec<_> = ports
        .map(|(port, state)| format!("{options:?} {host}: {port} is {state}"))
        .collect();
    let packets = seen.packets()?;
    if packets > 0 {
        findings.push(format!("{options:?} {host}: {packets} probes got in"));
    }
    Ok(findings)
}

fn hidden(state: &str) -> bool {
    ["filtered", "open|filtered"].contains(&state)
}

fn listen(scene: &Topology) -> Result<Vec<std::net::TcpListener>> {
    let addresses = addresses(HOST).into_iter();
    addresses
        .map(|host| scene.host.tcp_listener((host, openssh::PORT)))
        .collect()
}

#[test]
fn a_stranger_that_opens_connections_learns_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = listen(&scene)?;
    let _agent = Agent::start(&scene.host, &policy())?;
    let decoys = ["-sS", "-D", "192.0.2.10,198.51.100.2"];
    let [v4, v6] = addresses(HOST);
    let scans: [(IpAddr, &[&str]); 6] = [
        (v4, &["-sS"]),
        (v4, &["-sS", "-f"]),
        (v4, &decoys),
        (v4, &["-sS", "--source-port", "5672"]),
        (v6, &["-sS"]),
        (v6, &["-sS", "--source-port", "5672"]),
    ];
    for (host, options) in scans {
        let found = findings(&scene, &scene.intruder, host, options, TCP_PORTS)?;
        assert_eq!(found, Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn a_stranger_that_opens_no_connection_learns_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = listen(&scene)?;
    let _agent = Agent::start(&scene.host, &policy())?;
    let mut found = Vec::new();
    for host in addresses(HOST) {
        for options in NO_SYN {
            let scan = findings(&scene, &scene.intruder, host, options, TCP_PORTS)?;
            found.extend(scan);
        }
    }
    let [v4, _] = addresses(HOST);
    let fragments = findings(&scene, &scene.intruder, v4, &["-sA", "-f"], TCP_PORTS)?;
    found.extend(fragments);
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_stranger_that_sends_datagrams_learns_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let _agent = Agent::start(&scene.host, &policy())?;
    let mut found = Vec::new();
    for host in addresses(HOST) {
        for options in [
            &["-sU"][..],
            &["-sU", "--source-port", "53"],
            &["-sU", "--source-port", "123"],
        ] {
            let scan = findings(&scene, &scene.intruder, host, options, UDP_PORTS)?;
            found.extend(scan);
        }
    }
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

#[test]
fn the_vim_learns_of_its_service_alone() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = listen(&scene)?;
    let _agent = Agent::start(&scene.host, &policy())?;
    let others = "21,23-25,80,443,5672,7000,16514,49152";
    let mut found = Vec::new();
    for host in addresses(HOST) {
        for options in [&["-sS"][..]].into_iter().chain(NO_SYN) {
            found.extend(findings(&scene, &scene.vim, host, options, others)?);
        }
        for options in [&["-sU"][..], &["-sU", "--source-port", "53"]] {
            found.extend(findings(&scene, &scene.vim, host, options, UDP_PORTS)?);
        }
        let ssh = nmap::scan(&scene.vim, host, &["-sS"], "22")?;
        assert_eq!(ssh[&openssh::PORT], "open", "{host}");
        let outcome = scene.vim.tcp_connect((host, openssh::PORT), PATIENCE)?;
        assert_eq!(outcome, Outcome::Connected);
    }
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

#[test]
fn without_the_agent_everything_is_learnt() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = listen(&scene)?;
    for host in addresses(HOST) {
        let states = nmap::scan(&scene.intruder, host, &["-sS"], "22,23")?;
        assert_eq!([&states[&22], &states[&23]], ["open", "closed"], "{host}");
        let states = nmap::scan(&scene.intruder, host, &["-sA"], "22,23")?;
        assert_eq!([&states[&22], &states[&23]], ["unfiltered"; 2], "{host}");
        let found = findings(&scene, &scene.intruder, host, &["-sU"], "4000")?;
        assert_eq!(found.len(), 2, "{found:?}");
    }
    Ok(())
}
