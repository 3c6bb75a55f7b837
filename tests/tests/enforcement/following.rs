//! The host changes while a policy is in force.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::Result;
use harness::machine::wait;
use harness::net::stack_counter::StackCounter;
use harness::net::station::{HOST, INTRUDER, NIC};
use harness::programs::openssh;
use harness::{Agent, Namespace, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);
/// How soon a change has to be followed.
const SOON: Duration = Duration::from_secs(1);

const LATE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 18);

fn connect(from: &Namespace, host: Ipv4Addr, timeout: Duration) -> Result<Outcome> {
    from.tcp_connect((host, openssh::PORT), timeout)
}

fn change(namespace: &Namespace, words: &str) -> Result<()> {
    namespace.feed(&["ip", "-batch", "-"], &format!("{words}\n"))?;
    Ok(())
}

#[test]
fn an_address_that_is_added_later_is_protected_within_a_second() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    change(&scene.host, &format!("address add {LATE}/24 dev {NIC}"))?;
    let protects = || Ok(agent.status()?.protected.contains(&IpAddr::from(LATE)));
    wait::until(&true, SOON, protects)?;
    let _ssh = scene.host.tcp_listener((LATE, openssh::PORT))?;
    let seen = StackCounter::of(&scene.host, INTRUDER.v4)?;
    assert_eq!(connect(&scene.intruder, LATE, SHORT)?, Outcome::TimedOut);
    assert_eq!(connect(&scene.vim, LATE, PATIENCE)?, Outcome::Connected);
    assert_eq!(seen.packets()?, 0);

    change(&scene.host, &format!("address del {LATE}/24 dev {NIC}"))?;
    wait::until(&false, SOON, protects)?;
    assert_eq!(connect(&scene.vim, HOST.v4, SHORT)?, Outcome::Refused);
    assert_eq!(agent.problems()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn an_interface_that_comes_back_is_enforced_again() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let first = agent.ingress()?;
    change(&scene.host, &format!("link delete {NIC}"))?;
    let problems = || agent.problems();
    let missing = |problems: &[String]| {
        problems
            .iter()
            .any(|problem| problem.contains("no interface `eth0`"))
    };
    wait::until(&true, PATIENCE, || Ok(missing(&problems()?)))?;
    assert!(agent.status()?.attachments.is_empty());
    let headline = agent.cli(&["status"])?.stdout;
    assert!(
        headline.starts_with("not enforcing: attached to no interface"),
        "{headline}"
    );

    let path = scene.switch.path();
    change(
        &scene.host,
        &format!(
            "link add {NIC} address {} type veth peer name again netns {}\n\
             address add {}/24 dev {NIC}\n\
             link set {NIC} up",
            HOST.mac,
            path.display(),
            HOST.v4
        ),
    )?;
    harness::net::link::checksums_in_software(&scene.host, NIC)?;
    change(&scene.switch, "link set again up master br0")?;
    wait::until(&Vec::new(), PATIENCE, problems)?;
    let second = agent.ingress()?;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].interface, NIC);
    assert_ne!(second[0].ifindex, first[0].ifindex);
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert_eq!(connect(&scene.vim, HOST.v4, PATIENCE)?, Outcome::Connected);
    assert_eq!(connect(&scene.intruder, HOST.v4, SHORT)?, Outcome::TimedOut);
    Ok(())
}

#[test]
fn a_port_that_is_added_to_a_bridge_is_enforced() -> Result<()> {
    let scene = Topology::new()?;
    change(
        &scene.host,
        &format!(
            "link add br-mgmt type bridge forward_delay 0\n\
             link set br-mgmt up\n\
             link set {NIC} master br-mgmt\n\
             address del {host}/24 dev {NIC}\n\
             address add {host}/24 dev br-mgmt",
            host = HOST.v4
        ),
    )?;
    let policy = Policy {
        interfaces: "[br-mgmt]",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let ports = || {
        let attachments = agent.ingress()?.into_iter();
        Ok(attachments.map(|at| at.interface).collect::<Vec<_>>())
    };
    assert_eq!(ports()?, [NIC]);
    change(&scene.host, "link add late type veth peer name wire")?;
    change(&scene.host, "link set late master br-mgmt")?;
    wait::until(&vec![NIC.to_owned(), "late".to_owned()], SOON, ports)?;
    change(&scene.host, "link set late nomaster")?;
    wait::until(&vec![NIC.to_owned()], SOON, ports)?;

    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert_eq!(connect(&scene.vim, HOST.v4, PATIENCE)?, Outcome::Connected);
    assert_eq!(connect(&scene.intruder, HOST.v4, SHORT)?, Outcome::TimedOut);
    Ok(())
}

/// Addresses of a host that has one for each of its guests or services.
const MANY: u32 = 5_120;

/// How long the agent may take for them. It takes a third of a second; the rest is for a machine that does
/// something else meanwhile. It took four seconds when it looked for connections at each change.
const FOLLOWED: Duration = Duration::from_millis(2_500);

#[test]
fn thousands_of_addresses_are_followed_at_once() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        more: "outbound: enforce",
        ..Policy::default()
    };
    let agent = Agent::start_with(
        &scene.host,
        &policy.to_string(),
        harness::agent::Hook::Xdp,
        "door: off\n",
    )?;
    let first = Ipv4Addr::new(10, 20, 0, 1).to_bits();
    let all: Vec<String> = (0..MANY)
        .map(|number| Ipv4Addr::from_bits(first + number))
        .map(|address| format!("address add {address}/16 dev {NIC}"))
        .collect();
    change(&scene.host, &all.join("\n"))?;
    let last = Ipv4Addr::from_bits(first + MANY - 1).to_string();
    let ask = [
        "explain",
        "--from",
        "192.0.2.66",
        "--to",
        &last,
        "--port",
        "22",
    ];
    let is_judged = || Ok(agent.cli(&ask)?.stdout.starts_with("dropped"));
    wait::until(&true, FOLLOWED, is_judged)
}
