//! Datagrams that nobody has asked for: what the host answers to them lets nobody in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use anyhow::Result;
use harness::net::station::{HOST, INTRUDER, NIC};
use harness::{Agent, Namespace, Policy, Topology};

use crate::{PATIENCE, SHORT, addresses};

/// Where the host hears broadcasts, and another port that it answers from.
const HEARD: u16 = 9_999;
const OTHER: u16 = 9_998;

/// A port of the intruder's.
const ASKER: u16 = 5_000;

fn policy(serial: u64, mode: &'static str, outbound: &'static str) -> Policy<'static> {
    Policy {
        serial,
        mode,
        // At these, groups are left alone.
        protect: "[192.0.2.17, \"2001:db8:0:17::17\"]",
        reference_points: "{ Nf-Vi: { from: [vim], services: [ssh] } }",
        more: outbound,
        ..Policy::default()
    }
}

/// The group of all on the link, of the family of `near`.
fn group(from: &Namespace, near: IpAddr) -> Result<SocketAddr> {
    let index = from.run(&["cat", &format!("/sys/class/net/{NIC}/ifindex")])?;
    Ok(match near {
        IpAddr::V4(_) => (Ipv4Addr::new(192, 0, 2, 255), HEARD).into(),
        IpAddr::V6(_) => {
            let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            SocketAddrV6::new(all, HEARD, 0, index.trim().parse()?).into()
        }
    })
}

fn hears(socket: &UdpSocket) -> bool {
    let mut heard = [0; 16];
    socket.recv_from(&mut heard).is_ok()
}

#[test]
fn who_asks_a_group_does_not_get_in_by_the_answer() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(
        &scene.host,
        &policy(1, "enforce", "outbound: any").to_string(),
    )?;
    for (host, intruder) in addresses(HOST).into_iter().zip(addresses(INTRUDER)) {
        let any: IpAddr = match host {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let asker = scene.intruder.udp((intruder, ASKER), PATIENCE)?;
        asker.set_broadcast(true)?;
        let heard = scene.host.udp((any, HEARD), PATIENCE)?;
        let second = scene.host.udp((host, OTHER), SHORT)?;
        asker.send_to(b"who is there?", group(&scene.intruder, intruder)?)?;
        assert!(hears(&heard), "{host}: what is sent to a group");
        for answering in [&heard, &second] {
            answering.send_to(b"me", (intruder, ASKER))?;
            assert!(hears(&asker), "{host}: the answer");
        }
        heard.set_read_timeout(Some(SHORT))?;
        for port in [HEARD, OTHER] {
            asker.send_to(b"let me in", (host, port))?;
        }
        assert!(!hears(&heard) && !hears(&second), "{host}: unicast");
        // What the host begins is answered.
        let begun = scene.host.udp((host, 0), PATIENCE)?;
        let questioned = scene.intruder.udp((intruder, ASKER + 1), PATIENCE)?;
        begun.send_to(b"and you?", (intruder, ASKER + 1))?;
        assert!(hears(&questioned), "{host}: what the host begins");
        questioned.send_to(b"yes", begun.local_addr()?)?;
        assert!(hears(&begun), "{host}: its answer");
    }
    assert_eq!(agent.counters()?.packets("-", "answer"), 4);
    Ok(())
}

#[test]
fn answers_under_an_audit_are_no_violations_and_open_nothing() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &policy(1, "audit", "").to_string())?;
    let mut sessions = Vec::new();
    for (host, intruder) in addresses(HOST).into_iter().zip(addresses(INTRUDER)) {
        let asker = scene.intruder.udp((intruder, ASKER), PATIENCE)?;
        let heard = scene.host.udp((host, HEARD), PATIENCE)?;
        asker.send_to(b"who is there?", (host, HEARD))?;
        assert!(hears(&heard), "{host}: under the audit");
        heard.send_to(b"me", (intruder, ASKER))?;
        assert!(hears(&asker), "{host}: the answer");
        sessions.push((asker, heard));
    }
    let stats = agent.ask_json(&["stats"])?;
    let counted = stats["verdicts"].as_array().into_iter().flatten();
    let out: Vec<_> = counted
        .filter(|count| count["direction"] == "out")
        .collect();
    assert!(
        out.iter().all(|count| count["fate"] != "audited"),
        "{out:?}"
    );
    assert_eq!(agent.counters()?.packets("-", "answer"), 2);
    assert!(
        agent
            .apply(policy(2, "enforce", "outbound: audit"))?
            .status
            .success()
    );
    for (asker, heard) in &sessions {
        heard.set_read_timeout(Some(SHORT))?;
        asker.send_to(b"still there?", heard.local_addr()?)?;
        assert!(!hears(heard), "{:?}", heard.local_addr()?);
    }
    Ok(())
}
