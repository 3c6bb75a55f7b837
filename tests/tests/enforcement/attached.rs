//! What is attached stays attached: interfaces are renamed, or come late, and others take programs off
//! or have filters of their own.

use std::net::SocketAddrV6;
use std::time::Duration;

use anyhow::Result;
use harness::agent::Hook;
use harness::machine::wait;
use harness::net::link::{self, Port};
use harness::net::station::{HOST, Mac, NIC};
use harness::programs::openssh;
use harness::{Agent, Namespace, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);
/// How soon it has to be noticed that something was taken off.
const NOTICED: Duration = Duration::from_secs(2);
/// Long enough for the agent to follow a change.
const FOLLOWED: Duration = Duration::from_secs(1);

const CLSACT: &str = "classifiers: clsact\n";

fn change(namespace: &Namespace, words: &str) -> Result<()> {
    namespace.feed(&["ip", "-batch", "-"], &format!("{words}\n"))?;
    Ok(())
}

/// The VIM gets in, and the intruder does not.
fn is_enforced(scene: &Topology) -> Result<()> {
    let ssh = (HOST.v4, openssh::PORT);
    assert_eq!(scene.intruder.tcp_connect(ssh, SHORT)?, Outcome::TimedOut);
    assert_eq!(scene.vim.tcp_connect(ssh, PATIENCE)?, Outcome::Connected);
    Ok(())
}

fn filters(host: &Namespace, direction: &str) -> Result<String> {
    host.run(&["tc", "filter", "show", "dev", NIC, direction])
}

#[test]
fn an_interface_that_is_renamed_stays_enforced() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let mut agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let before = agent.ingress()?;
    change(&scene.host, &format!("link set {NIC} name mgmt0"))?;
    let renamed = |agent: &Agent<'_>| -> Result<bool> {
        let problems = agent.problems()?;
        Ok(problems
            .iter()
            .any(|problem| problem.contains("`eth0` is now called `mgmt0`")))
    };
    wait::until(&true, PATIENCE, || renamed(&agent))?;
    is_enforced(&scene)?;
    let [after] = &agent.ingress()?[..] else {
        panic!("{:?}", agent.status()?.attachments);
    };
    assert_eq!(after.ifindex, before[0].ifindex);
    assert_eq!(
        (&*after.interface, after.via.as_deref()),
        ("mgmt0", Some(NIC))
    );

    // Another interface takes the name: the first one stays enforced, and so does this one.
    change(
        &scene.host,
        &format!("link add {NIC} type veth peer name far"),
    )?;
    wait::until(&2, PATIENCE, || Ok(agent.ingress()?.len()))?;
    agent.restart()?;
    assert!(renamed(&agent)?, "the next agent knows");
    assert_eq!(agent.ingress()?.len(), 2);
    is_enforced(&scene)?;

    let applied = agent.apply(Policy {
        serial: 2,
        interfaces: "[mgmt0]",
        ..Policy::default()
    })?;
    assert!(applied.status.success(), "{}", applied.stderr);
    assert_eq!(agent.problems()?, Vec::<String>::new());
    assert_eq!(agent.ingress()?.len(), 1, "a policy decides");
    is_enforced(&scene)
}

