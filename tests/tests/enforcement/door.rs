//! The inner door: what reaches a socket of the host another way than over a covered interface.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::agent::Hook;
use harness::machine::namespace::argv;
use harness::net::station::{GUEST, HOST, HOST_GUESTS, INTRUDER, NIC, VIM};
use harness::programs::openssh;
use harness::{Agent, Namespace, Outcome, Policy, Topology};
use manoward_api::Door;

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

const ENFORCE: &str = "door: enforce\n";
const OFF: &str = "door: off\n";

/// Services that no policy here names.
const SNMP: u16 = 161;
const TRAPS: u16 = 162;

fn start<'a>(scene: &'a Topology, more: &str) -> Result<Agent<'a>> {
    start_with(scene, &Policy::default(), more)
}

fn start_with<'a>(scene: &'a Topology, policy: &Policy<'_>, more: &str) -> Result<Agent<'a>> {
    Agent::start_with(&scene.host, &policy.to_string(), Hook::Xdp, more)
}

/// Whether a datagram arrives at the socket, which is asked after it was sent from `from` to `to`.
fn arrives(socket: &UdpSocket, from: &Namespace, to: SocketAddr) -> Result<bool> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    from.enter(|| -> Result<()> {
        let sender = UdpSocket::bind((any, 0))?;
        sender.set_broadcast(to.is_ipv4())?;
        sender.send_to(b"stranger", to)?;
        Ok(())
    })?
    .with_context(|| format!("sending to {to}"))?;
    socket.set_read_timeout(Some(SHORT))?;
    match socket.recv_from(&mut [0; 64]) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// A socket of the host that receives datagrams for every address.
fn any(host: &Namespace) -> Result<UdpSocket> {
    host.udp((Ipv6Addr::UNSPECIFIED, SNMP), SHORT)
}

#[test]
fn over_an_interface_that_nobody_named_a_stranger_does_not_get_in() -> Result<()> {
    let scene = Topology::new()?;
    let listeners = [
        IpAddr::from(HOST.v4),
        HOST.v6.into(),
        HOST_GUESTS.v4.into(),
        HOST_GUESTS.v6.into(),
    ];
    let mut kept = Vec::new();
    for address in listeners {
        kept.push(scene.host.tcp_listener((address, openssh::PORT))?);
    }
    let agent = start(&scene, OFF)?;
    for address in listeners {
        let outcome = scene
            .guest
            .tcp_connect((address, openssh::PORT), PATIENCE)?;
        assert_eq!(outcome, Outcome::Connected, "without the door: {address}");
    }
    assert_eq!(agent.status()?.door, Door::Off);
    drop(agent);

    let agent = start(&scene, ENFORCE)?;
    assert_eq!(agent.status()?.door, Door::Enforce);
    for address in listeners {
        let outcome = scene.guest.tcp_connect((address, openssh::PORT), SHORT)?;
        assert_eq!(outcome, Outcome::TimedOut, "{address}");
    }
    assert!(agent.counters()?.at_door("unknown-source") >= 4);
    let outcome = openssh::connect(&scene.vim, PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected, "over the covered interface");
    Ok(())
}

#[test]
fn a_permitted_endpoint_gets_in_over_another_interface() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let endpoints = |binding: &str| {
        format!(
            "{{ guest: {{ role: vim, addresses: [{}]{binding} }} }}",
            GUEST.v4
        )
    };
    for (binding, expected, reason) in [
        ("", Outcome::Connected, None),
        (", mac: \"52:54:00:aa:bb:13\"", Outcome::Connected, None),
        (
            ", mac: \"52:54:00:aa:bb:14\"",
            Outcome::TimedOut,
            Some("wrong-mac"),
        ),
        (
            ", vlan: untagged",
            Outcome::TimedOut,
            Some("binding-unseen"),
        ),
        (
            ", interface: vnet0",
            Outcome::TimedOut,
            Some("binding-unseen"),
        ),
    ] {
        let endpoints = endpoints(binding);
        let policy = Policy {
            endpoints: &endpoints,
            reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
            ..Policy::default()
        };
        let agent = start_with(&scene, &policy, ENFORCE)?;
        let to = (HOST_GUESTS.v4, openssh::PORT);
        let patience = if reason.is_some() { SHORT } else { PATIENCE };
        let outcome = scene.guest.tcp_connect(to, patience)?;
        assert_eq!(outcome, expected, "{binding}");
        if let Some(reason) = reason {
            assert!(agent.counters()?.at_door(reason) > 0, "{reason}");
        }
    }
    Ok(())
}

