//! Which connections the host may open, and what the policy decides while a flow lasts.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling, facts, read};
use harness::net::packet::{Ethernet, Ipv4, Tcp};
use harness::net::station::{BASTION, HOST, INTRUDER, Mac, VIM};
use verdict::reason::Reason;

use super::{LOCAL, SYN_ACK, answered, establish, outbound, permitted, refused, segment};
use crate::{both, policy, v4};

#[test]
fn the_host_connects_to_nobody_else() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let unknown = Ruling::from(Reason::UnknownDestination).under("out", "amqps");
    let wrong = Ruling::from(Reason::WrongRole)
        .under("out", "amqps")
        .of("bastion");
    let syn = segment(true, Tcp::SYN, 1, 0);
    for packet in both(HOST, INTRUDER) {
        judges.expect_out(&packet.with(syn.clone()), unknown.clone())?;
    }
    for packet in both(HOST, BASTION) {
        judges.expect_out(&packet.with(syn.clone()), wrong.clone())?;
    }
    for packet in both(HOST, VIM) {
        let none = Ruling::from(Reason::NoService).of("vim");
        judges.expect_out(&packet.with(Tcp::syn(443)), none)?;
    }
    // Packets of unprotected addresses always pass.
    for packet in both(INTRUDER, VIM) {
        judges.expect_out(&packet.with(Tcp::syn(443)), Reason::Unprotected)?;
    }
    Ok(())
}

#[test]
fn the_hosts_services_answer_permitted_peers() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let answer = |flags| Tcp {
        source: 22,
        destination: LOCAL,
        flags,
        ..Tcp::to(0, 0)
    };
    let reply = Ruling::from(Reason::Reply)
        .under("operations", "ssh")
        .of("bastion");
    for packet in both(HOST, BASTION) {
        judges.expect_out(&packet.clone().with(answer(SYN_ACK)), reply.clone())?;
        let opening = Ruling::from(Reason::NoService).of("bastion");
        judges.expect_out(&packet.with(answer(Tcp::SYN)), opening)?;
    }
    for packet in both(HOST, INTRUDER) {
        let unknown = Ruling::from(Reason::UnknownDestination).under("operations", "ssh");
        judges.expect_out(&packet.with(answer(SYN_ACK)), unknown)?;
    }
    Ok(())
}

#[test]
fn an_endpoint_that_is_removed_loses_its_flows() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    establish(&mut judges, &out, &into)?;
    let without = policy(
        r"
endpoints:
  other: { role: vim, addresses: [192.0.2.11] }
reference_points:
  out: { to: [vim], services: [amqps] }
",
    );
    let without = read(&without)?;
    judges.publish(&without, &facts())?;
    let unknown = Ruling::from(Reason::UnknownSource).under("out", "amqps");
    judges.expect(&into.with(segment(false, Tcp::ACK, 8, 1001)), unknown)?;
    let unknown = Ruling::from(Reason::UnknownDestination).under("out", "amqps");
    judges.expect_out(&out.with(segment(true, Tcp::ACK, 1001, 8)), unknown)
}

#[test]
fn a_flow_requires_the_binding_of_its_endpoint() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10], mac: "52:54:00:aa:bb:10", interface: eth0 }
reference_points:
  out: { to: [vim], services: [amqps] }
"#,
    ))?;
    let from = |mac: [u8; 6]| {
        Packet::new()
            .with(Ethernet {
                source: Mac(mac),
                ..Ethernet::default()
            })
            .with(Ipv4::between(VIM.v4, HOST.v4))
    };
    let (own, foreign) = ([0x52, 0x54, 0, 0xaa, 0xbb, 0x10], [2, 0, 0, 0, 0, 9]);
    judges.expect_out(
        &v4(HOST, VIM).with(segment(true, Tcp::SYN, 1000, 0)),
        permitted(),
    )?;
    let answer = segment(false, SYN_ACK, 7, 1001);
    judges.expect(
        &from(foreign).with(answer.clone()),
        refused(Reason::WrongMac),
    )?;
    judges.expect(&from(own).with(answer), answered())
}

#[test]
fn any_and_audit_let_everything_out_and_its_answers_in() -> Result<()> {
    for (mode, out, answer) in [
        (
            "any",
            Ruling::from(Reason::Outbound),
            Ruling::from(Reason::Established),
        ),
        (
            "audit",
            Ruling::from(Reason::NoService).audited(),
            Ruling::from(Reason::Established),
        ),
    ] {
        let mut judges = Judges::of(&outbound(&format!("outbound: {mode}")))?;
        let syn = Tcp {
            source: LOCAL,
            destination: 443,
            flags: Tcp::SYN,
            sequence: 1000,
            ..Tcp::to(0, 0)
        };
        let reply = Tcp {
            source: 443,
            destination: LOCAL,
            flags: SYN_ACK,
            sequence: 7,
            acknowledgement: 1001,
            ..Tcp::to(0, 0)
        };
        let into = v4(INTRUDER, HOST);
        judges.expect(&into.clone().with(reply.clone()), Reason::NoService)?;
        judges.expect_out(&v4(HOST, INTRUDER).with(syn), out)?;
        judges.expect(&into.with(reply), answer)?;
    }
    Ok(())
}
