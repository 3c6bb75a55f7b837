//! Which peers reach real services, which do not, and which traffic is not affected.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use harness::net::packet::{Ethernet, Ipv4, Ipv6, Packet, Tcp};
use harness::net::stack_counter::StackCounter;
use harness::net::station::{GUEST, HOST, HOST_OPERATIONS, INTRUDER, NIC, TENANT, VIM};
use harness::net::traffic::Flood;
use harness::net::wire::Wire;
use harness::programs::openssh::{self, Sshd};
use harness::programs::tls::{self, Handshake, TlsServer};
use harness::{Agent, Outcome, Policy, Topology};
use manoward_api::{Count, Fate};

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

/// A SYN from the intruder to the host.
fn syn(port: u16, v6: bool) -> Vec<u8> {
    let ethernet = Packet::new().with(Ethernet {
        source: INTRUDER.mac,
        ..Ethernet::default()
    });
    let addressed = if v6 {
        ethernet.with(Ipv6::between(INTRUDER.v6, HOST.v6))
    } else {
        ethernet.with(Ipv4::between(INTRUDER.v4, HOST.v4))
    };
    addressed.with(Tcp::syn(port)).build()
}

#[test]
fn services_are_open_to_the_roles_that_the_policy_names() -> Result<()> {
    let scene = Topology::new()?;
    let sshd = Sshd::start(&scene.host)?;
    let server = TlsServer::libvirt(&scene.host)?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    for host in [IpAddr::from(HOST.v4), IpAddr::from(HOST.v6)] {
        let login = sshd.login(&scene.vim, host, "echo in")?;
        assert_eq!(login.stdout, "in\n", "{}", login.stderr);
        let handshake = server.handshake(&scene.vim, (host, tls::PORT), PATIENCE)?;
        assert_eq!(handshake, Handshake::Established("TLSv1.3".to_owned()));
    }
    for host in [
        IpAddr::from(HOST_OPERATIONS.v4),
        IpAddr::from(HOST_OPERATIONS.v6),
    ] {
        let login = sshd.login(&scene.bastion, host, "echo in")?;
        assert_eq!(login.stdout, "in\n", "{}", login.stderr);
        let handshake = server.handshake(&scene.bastion, (host, tls::PORT), SHORT)?;
        assert_eq!(handshake, Handshake::NoConnection(Outcome::TimedOut));
    }
    let counters = agent.counters()?;
    assert!(counters.of_service("Nf-Vi", "ssh", "permitted") > 0);
    assert!(counters.of_service("Nf-Vi", "libvirt-tls", "permitted") > 0);
    assert!(counters.packets("operations", "permitted") > 0);
    assert!(counters.of_service("Nf-Vi", "libvirt-tls", "wrong-role") > 0);
    assert_eq!(
        counters.fate(Fate::Dropped),
        counters.packets("Nf-Vi", "wrong-role"),
        "nothing else was dropped: {:?}",
        counters.dropped()
    );
    Ok(())
}

#[test]
fn an_intruder_is_not_even_refused() -> Result<()> {
    let scene = Topology::new()?;
    let _ssh = [
        scene.host.tcp_listener((HOST.v4, openssh::PORT))?,
        scene.host.tcp_listener((HOST.v6, openssh::PORT))?,
    ];
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let seen = [
        StackCounter::of(&scene.host, INTRUDER.v4)?,
        StackCounter::of(&scene.host, INTRUDER.v6)?,
    ];
    for host in [IpAddr::from(HOST.v4), IpAddr::from(HOST.v6)] {
        for port in [openssh::PORT, tls::PORT, 23] {
            let outcome = scene.intruder.tcp_connect((host, port), SHORT)?;
            assert_eq!(outcome, Outcome::TimedOut, "{host} {port}");
        }
        // Nobody listens there: a reset would show that the packet arrived.
        let closed = scene.vim.tcp_connect((host, 23), SHORT)?;
        assert_eq!(closed, Outcome::TimedOut);
        let open = scene.vim.tcp_connect((host, openssh::PORT), PATIENCE)?;
        assert_eq!(open, Outcome::Connected);
    }
    assert!(!scene.intruder.ping(HOST.v4.into())?);
    for seen in &seen {
        assert_eq!(seen.packets()?, 0);
    }
    let counters = agent.counters()?;
    assert!(counters.of_service("Nf-Vi", "ssh", "unknown-source") > 0);
    assert!(counters.of_service("Nf-Vi", "libvirt-tls", "unknown-source") > 0);
    assert!(counters.packets("-", "no-service") > 0);
    assert_eq!(counters.endpoint("bastion")?.passed, Count::default());
    Ok(())
}

#[test]
fn every_packet_is_counted_exactly_once() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    let mut vim = Wire::open(&scene.vim, NIC)?;
    let before = agent.counters()?;
    for _ in 0..7 {
        intruder.send(&syn(openssh::PORT, false))?;
    }
    for _ in 0..5 {
        intruder.send(&syn(tls::PORT, true))?;
    }
    for _ in 0..3 {
        vim.send(&Packet::v4().with(Tcp::syn(23)).build())?;
    }
    let permitted = [Packet::v4(), Packet::v6()].map(|to| to.with(Tcp::syn(tls::PORT)).build());
    for frame in [&permitted[..], &permitted].concat() {
        vim.send(&frame)?;
    }
    agent.await_packets("Nf-Vi", "permitted", 4)?;
    agent.await_packets("-", "no-service", 3)?;
    agent.await_packets("Nf-Vi", "unknown-source", 12)?;
    let after = agent.counters()?;
    assert_eq!(after.of_service("Nf-Vi", "ssh", "unknown-source"), 7);
    assert_eq!(
        after.of_service("Nf-Vi", "libvirt-tls", "unknown-source"),
        5
    );
    assert_eq!(after.of_service("Nf-Vi", "libvirt-tls", "permitted"), 4);
    assert_eq!(after.fate(Fate::Dropped) - before.fate(Fate::Dropped), 15);
    assert_eq!(after.fate(Fate::Audited), 0);
    let bytes = 2 * (permitted[0].len() + permitted[1].len()) as u64;
    let vim = after.endpoint("vim-1")?;
    assert_eq!(vim.passed, Count { packets: 4, bytes });
    assert_eq!(vim.dropped, Count::default());
    Ok(())
}