#[test]
fn a_connection_out_over_an_interface_that_nobody_named_is_judged() -> Result<()> {
    let scene = Topology::new()?;
    let _bus = scene.guest.tcp_listener((GUEST.v4, 5671))?;
    let policy = Policy {
        reference_points: "{ out: { to: [vim], services: [amqps] } }",
        ..Policy::default()
    };
    let agent = start_with(&scene, &policy, ENFORCE)?;
    let outcome = scene.host.tcp_connect((GUEST.v4, 5671), SHORT)?;
    assert_ne!(outcome, Outcome::Connected);
    assert!(agent.counters()?.at_door("unknown-destination") > 0);
    drop(agent);
    let endpoints = format!("{{ bus: {{ role: vim, addresses: [{}] }} }}", GUEST.v4);
    let permitted = Policy {
        endpoints: &endpoints,
        ..policy
    };
    let agent = start_with(&scene, &permitted, ENFORCE)?;
    let outcome = scene.host.tcp_connect((GUEST.v4, 5671), PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);
    let counters = agent.counters()?;
    assert!(counters.at_door("outbound") > 0 && counters.at_door("established") > 0);
    Ok(())
}

#[test]
fn a_service_that_is_not_named_is_not_reached_by_a_group() -> Result<()> {
    let scene = Topology::new()?;
    // A socket of IPv6 does not receive what is sent to a group of IPv4.
    let v6 = any(&scene.host)?;
    let v4 = scene.host.udp((Ipv4Addr::UNSPECIFIED, TRAPS), SHORT)?;
    let groups: [IpAddr; 4] = [
        Ipv4Addr::BROADCAST.into(),
        Ipv4Addr::new(192, 0, 2, 255).into(),
        Ipv4Addr::new(224, 0, 0, 1).into(),
        "ff02::1".parse()?,
    ];
    scene
        .intruder
        .run(&["ip", "route", "add", "default", "dev", NIC])?;
    let agent = start(&scene, OFF)?;
    let reaches = |group| -> Result<bool> {
        let (socket, to) = match group {
            IpAddr::V4(group) => (&v4, SocketAddr::from((group, TRAPS))),
            IpAddr::V6(group) => {
                let index = scene
                    .intruder
                    .enter(|| nix::net::if_::if_nametoindex(NIC))??;
                (&v6, SocketAddrV6::new(group, SNMP, 0, index).into())
            }
        };
        arrives(socket, &scene.intruder, to)
    };
    for group in groups {
        assert!(reaches(group)?, "without the door: {group}");
    }
    drop(agent);
    let agent = start(&scene, ENFORCE)?;
    for group in groups {
        assert!(!reaches(group)?, "{group}");
    }
    assert!(agent.counters()?.at_door("no-service") >= 4);
    Ok(())
}

#[test]
fn addresses_that_nobody_listed_are_judged() -> Result<()> {
    let scene = Topology::new()?;
    // Every address of a prefix on the loopback interface is the host's.
    scene
        .host
        .run(&["ip", "address", "add", "10.90.1.1/24", "dev", "lo"])?;
    let served = Ipv4Addr::new(10, 90, 1, 77);
    let gateway = HOST.v4.to_string();
    for station in [&scene.intruder, &scene.vim] {
        station.run(&["ip", "route", "add", "10.90.1.0/24", "via", &gateway])?;
    }
    let _ssh = scene.host.tcp_listener((served, openssh::PORT))?;
    let socket = any(&scene.host)?;
    let agent = start(&scene, OFF)?;
    let ssh = (served, openssh::PORT);
    assert_eq!(
        scene.intruder.tcp_connect(ssh, PATIENCE)?,
        Outcome::Connected
    );
    assert!(arrives(&socket, &scene.intruder, (served, SNMP).into())?);
    drop(agent);
    let agent = start(&scene, ENFORCE)?;
    assert_eq!(scene.intruder.tcp_connect(ssh, SHORT)?, Outcome::TimedOut);
    assert!(!arrives(&socket, &scene.intruder, (served, SNMP).into())?);
    assert!(agent.counters()?.at_door("unknown-source") > 0);
    assert_eq!(scene.vim.tcp_connect(ssh, PATIENCE)?, Outcome::Connected);
    Ok(())
}

#[test]
fn an_address_is_judged_from_its_first_moment_also_without_an_agent() -> Result<()> {
    let scene = Topology::new()?;
    let fresh = Ipv4Addr::new(192, 0, 2, 99);
    let policy = Policy {
        more: "outbound: enforce",
        ..Policy::default()
    };
    let mut agent = start_with(&scene, &policy, ENFORCE)?;
    agent.kill9();
    scene
        .host
        .run(&["ip", "address", "add", &format!("{fresh}/24"), "dev", NIC])?;
    let _ssh = scene.host.tcp_listener((fresh, openssh::PORT))?;
    let socket = any(&scene.host)?;
    let ssh = (fresh, openssh::PORT);
    assert_eq!(scene.intruder.tcp_connect(ssh, SHORT)?, Outcome::TimedOut);
    assert!(!arrives(&socket, &scene.intruder, (fresh, SNMP).into())?);
    assert_eq!(scene.vim.tcp_connect(ssh, PATIENCE)?, Outcome::Connected);
    // Nor does the host connect to a stranger from there.
    let fake = scene.intruder.tcp_listener((INTRUDER.v4, openssh::PORT))?;
    let to = (INTRUDER.v4, openssh::PORT);
    let _begun = scene.host.tcp_begin((fresh, 0), to, SHORT)?;
    thread::sleep(SHORT);
    fake.set_nonblocking(true)?;
    let accepted = fake.accept();
    assert!(accepted.is_err(), "{accepted:?}");
    Ok(())
}

