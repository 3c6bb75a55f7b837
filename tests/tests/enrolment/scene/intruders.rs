//! Peers without the certificate of an endpoint are not admitted, whatever else they have of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::agent::operator::{Operator, VIM_1, policy};
use harness::machine::wait;
use harness::net::capture::Capture;
use harness::net::link::{self, Port};
use harness::net::packet::{Ethernet, Ipv4, Packet, Tcp};
use harness::net::station::{HOST, INTRUDER, Mac, NIC, VIM};
use harness::net::wire::Wire;
use harness::programs::certificate;
use harness::scene::impersonation;
use harness::{Policy, Topology};
use manoward_pki::{Reason, Request, Validity, Which};
use time::OffsetDateTime;

use super::{ONCE, PATIENCE, PORT, SHORT, connects, syn};

/// Where a frame has the MAC address of its sender.
const SENDER: std::ops::Range<usize> = 6..12;

#[test]
fn other_and_invalid_certificates_are_not_admitted() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;

    let revoked = operator.issue("vim-1-lost", VIM_1)?;
    let which = Which::Named("vim-1-lost".to_owned());
    operator.authority.revoke(&which, Reason::KeyCompromise)?;
    let now = OffsetDateTime::now_utc();
    let expired = operator.issue_to(&Request {
        validity: Validity::Between(now - time::Duration::DAY, now - time::Duration::HOUR),
        ..Request::endpoint("vim-1-old", [manoward_pki::Name::uri(VIM_1)?])
    })?;
    let stranger = Operator::new()?;
    let openssl = certificate::Authority::new("nobody")?;
    let agent = operator.agent(&scene.host, &policy())?;
    // All with the VIM's address and MAC address: it has not joined.
    for (what, certificate, reason) in [
        (
            "another's",
            &operator.issue("bastion-1", "spiffe://operator.example/bastion/1")?,
            "no-matching-identity",
        ),
        ("of another authority", &stranger.vim, "unknown-ca"),
        (
            "self-signed",
            &openssl.self_signed("vim", &format!("URI:{VIM_1}"))?,
            "unknown-ca",
        ),
        ("revoked", &revoked, "revoked"),
        ("expired", &expired, "expired"),
    ] {
        let before = agent.refused(reason)?;
        let join = operator.join(&scene.vim, certificate, &["--once"])?;
        let output = join.finish(ONCE)?;
        assert!(!output.status.success(), "{what}: {}", output.stdout);
        assert!(
            output.stdout.contains("refused"),
            "{what}: {}",
            output.stdout
        );
        assert_eq!(agent.refused(reason)?, before + 1, "{what}");
        assert!(!connects(&scene.vim)?, "{what}");
    }
    // With the key, but from another address: the programs drop the datagrams.
    let join = operator.join(&scene.intruder, &operator.vim, &["--once"])?;
    assert!(!join.finish(ONCE)?.status.success());
    agent.await_any("enrolment", "unknown-source")?;
    agent.await_leases(0, Duration::ZERO)
}

/// The IP address and the MAC address of an endpoint admit nobody while it has no session, and
/// never on another interface.
#[test]
fn address_and_mac_of_an_endpoint_are_not_enough() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let far = Mac::station(0x19);
    link::veth(
        &Port {
            namespace: &scene.intruder,
            name: "eth1",
            mac: VIM.mac,
            addresses: &[],
        },
        &Port {
            namespace: &scene.host,
            name: "eth1",
            mac: far,
            addresses: &[],
        },
    )?;
    let on_both = Policy {
        interfaces: "[eth0, eth1]",
        ..policy()
    };
    let agent = operator.agent(&scene.host, &on_both)?;
    impersonation::take_addresses(&scene.intruder, VIM.v4, VIM.mac)?;
    assert!(!connects(&scene.intruder)?, "the VIM has not joined");
    agent.await_any("Nf-Vi", "no-lease")?;

    impersonation::take_addresses(&scene.intruder, VIM.v4, INTRUDER.mac)?;
    let join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    assert!(!connects(&scene.intruder)?, "from its own MAC address");
    agent.await_any("Nf-Vi", "wrong-mac")?;
    let ethernet = Ethernet {
        source: VIM.mac,
        destination: far,
        ..Ethernet::default()
    };
    let packet = Packet::new().with(ethernet).with(Ipv4::default());
    let mut other = Wire::open(&scene.intruder, "eth1")?;
    other.send(&packet.with(Tcp::syn(PORT)).build())?;
    agent.await_packets("Nf-Vi", "wrong-interface", 1)?;

    // The VIM's MAC address admits nobody after the VIM has left.
    join.terminate()?;
    agent.await_leases(0, PATIENCE)?;
    let before = agent.counters()?.packets("Nf-Vi", "no-lease");
    Wire::open(&scene.intruder, NIC)?.send(&syn(VIM.mac))?;
    agent.await_packets("Nf-Vi", "no-lease", before + 1)
}

/// Sends all frames from a MAC address.
fn replay(wire: &mut Wire, frames: &[Vec<u8>], mac: Mac) -> Result<()> {
    frames.iter().try_for_each(|frame| {
        let mut frame = frame.clone();
        frame[SENDER].copy_from_slice(&mac.0);
        wire.send(&frame)
    })
}

#[test]
fn a_replayed_session_is_not_admitted() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host, &policy())?;
    let mut capture = Capture::start(&scene.switch, VIM)?;
    let join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let frames = capture.take()?.sent;
    // An Initial packet, one with the token of a Retry, the certificate, the first message.
    assert!(
        frames.len() >= 4,
        "{} datagrams are no session",
        frames.len()
    );
    let since = |agent: &harness::Agent<'_>| -> Result<BTreeMap<String, String>> {
        let leases = agent.leases()?.leases.into_iter();
        Ok(leases
            .filter_map(|lease| Some((lease.mac, lease.since?)))
            .collect())
    };
    let lease = since(&agent)?;

    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    let before = agent.counters()?.packets("enrolment", "wrong-mac");
    replay(&mut intruder, &frames, INTRUDER.mac)?;
    let all = before + frames.len() as u64;
    agent.await_packets("enrolment", "wrong-mac", all)?;
    replay(&mut intruder, &frames, VIM.mac)?;
    assert!(connects(&scene.vim)?, "the session has not suffered");
    assert_eq!(since(&agent)?, lease);

    join.terminate()?;
    agent.await_leases(0, PATIENCE)?;
    // QUIC remembers a closed session for a moment. Then the token, which validates an address for
    // some seconds, begins another handshake; without the keys it times out.
    let ended = || {
        replay(&mut intruder, &frames, VIM.mac)?;
        std::thread::sleep(SHORT);
        Ok(agent.refused("timeout")? > 0)
    };
    wait::until(&true, ONCE, ended).context("a handshake without its keys")?;
    intruder.send(&syn(VIM.mac))?;
    agent.await_packets("Nf-Vi", "no-lease", 1)?;
    agent.await_leases(0, Duration::ZERO)?;
    assert_eq!(agent.log().matches("endpoint authenticated").count(), 1);
    Ok(())
}
