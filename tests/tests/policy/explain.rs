//! Explaining what happens to a packet, without a packet.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use harness::net::packet::{Arp, Ethernet, Ipv4, Packet, Tcp, Vlan};
use harness::net::station::{HOST, INTRUDER, Mac, NIC, VIM};
use harness::net::wire::Wire;
use harness::programs::openssh;
use harness::scene::watch::intruder_syn;
use harness::{Agent, Namespace, Policy, Topology};
use manoward::explain::to_hex;
use manoward_api::{Explanation, Fate, Kernel};

const PASSES: Option<i32> = Some(0);
const DROPPED: Option<i32> = Some(10);

const BOUND: Policy<'_> = Policy {
    serial: 1,
    interfaces: "[eth0, eth1]",
    protect: "[192.0.2.17, \"2001:db8:0:17::17\"]",
    mode: "enforce",
    endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"],
                           mac: 52:54:00:aa:bb:01, vlan: untagged, interface: eth0 } }",
    reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] },
                         trial: { from: [vim], services: [libvirt-tls], mode: audit } }",
    services: "{}",
    more: "vlans: [untagged, 7, 200]",
};

fn host() -> Result<Namespace> {
    let host = Namespace::new("host")?;
    host.run(&["ip", "link", "add", "eth0", "type", "veth"])?;
    host.run(&["ip", "link", "add", "eth1", "type", "veth"])?;
    Ok(host)
}

fn explain(agent: &Agent<'_>, words: &[&str]) -> Result<(Option<i32>, Explanation)> {
    let output = agent.cli(&[&["explain", "--output", "json"], words].concat())?;
    let explanation = serde_json::from_str(&output.stdout)
        .with_context(|| format!("{words:?}: {}{}", output.stdout, output.stderr))?;
    Ok((output.status.code(), explanation))
}

#[test]
fn a_packet_that_nobody_judges_is_said_to_go_where_it_goes() -> Result<()> {
    let host = host()?;
    host.run(&["ip", "address", "add", "192.0.2.18/24", "dev", "eth0"])?;
    let policy = Policy {
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10] } }",
        ..BOUND
    };
    let agent = Agent::start(&host, &policy.to_string())?;
    let because = |words: &[&str]| -> Result<String> {
        let (code, explanation) = explain(&agent, words)?;
        assert_eq!((code, &*explanation.reason), (PASSES, "unprotected"));
        Ok(explanation.because)
    };
    let unlisted = ["--from", "192.0.2.66", "--to", "192.0.2.18", "--port", "22"];
    let said = because(&unlisted)?;
    assert!(said.contains("which `protect` does not list"), "{said}");
    let tagged = Packet::new()
        .with(Ethernet::default())
        .with(Vlan::new(300))
        .with(Ipv4::between(INTRUDER.v4, HOST.v4))
        .with(Tcp::syn(22))
        .build();
    let said = because(&["--frame", &to_hex(&tagged), "--interface", "eth0"])?;
    assert!(said.contains("VLAN 300 carries none"), "{said}");
    let applied = agent.apply(Policy {
        serial: 2,
        protect: "[interface-addresses]",
        ..policy
    })?;
    assert!(applied.status.success(), "{}", applied.stderr);
    let group = ["--from", "192.0.2.66", "--to", "239.1.1.1", "--port", "22"];
    let said = because(&[&group[..], &["--interface", "eth0"]].concat())?;
    assert!(said.contains("judged at the sockets"), "{said}");
    Ok(())
}

#[test]
fn a_packet_that_is_described_gets_a_verdict_with_its_reason() -> Result<()> {
    let host = host()?;
    let agent = Agent::start(&host, &BOUND.to_string())?;
    let vim = "--from 192.0.2.10 --to 192.0.2.17";
    let vim6 = "--from 2001:db8:0:17::10 --to 2001:db8:0:17::17";
    let intruder = "--from 192.0.2.66 --to 192.0.2.17";
    let to_guest = "--from 192.0.2.66 --to 203.0.113.9";
    let cases = [
        (vim, "--port 22", Fate::Passed, "permitted"),
        (vim6, "--port 22", Fate::Passed, "permitted"),
        (vim, "--port 23", Fate::Dropped, "no-service"),
        (intruder, "--port 22", Fate::Dropped, "unknown-source"),
        (intruder, "--port 16514", Fate::Audited, "unknown-source"),
        (to_guest, "--port 22", Fate::Passed, "unprotected"),
        (vim, "--protocol icmp", Fate::Dropped, "no-service"),
        (
            vim,
            "--port 22 --mac 52:54:00:aa:bb:66",
            Fate::Dropped,
            "wrong-mac",
        ),
        (vim, "--port 22 --vlan 200", Fate::Dropped, "wrong-vlan"),
        (
            vim,
            "--port 22 --interface eth1",
            Fate::Dropped,
            "wrong-interface",
        ),
    ];
    for (peers, more, fate, reason) in cases {
        let words: Vec<_> = peers.split(' ').chain(more.split(' ')).collect();
        let (ended, found) = explain(&agent, &words)?;
        let code = if fate == Fate::Dropped {
            DROPPED
        } else {
            PASSES
        };
        assert_eq!((ended, found.fate), (code, fate), "{words:?}: {found:?}");
        assert_eq!(found.reason, reason, "{words:?}");
        assert_eq!(found.kernel, Kernel::Agrees, "{words:?}");
    }
    let ssh: Vec<_> = vim.split(' ').chain(["--port", "22"]).collect();
    let (_, found) = explain(&agent, &ssh)?;
    assert_eq!(found.reference_point.as_deref(), Some("Nf-Vi"));
    assert_eq!(found.service.as_deref(), Some("ssh"));
    assert_eq!(found.endpoint.as_deref(), Some("vim-1"));
    assert_eq!(found.role.as_deref(), Some("vim"));
    assert_eq!(found.prefix.as_deref(), Some("192.0.2.10/32"));
    let text = agent.ask(&[&["explain"], &ssh[..]].concat())?;
    assert!(text.starts_with("passes (permitted)"), "{text}");
    Ok(())
}

