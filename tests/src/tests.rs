//! The harness itself: if these fail, no other result means anything.

mod layers;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::machine::namespace::argv;
use crate::net::link::{self, Port};
use crate::net::packet::{Ethernet, Ipv4, Packet, Tcp, Udp, Vlan};
use crate::net::station::{BASTION, GUEST, HOST, HOST_OPERATIONS, INTRUDER, Mac, NIC, TENANT, VIM};
use crate::net::wire::Wire;
use crate::programs::openssh::{self, Sshd};
use crate::programs::tls::{self, Handshake, TlsServer};
use crate::{Namespace, Outcome, Topology};

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

fn pair() -> Result<(Namespace, Namespace)> {
    let (left, right) = (Namespace::new("left")?, Namespace::new("right")?);
    link::veth(
        &Port {
            namespace: &left,
            name: NIC,
            mac: VIM.mac,
            addresses: &["192.0.2.10/24", "2001:db8:0:17::10/64"],
        },
        &Port {
            namespace: &right,
            name: NIC,
            mac: HOST.mac,
            addresses: &["192.0.2.17/24", "2001:db8:0:17::17/64"],
        },
    )?;
    Ok((left, right))
}

#[test]
fn connected_refused_and_dropped_are_told_apart() -> Result<()> {
    let (left, right) = pair()?;
    right.feed(
        &["nft", "-f", "-"],
        "table inet t { chain c { type filter hook input priority 0; tcp dport 7 drop; }; }\n",
    )?;
    for host in [IpAddr::from(HOST.v4), IpAddr::from(HOST.v6)] {
        let _listener = right.tcp_listener((host, 22))?;
        assert_eq!(left.tcp_connect((host, 22), PATIENCE)?, Outcome::Connected);
        assert_eq!(left.tcp_connect((host, 23), PATIENCE)?, Outcome::Refused);
        assert_eq!(left.tcp_connect((host, 7), SHORT)?, Outcome::TimedOut);
        assert!(left.ping(host)?);
    }
    let nowhere = SocketAddr::from(([203, 0, 113, 1], 22));
    assert_eq!(left.tcp_connect(nowhere, PATIENCE)?, Outcome::Unreachable);
    Ok(())
}

#[test]
fn raw_frames_arrive_as_they_are() -> Result<()> {
    let (left, right) = pair()?;
    let (mut from, mut to) = (Wire::open(&left, NIC)?, Wire::open(&right, NIC)?);
    let wrong = Ipv4 {
        ihl: Some(15),
        checksum: Some(0xdead),
        ..Ipv4::default()
    };
    let frame = Packet::new()
        .with(Ethernet::default())
        .with(wrong)
        .with(Tcp::syn(22))
        .build();
    from.send(&frame)?;
    assert_eq!(
        to.receive(PATIENCE, |seen| seen == frame)?,
        Some(frame.clone())
    );
    assert_eq!(to.receive(SHORT, |seen| seen == frame)?, None);

    let tagged = |tag| {
        let packet = Packet::new()
            .with(Ethernet::default())
            .with(tag)
            .with(Ipv4::default());
        packet.with(Udp::to(9)).build()
    };
    from.send(&tagged(Vlan::new(42)))?;
    let untagged = Packet::v4().with(Udp::to(9)).build();
    assert!(to.receive(PATIENCE, |seen| seen == untagged)?.is_some());
    Ok(())
}

#[test]
fn built_packets_are_valid_to_the_kernel() -> Result<()> {
    let (left, right) = pair()?;
    let socket = right.udp((HOST.v4, 9), PATIENCE)?;
    let socket6 = right.udp((HOST.v6, 9), PATIENCE)?;
    let mut wire = Wire::open(&left, NIC)?;
    let mut buffer = [0; 64];
    for (packet, socket) in [(Packet::v4(), socket), (Packet::v6(), socket6)] {
        wire.send(&packet.with(Udp::to(9)).with(b"hello".to_vec()).build())?;
        let (length, from) = socket.recv_from(&mut buffer)?;
        assert_eq!(&buffer[..length], b"hello");
        assert_eq!(from.port(), 49152);
    }
    Ok(())
}

#[test]
fn ssh_logs_in_and_is_refused_elsewhere() -> Result<()> {
    let (left, right) = pair()?;
    let sshd = Sshd::start(&right)?;
    for host in [IpAddr::from(HOST.v4), IpAddr::from(HOST.v6)] {
        let output = sshd.login(&left, host, "echo hello from $SSH_CONNECTION")?;
        assert!(output.status.success(), "{}{}", output.stderr, sshd.log());
        assert!(
            output.stdout.starts_with("hello from "),
            "{}",
            output.stdout
        );
    }
    let mut session = sshd.session(&left, HOST.v4, "echo up; cat /dev/zero > /dev/null")?;
    session.wait_for("up", PATIENCE)?;
    assert!(session.is_running());
    assert_eq!(
        left.tcp_connect((HOST.v4, openssh::PORT + 1), PATIENCE)?,
        Outcome::Refused
    );
    Ok(())
}