#[test]
fn an_alternative_name_is_a_name() -> Result<()> {
    let scene = Topology::new()?;
    change(
        &scene.host,
        &format!("link property add dev {NIC} altname management-uplink"),
    )?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let policy = Policy {
        interfaces: "[management-uplink]",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    is_enforced(&scene)?;
    change(&scene.host, &format!("link set {NIC} name mgmt0"))?;
    std::thread::sleep(FOLLOWED);
    is_enforced(&scene)?;
    assert_eq!(agent.problems()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_qdisc_that_somebody_deletes_is_put_back_and_reported() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let policy = Policy::default().to_string();
    let agent = Agent::start_with(&scene.host, &policy, Hook::Tcx, CLSACT)?;
    is_enforced(&scene)?;
    scene
        .host
        .run(&["tc", "qdisc", "del", "dev", NIC, "clsact"])?;
    let back = || {
        let both = [
            filters(&scene.host, "ingress")?,
            filters(&scene.host, "egress")?,
        ];
        Ok(both.map(|listed| listed.contains("manoward")))
    };
    wait::until(&[true, true], NOTICED, back)?;
    is_enforced(&scene)?;
    let problems = agent.problems()?;
    let told = |what: &str| {
        problems
            .iter()
            .any(|problem| problem.contains(what) && problem.contains("was put back"))
    };
    assert!(
        told("ingress filter") && told("egress filter"),
        "{problems:?}"
    );
    Ok(())
}

#[test]
fn a_filter_of_somebody_else_is_left_in_peace() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    scene
        .host
        .run(&["tc", "qdisc", "add", "dev", NIC, "clsact"])?;
    // At the place that is the agent's first choice; the program counts nothing and decides nothing.
    let theirs = |direction| {
        let filter = format!(
            "tc filter add dev {NIC} {direction} protocol all prio 1 handle 1 \
             bpf da bytecode '1,6 0 0 4294967295'"
        );
        scene.host.run(&["sh", "-c", &filter])
    };
    theirs("ingress")?;
    theirs("egress")?;
    let is_there =
        |direction| -> Result<bool> { Ok(filters(&scene.host, direction)?.contains("bytecode")) };
    let policy = Policy::default().to_string();
    let mut agent = Agent::start_with(&scene.host, &policy, Hook::Tcx, CLSACT)?;
    is_enforced(&scene)?;
    assert!(is_there("ingress")? && is_there("egress")?, "beside ours");
    agent.restart()?;
    is_enforced(&scene)?;
    let listed = filters(&scene.host, "ingress")?;
    assert_eq!(listed.matches("direct-action").count(), 2, "{listed}");
    agent.ask(&["detach", "--yes"])?;
    assert!(is_there("ingress")? && is_there("egress")?, "after ours");
    assert!(!filters(&scene.host, "ingress")?.contains("manoward"));
    Ok(())
}

#[test]
fn a_start_without_an_interface_enforces_on_the_others_and_on_it_when_it_comes() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let policy = Policy {
        interfaces: "[eth0, late]",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    is_enforced(&scene)?;
    let problems = agent.problems()?;
    let [problem] = &problems[..] else {
        panic!("{problems:?}");
    };
    assert!(problem.contains("no interface `late`"), "{problem}");
    change(&scene.host, "link add late type veth peer name wire")?;
    wait::until(&Vec::<String>::new(), PATIENCE, || agent.problems())?;
    assert_eq!(agent.ingress()?.len(), 2);
    Ok(())
}

#[test]
fn a_pattern_and_a_list_stand_for_several_interfaces_also_those_that_come_later() -> Result<()> {
    let scene = Topology::new()?;
    let host = &scene.host;
    let _ssh = host.tcp_listener(("::".parse::<std::net::IpAddr>()?, openssh::PORT))?;
    // Routers without addresses of their own, on two links (BGP unnumbered).
    let policy = Policy {
        interfaces: "\"eth*\"",
        endpoints: "{ router: { role: router, addresses: [\"fe80::/64\"], interface: [eth0, eth1] } }",
        reference_points: "{ fabric: { from: [router], services: [ssh] } }",
        more: "outbound: any",
        ..Policy::default()
    };
    let agent = Agent::start(host, &policy.to_string())?;
    assert_eq!(agent.ingress()?.len(), 1);

    let router = Namespace::new("router")?;
    let stranger = Namespace::new("stranger")?;
    for (name, number, far) in [("eth1", 1_u8, &router), ("eth2", 2, &stranger)] {
        let near = Port {
            namespace: host,
            name,
            mac: Mac::station(0x70 + number),
            addresses: &["fe80::17/64"],
        };
        let far = Port {
            namespace: far,
            name: NIC,
            mac: Mac::station(0x80 + number),
            addresses: &["fe80::1/64"],
        };
        link::veth(&near, &far)?;
    }
    wait::until(&3, PATIENCE, || Ok(agent.ingress()?.len()))?;
    let connect = |from: &Namespace, patience| {
        let index = from.enter(|| nix::net::if_::if_nametoindex(NIC))??;
        let to = SocketAddrV6::new("fe80::17".parse()?, openssh::PORT, 0, index);
        from.tcp_connect(to, patience)
    };
    change(host, &format!("address add fe80::17/64 dev {NIC} nodad"))?;
    change(
        &scene.vim,
        &format!("address add fe80::1/64 dev {NIC} nodad"),
    )?;
    std::thread::sleep(FOLLOWED);
    assert_eq!(connect(&scene.vim, PATIENCE)?, Outcome::Connected, "eth0");
    assert_eq!(connect(&router, PATIENCE)?, Outcome::Connected, "eth1");
    assert_eq!(connect(&stranger, SHORT)?, Outcome::TimedOut, "eth2");
    assert!(agent.counters()?.packets("fabric", "wrong-interface") > 0);
    Ok(())
}
