//! Where programs can be attached, and what is reported where they cannot.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use harness::agent::Hook;
use harness::machine::namespace::argv;
use harness::net::link;
use harness::net::station::{HOST, HOST_OPERATIONS, INTRUDER, NIC, VIM};
use harness::programs::openssh;
use harness::{Agent, Namespace, Outcome, Policy, Topology};
use manoward_api::HookMode;

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

/// Protects an address that is not the host's, so that it lets everything through.
const ELSEWHERE: Policy<'_> = Policy {
    serial: 1,
    interfaces: "[eth0]",
    protect: "[203.0.113.200]",
    mode: "enforce",
    endpoints: "{}",
    reference_points: "{}",
    services: "{}",
    more: "",
};

#[test]
fn a_taken_slot_is_explained_and_tcx_enforces_behind_it() -> Result<()> {
    let scene = Topology::new()?;
    let other = Agent::start(&scene.host, &ELSEWHERE.to_string())?;
    let policy = Policy::default().to_string();
    let error = Agent::start(&scene.host, &policy).expect_err("the slot is taken");
    let error = error.to_string();
    let owner = other.status()?.pid;
    for part in [
        "`eth0` is taken",
        "manoward_xdp",
        &format!("(pid {owner})"),
        "hook: tcx",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }

    let agent = Agent::start_with(&scene.host, &policy, Hook::Tcx, "")?;
    let _ssh = [
        scene.host.tcp_listener((HOST.v4, openssh::PORT))?,
        scene.host.tcp_listener((HOST.v6, openssh::PORT))?,
        scene
            .host
            .tcp_listener((HOST_OPERATIONS.v4, openssh::PORT))?,
    ];
    for host in [IpAddr::from(HOST.v4), IpAddr::from(HOST.v6)] {
        for (from, port, expected) in [
            (&scene.vim, openssh::PORT, Outcome::Connected),
            (&scene.intruder, openssh::PORT, Outcome::TimedOut),
            (&scene.vim, 23, Outcome::TimedOut),
        ] {
            let outcome = from.tcp_connect((host, port), SHORT * 3)?;
            assert_eq!(outcome, expected, "{} {host} {port}", from.name());
        }
    }
    let operations = (HOST_OPERATIONS.v4, openssh::PORT);
    let outcome = scene.bastion.tcp_connect(operations, PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);
    let counters = agent.counters()?;
    assert!(counters.packets("Nf-Vi", "unknown-source") >= 2);
    assert!(counters.packets("-", "no-service") >= 2);
    let status = agent.status()?;
    assert_eq!(status.attachments[0].mode, HookMode::Tcx);
    assert_eq!(agent.problems()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn an_owner_that_has_ended_is_named_too() -> Result<()> {
    let scene = Topology::new()?;
    let mut other = Agent::start(&scene.host, &ELSEWHERE.to_string())?;
    other.stop()?;
    let error = Agent::start(&scene.host, &Policy::default().to_string())
        .expect_err("the slot is taken")
        .to_string();
    let told = error.contains("manoward_xdp") && error.contains("which is pinned");
    assert!(told, "{error}");
    Ok(())
}

/// A host and a station, joined by a cable.
fn pair(name: &str) -> Result<(Namespace, Namespace)> {
    let (host, peer) = (Namespace::new("host")?, Namespace::new("peer")?);
    let path = peer.path();
    let script = format!(
        "link add {name} address {} type veth peer name {NIC} address {} netns {}\n\
         link set {name} up\n",
        HOST.mac,
        VIM.mac,
        path.display()
    );
    host.feed(&["ip", "-batch", "-"], &script)?;
    let script = "address add 192.0.2.10/24 dev eth0\n\
                  address add 192.0.2.66/24 dev eth0\n\
                  link set eth0 up\n";
    peer.feed(&["ip", "-batch", "-"], script)?;
    link::checksums_in_software(&peer, NIC)?;
    Ok((host, peer))
}

/// Whether the station reaches a service from this one of its addresses.
fn reaches(peer: &Namespace, source: std::net::Ipv4Addr, timeout: Duration) -> Result<bool> {
    let timeout = format!("{:.1}", timeout.as_secs_f64());
    let (source, host) = (source.to_string(), HOST.v4.to_string());
    let connect =
        format!("socat -u /dev/null TCP4:{host}:22,bind={source},connect-timeout={timeout}");
    let output = peer.output(&argv(&["sh", "-c", &connect])?)?;
    Ok(output.status.success())
}

#[test]
fn without_native_xdp_it_is_generic_and_reported_as_degraded() -> Result<()> {
    // The loopback interface has no driver to run programs in; the stations are addresses on it.
    let host = Namespace::new("host")?;
    for address in [HOST.v4, VIM.v4, INTRUDER.v4] {
        host.run(&["ip", "address", "add", &address.to_string(), "dev", "lo"])?;
    }
    host.run(&["ip", "link", "set", "lo", "up"])?;
    let _ssh = host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert!(
        reaches(&host, INTRUDER.v4, PATIENCE)?,
        "nothing is enforced yet"
    );
    let policy = Policy {
        interfaces: "[lo]",
        // All addresses are the host's, so it sends from each of them.
        more: "outbound: any",
        ..Policy::default()
    };
    let agent = Agent::start(&host, &policy.to_string())?;
    assert!(reaches(&host, VIM.v4, PATIENCE)?);
    assert!(!reaches(&host, INTRUDER.v4, SHORT)?);

    let status = agent.status()?;
    let [attachment] = &agent.ingress()?[..] else {
        panic!("{:?}", status.attachments);
    };
    assert_eq!(attachment.mode, HookMode::XdpGeneric);
    let why = attachment.degraded.as_deref().unwrap_or_default();
    assert!(why.contains("native XDP"), "{why}");
    let [problem] = &agent.problems()?[..] else {
        panic!("{:?}", agent.problems()?);
    };
    assert!(
        problem.starts_with("`lo` is enforced in generic mode"),
        "{problem}"
    );
    let headline = agent.cli(&["status"])?.stdout;
    assert!(
        headline.starts_with("degraded: enforcing host serial 1"),
        "{headline}"
    );
    Ok(())
}

#[test]
fn a_bridge_is_enforced_on_its_ports() -> Result<()> {
    let (host, peer) = pair("port0")?;
    link::bridge(&host, "br-mgmt")?;
    link::attach(&host, "port0", "br-mgmt")?;
    host.run(&["ip", "address", "add", "192.0.2.17/24", "dev", "br-mgmt"])?;
    let _ssh = host.tcp_listener((HOST.v4, openssh::PORT))?;
    assert!(
        reaches(&peer, INTRUDER.v4, PATIENCE)?,
        "nothing is enforced yet"
    );
    let policy = Policy {
        interfaces: "[br-mgmt]",
        ..Policy::default()
    };
    let agent = Agent::start(&host, &policy.to_string())?;
    let status = agent.status()?;
    let [attachment] = &agent.ingress()?[..] else {
        panic!("{:?}", status.attachments);
    };
    assert_eq!(attachment.interface, "port0");
    assert_eq!(attachment.via.as_deref(), Some("br-mgmt"));
    assert_eq!(attachment.mode, HookMode::XdpNative);
    assert!(status.protected.contains(&IpAddr::from(HOST.v4)));
    assert!(reaches(&peer, VIM.v4, PATIENCE)?);
    assert!(!reaches(&peer, INTRUDER.v4, SHORT)?);
    Ok(())
}

#[test]
fn what_a_policy_no_longer_names_is_not_enforced_any_more() -> Result<()> {
    let (host, peer) = pair("port0")?;
    host.run(&["ip", "address", "add", "192.0.2.17/24", "dev", "port0"])?;
    let _ssh = host.tcp_listener((HOST.v4, openssh::PORT))?;
    for hook in [Hook::Xdp, Hook::Tcx] {
        let policy = |serial, interfaces| Policy {
            serial,
            interfaces,
            ..Policy::default()
        };
        let agent = Agent::start_with(
            &host,
            &policy(1, "[port0]").to_string(),
            hook,
            "door: off\n",
        )?;
        // The second policy takes over what the first one attached, and the third one lets it go.
        for (serial, interfaces, enforced) in [(2, "[port0]", true), (3, "[lo]", false)] {
            let output = agent.apply(policy(serial, interfaces))?;
            assert!(output.status.success(), "{}", output.stderr);
            let patience = if enforced { SHORT } else { PATIENCE };
            let enters = reaches(&peer, INTRUDER.v4, patience)?;
            assert_eq!(enters, !enforced, "{hook:?}, {interfaces}");
        }
    }
    Ok(())
}

/// Filters of the clsact qdisc, which kernels before 6.6 have instead of TCX.
fn filters(host: &Namespace) -> Result<usize> {
    let mut count = 0;
    for direction in ["ingress", "egress"] {
        let listed = host.run(&["tc", "filter", "show", "dev", NIC, direction])?;
        count += listed.matches("direct-action").count();
    }
    Ok(count)
}

#[test]
fn clsact_enforces_where_there_is_no_tcx() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             out: { to: [vim], services: [amqps] } }",
        ..Policy::default()
    };
    let clsact = "classifiers: clsact\n";
    let mut agent = Agent::start_with(&scene.host, &policy.to_string(), Hook::Tcx, clsact)?;
    let modes = |agent: &Agent<'_>| -> Result<Vec<HookMode>> {
        let attachments = agent.status()?.attachments.into_iter();
        Ok(attachments.map(|attachment| attachment.mode).collect())
    };
    assert_eq!(modes(&agent)?, [HookMode::Clsact, HookMode::ClsactEgress]);
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let _bus = scene.vim.tcp_listener((VIM.v4, 5671))?;
    let _fake = scene.intruder.tcp_listener((INTRUDER.v4, 5671))?;
    let decided = || -> Result<[bool; 4]> {
        Ok([
            reaches_from(&scene.vim, (HOST.v4, openssh::PORT).into(), PATIENCE)?,
            reaches_from(&scene.intruder, (HOST.v4, openssh::PORT).into(), SHORT)?,
            reaches_from(&scene.host, (VIM.v4, 5671).into(), PATIENCE)?,
            reaches_from(&scene.host, (INTRUDER.v4, 5671).into(), SHORT)?,
        ])
    };
    assert_eq!(decided()?, [true, false, true, false]);
    assert_eq!(filters(&scene.host)?, 2);
    agent.kill9();
    assert_eq!(decided()?, [true, false, true, false], "without an agent");
    agent.restart()?;
    assert_eq!(modes(&agent)?, [HookMode::Clsact, HookMode::ClsactEgress]);
    assert_eq!(filters(&scene.host)?, 2, "in place of those before");
    assert_eq!(
        decided()?,
        [true, false, true, false],
        "with the next agent"
    );
    agent.ask(&["detach", "--yes"])?;
    assert_eq!(filters(&scene.host)?, 0);
    assert_eq!(decided()?, [true; 4]);
    Ok(())
}

/// Whether a connection from a namespace is accepted in time.
fn reaches_from(from: &Namespace, to: std::net::SocketAddr, patience: Duration) -> Result<bool> {
    Ok(from.tcp_connect(to, patience)? == Outcome::Connected)
}