#[test]
fn what_comes_out_of_a_tunnel_is_judged() -> Result<()> {
    let scene = Topology::new()?;
    let tunnel = |at: &Namespace, local: Ipv4Addr, remote: Ipv4Addr, inner: &str| {
        let script = format!(
            "link add vx0 type vxlan id 7 local {local} remote {remote} dstport 4789 dev {NIC}\n\
             address add {inner} dev vx0\n\
             link set vx0 up\n"
        );
        at.feed(&["ip", "-batch", "-"], &script)
    };
    tunnel(&scene.host, HOST.v4, VIM.v4, "10.44.0.17/24")?;
    tunnel(&scene.vim, VIM.v4, HOST.v4, "10.44.0.66/24")?;
    let policy = Policy {
        reference_points: "{ overlay: { from: [vim], services: [vxlan] },
                             overlay-out: { to: [vim], services: [vxlan] },
                             Nf-Vi: { from: [vim], services: [ssh] } }",
        services: "{ vxlan: { protocol: udp, ports: [4789] } }",
        ..Policy::default()
    };
    let _ssh = scene
        .host
        .tcp_listener((Ipv4Addr::UNSPECIFIED, openssh::PORT))?;
    let inside = (Ipv4Addr::new(10, 44, 0, 17), openssh::PORT);
    let agent = start_with(&scene, &policy, OFF)?;
    assert_eq!(scene.vim.tcp_connect(inside, PATIENCE)?, Outcome::Connected);
    drop(agent);
    let agent = start_with(&scene, &policy, ENFORCE)?;
    assert_eq!(scene.vim.tcp_connect(inside, SHORT)?, Outcome::TimedOut);
    assert!(agent.counters()?.at_door("unknown-source") > 0);
    assert_eq!(openssh::connect(&scene.vim, PATIENCE)?, Outcome::Connected);
    Ok(())
}

#[test]
fn an_audit_counts_and_lets_pass() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let agent = start(&scene, "door: audit\n")?;
    let outcome = scene
        .guest
        .tcp_connect((HOST_GUESTS.v4, openssh::PORT), PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);
    let status = agent.status()?;
    assert_eq!(status.door, Door::Audit, "{:?}", status.problems);
    assert!(status.coverage.iter().any(|row| row.exposed.is_some()));
    assert!(agent.counters()?.at_door("unknown-source") > 0);
    Ok(())
}

#[test]
fn containers_keep_their_traffic() -> Result<()> {
    let scene = Topology::new()?;
    let _agent = start(&scene, ENFORCE)?;
    // The guest is another network namespace of the same machine, and so is the tenant.
    let _web = scene.guest.tcp_listener((GUEST.v4, 8080))?;
    let outcome = scene.tenant.tcp_connect((GUEST.v4, 8080), PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);
    let local = argv(&["sh", "-c", "socat -u /dev/null TCP4:127.0.0.1:9 || true"])?;
    let _ = scene.host.output(&local)?;
    Ok(())
}

#[test]
fn what_leads_to_the_hosts_own_guests_is_left_alone() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let _web = scene.guest.tcp_listener((GUEST.v4, 8080))?;
    let agent = start(&scene, ENFORCE)?;
    let shown = agent.cli(&["status"])?.stdout;
    let proposed = shown.contains("put `inside: [vnet0]` into agent.yaml");
    assert!(proposed, "{shown}");
    drop(agent);
    let agent = start(&scene, "door: enforce\ninside: [vnet0]\n")?;
    let to = (HOST_GUESTS.v4, openssh::PORT);
    assert_eq!(scene.guest.tcp_connect(to, PATIENCE)?, Outcome::Connected);
    let probe = scene.host.tcp_connect((GUEST.v4, 8080), PATIENCE)?;
    assert_eq!(probe, Outcome::Connected);
    let status = agent.status()?;
    assert!(
        status
            .coverage
            .iter()
            .any(|row| row.inside && row.interface == "vnet0")
    );
    Ok(())
}

#[test]
fn the_door_outlives_the_agent_and_the_next_takes_it_over() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = scene.host.tcp_listener((HOST_GUESTS.v4, openssh::PORT))?;
    let mut agent = start(&scene, ENFORCE)?;
    let to = (HOST_GUESTS.v4, openssh::PORT);
    assert_eq!(scene.guest.tcp_connect(to, SHORT)?, Outcome::TimedOut);
    agent.kill9();
    assert_eq!(scene.guest.tcp_connect(to, SHORT)?, Outcome::TimedOut);
    agent.restart()?;
    assert_eq!(scene.guest.tcp_connect(to, SHORT)?, Outcome::TimedOut);
    assert_eq!(agent.status()?.door, Door::Enforce);
    agent.ask(&["detach", "--yes"])?;
    assert_eq!(scene.guest.tcp_connect(to, PATIENCE)?, Outcome::Connected);
    Ok(())
}