#[test]
fn tls_handshakes_and_plaintext_does_not() -> Result<()> {
    let (left, right) = pair()?;
    let server = TlsServer::libvirt(&right)?;
    for host in [IpAddr::from(HOST.v4), IpAddr::from(HOST.v6)] {
        let handshake = server.handshake(&left, (host, tls::PORT), PATIENCE)?;
        assert_eq!(handshake, Handshake::Established("TLSv1.3".to_owned()));
    }
    let _plain = right.tcp_listener((HOST.v4, 80))?;
    let silent = server.handshake(&left, (HOST.v4, 80), SHORT)?;
    assert!(matches!(silent, Handshake::Failed(_)), "{silent:?}");
    let closed = server.handshake(&left, (HOST.v4, 81), PATIENCE)?;
    assert_eq!(closed, Handshake::NoConnection(Outcome::Refused));
    Ok(())
}

#[test]
fn everyone_in_the_scene_reaches_the_host_and_the_tenant_its_guest() -> Result<()> {
    let scene = Topology::new()?;
    let peers = [
        (&scene.vim, HOST),
        (&scene.intruder, HOST),
        (&scene.bastion, HOST_OPERATIONS),
    ];
    for (peer, host) in peers {
        assert!(peer.ping(host.v4.into())?, "{} {}", peer.name(), host.v4);
        assert!(peer.ping(host.v6.into())?, "{} {}", peer.name(), host.v6);
    }
    assert!(scene.host.ping(BASTION.v4.into())? && scene.host.ping(INTRUDER.v6.into())?);

    let _listener = scene.guest.tcp_listener((GUEST.v4, 80))?;
    let mut seen = Wire::open(&scene.host, NIC)?;
    let mut stream = scene.tenant.tcp_stream((GUEST.v4, 80), PATIENCE)??;
    stream.write_all(b"through the host")?;
    let passed = seen.receive(PATIENCE, |frame| frame.ends_with(b"through the host"))?;
    assert!(passed.is_some_and(|frame| frame[6..12] == TENANT.mac.0));
    assert!(scene.guest.ping(TENANT.v6.into())?);
    Ok(())
}

#[test]
fn a_namespace_has_its_own_sys_bpf_and_run() -> Result<()> {
    let (left, right) = pair()?;
    left.run(&["sh", "-c", "echo x > /run/mark; mkdir /sys/fs/bpf/mark"])?;
    assert!(right.run(&["ls", "/run/mark"]).is_err());
    assert!(right.run(&["ls", "/sys/fs/bpf/mark"]).is_err());
    left.run(&["ls", "/run/mark", "/sys/fs/bpf/mark"])?;
    assert_eq!(
        left.run(&["cat", "/sys/class/net/eth0/address"])?.trim(),
        VIM.mac.to_string()
    );
    Ok(())
}

#[test]
fn processes_die_with_their_namespace() -> Result<()> {
    let namespace = Namespace::new("mortal")?;
    // The inner process is not the harness's child, and ignores signals where it can.
    let script = "setsid sh -c 'trap \"\" TERM HUP; echo $$; exec sleep 1000' & wait";
    let mut process = namespace.spawn(&argv(&["sh", "-c", script])?)?;
    process.wait_for("\n", PATIENCE)?;
    let orphan = process.stdout().trim().to_owned();
    drop(process);
    assert!(std::fs::exists(format!("/proc/{orphan}/ns"))?);
    drop(namespace);
    let gone = !std::fs::exists(format!("/proc/{orphan}/fd/0"))?;
    assert!(gone, "process {orphan} outlived its namespace");
    Ok(())
}

#[test]
fn a_command_that_cannot_start_says_so() -> Result<()> {
    let namespace = Namespace::new("lonely")?;
    let error = namespace
        .run(&["no-such-program"])
        .expect_err("it does not exist")
        .to_string();
    assert!(error.contains("no-such-program"), "{error}");
    let slow = namespace.spawn(Command::new("sleep").arg("10"))?;
    let error = slow.finish(SHORT).expect_err("it takes longer").to_string();
    assert!(error.contains("still runs"), "{error}");
    assert_eq!(Mac::BROADCAST.to_string(), "ff:ff:ff:ff:ff:ff");
    Ok(())
}