/// Frames, and what the policy above has to say about each.
fn frames() -> Vec<(Vec<u8>, Fate, &'static str)> {
    let syn = |packet: Packet| packet.with(Tcp::syn(openssh::PORT)).build();
    let mut cut = syn(Packet::v4());
    cut.truncate(30);
    let tagged = Packet::new()
        .with(Ethernet::default())
        .with(Vlan::new(7))
        .with(Ipv4::default());
    let foreign = Packet::new()
        .with(Ethernet::default())
        .with(Ipv4::between(INTRUDER.v4, HOST.v4));
    let arp = Packet::new().with(Ethernet {
        destination: Mac::BROADCAST,
        ..Ethernet::default()
    });
    vec![
        (syn(Packet::v4()), Fate::Passed, "permitted"),
        (syn(Packet::v6()), Fate::Passed, "permitted"),
        (syn(tagged), Fate::Dropped, "wrong-vlan"),
        (syn(foreign), Fate::Dropped, "unknown-source"),
        (cut, Fate::Dropped, "ipv4-truncated"),
        (
            arp.with(Arp::request((VIM.mac, VIM.v4), HOST.v4)).build(),
            Fate::Passed,
            "not-ip",
        ),
    ]
}

#[test]
fn a_frame_in_hexadecimal_is_judged_as_it_is() -> Result<()> {
    let host = host()?;
    let agent = Agent::start(&host, &BOUND.to_string())?;
    for (frame, fate, reason) in frames() {
        let (code, found) = explain(&agent, &["--frame", &to_hex(&frame)])?;
        assert_eq!((found.fate, found.reason.as_str()), (fate, reason));
        assert_eq!(
            code,
            if fate == Fate::Dropped {
                DROPPED
            } else {
                PASSES
            }
        );
        assert_eq!(found.kernel, Kernel::Agrees, "{reason}");
        assert_eq!(found.frame, to_hex(&frame));
    }
    let output = agent.cli(&["explain", "--frame", "no frame"])?;
    assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
    let output = agent.cli(&[
        "explain",
        "--frame",
        &to_hex(&frames()[0].0),
        "--interface",
        "eth9",
    ])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        output.stderr.contains("no interface `eth9`"),
        "{}",
        output.stderr
    );
    Ok(())
}

/// Writes a capture as tcpdump does (microseconds, Ethernet).
fn write_pcap(path: &Path, frames: &[Vec<u8>]) -> Result<()> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 1] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = u32::try_from(frame.len())?;
        for word in [0, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    fs::write(path, file).context("writing a capture")
}

#[test]
fn every_frame_of_a_capture_is_judged() -> Result<()> {
    let host = host()?;
    let agent = Agent::start(&host, &BOUND.to_string())?;
    let path = agent.folder().join("capture.pcap");
    let expected = frames();
    let all: Vec<_> = expected.iter().map(|(frame, ..)| frame.clone()).collect();
    write_pcap(&path, &all)?;
    let path = path.to_string_lossy();
    let output = agent.cli(&["explain", "--pcap", &path, "--output", "json"])?;
    assert_eq!(output.status.code(), DROPPED, "{}", output.stderr);
    let lines: Vec<serde_json::Value> = output
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let reasons: Vec<_> = lines
        .iter()
        .map(|line| line["explanation"]["reason"].as_str().unwrap_or_default())
        .collect();
    let wanted: Vec<_> = expected.iter().map(|(.., reason)| *reason).collect();
    assert_eq!(reasons, wanted, "{}", output.stdout);

    write_pcap(Path::new(path.as_ref()), &all[..2])?;
    let output = agent.cli(&["explain", "--pcap", &path])?;
    assert_eq!(output.status.code(), PASSES, "{}", output.stderr);
    fs::write(path.as_ref(), "no capture")?;
    let output = agent.cli(&["explain", "--pcap", &path])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.contains("capture.pcap"), "{}", output.stderr);
    Ok(())
}

#[test]
fn explaining_counts_nothing_and_lets_nothing_through() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    let syn = intruder_syn();
    intruder.send(&syn)?;
    agent.await_packets("Nf-Vi", "unknown-source", 1)?;
    for _ in 0..5 {
        let (code, _) = explain(&agent, &["--frame", &to_hex(&syn)])?;
        assert_eq!(code, DROPPED);
    }
    assert_eq!(agent.counters()?.packets("Nf-Vi", "unknown-source"), 1);
    intruder.send(&syn)?;
    agent.await_packets("Nf-Vi", "unknown-source", 2)?;
    assert_eq!(agent.problems()?, Vec::<String>::new());
    Ok(())
}