#[test]
fn traffic_of_tenants_is_left_alone() -> Result<()> {
    let scene = Topology::new()?;
    let addresses = [IpAddr::from(GUEST.v4), IpAddr::from(GUEST.v6)];
    let _web: Vec<_> = addresses
        .iter()
        .map(|&guest| scene.guest.tcp_listener((guest, 80)))
        .collect::<Result<_>>()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let wire = Wire::open(&scene.intruder, NIC)?;
    let flood = Flood::start(wire, vec![syn(openssh::PORT, false), syn(9, true)]);
    for guest in addresses {
        assert!(scene.tenant.ping(guest)?, "{guest}");
        let outcome = scene.tenant.tcp_connect((guest, 80), PATIENCE)?;
        assert_eq!(outcome, Outcome::Connected, "{guest}");
        // A reset comes back from the guest, so the host has not taken part.
        let outcome = scene.tenant.tcp_connect((guest, openssh::PORT), PATIENCE)?;
        assert_eq!(outcome, Outcome::Refused, "{guest}");
    }
    assert!(scene.guest.ping(TENANT.v4.into())?);
    assert!(scene.guest.ping(TENANT.v6.into())?);
    let sent = flood.stop()?;
    let dropped = agent.counters()?.dropped();
    assert!(sent > 0 && !dropped.is_empty());
    // Only the flood was dropped: there are no other reasons than its two.
    let reasons: Vec<_> = dropped.keys().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["no-service", "unknown-source"]);
    assert!(dropped.values().sum::<u64>() <= sent);
    Ok(())
}

#[test]
fn what_the_host_opens_is_answered() -> Result<()> {
    let scene = Topology::new()?;
    let policy = Policy {
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                             out: { to: [vim], services: [amqps, dns, ping] } }",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    for vim in [IpAddr::from(VIM.v4), IpAddr::from(VIM.v6)] {
        let _broker = scene.vim.tcp_listener((vim, 5671))?;
        let outcome = scene.host.tcp_connect((vim, 5671), PATIENCE)?;
        assert_eq!(outcome, Outcome::Connected);
        assert!(scene.host.ping(vim)?, "the host may ping {vim}");

        let any: IpAddr = if vim.is_ipv4() {
            [0; 4].into()
        } else {
            [0_u16; 8].into()
        };
        let asking = scene.host.udp((any, 0), SHORT)?;
        let mut buffer = [0; 16];
        let server = scene.vim.udp((vim, 53), PATIENCE)?;
        asking.send_to(b"question", (vim, 53))?;
        let (_, host) = server.recv_from(&mut buffer)?;
        server.send_to(b"answer", host)?;
        assert!(asking.recv(&mut buffer).is_ok());
        let server = scene.vim.udp((vim, 5353), SHORT)?;
        asking.send_to(b"question", (vim, 5353))?;
        assert!(server.recv_from(&mut buffer).is_err());
        server.send_to(b"answer to nothing", host)?;
        assert!(asking.recv(&mut buffer).is_err());
    }
    let counters = agent.counters()?;
    assert!(counters.packets("out", "established") > 0);
    assert_eq!(counters.refused_out(), 2, "the questions to port 5353");
    assert_eq!(
        counters.dropped().into_values().sum::<u64>(),
        2,
        "the answers"
    );
    Ok(())
}

#[test]
fn a_protected_address_may_be_a_guests() -> Result<()> {
    let scene = Topology::new()?;
    let listeners = [
        SocketAddr::from((GUEST.v4, openssh::PORT)),
        SocketAddr::from((GUEST.v6, openssh::PORT)),
    ];
    let _ssh = listeners
        .iter()
        .map(|&guest| scene.guest.tcp_listener(guest))
        .collect::<Result<Vec<_>>>()?;
    let policy = Policy {
        protect: "[203.0.113.10, \"2001:db8:0:113::10\"]",
        endpoints: "{ operator: { role: nm, addresses: [192.0.2.90] } }",
        reference_points: "{ guests: { from: [nm], services: [ssh] } }",
        ..Policy::default()
    };
    let agent = Agent::start(&scene.host, &policy.to_string())?;
    let [v4, v6] = listeners;
    let outcome = scene.tenant.tcp_connect(v4, PATIENCE)?;
    assert_eq!(outcome, Outcome::Connected);
    let outcome = scene.tenant.tcp_connect(v6, SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut, "only its IPv4 address is known");
    // The host itself is not protected by this policy.
    let outcome = scene.intruder.tcp_connect((HOST.v4, 23), PATIENCE)?;
    assert_eq!(outcome, Outcome::Refused);
    assert!(agent.counters()?.packets("guests", "unknown-source") > 0);
    Ok(())
}
