//! Flows without a connection: datagrams, echoes, SCTP, and answers to a group.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Icmp, Icmpv6, Ipv4, Ipv6, Sctp, Udp};
use harness::net::station::{HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use super::{LOCAL, outbound};
use crate::{both, ethernet, policy, v4, v6};

/// Checks that an answer passes only after its request.
fn follows(judges: &mut Judges, asks: &Packet, answers: &Packet, service: &str) -> Result<()> {
    let no_flow = Ruling::from(Reason::NoFlow).under("out", service).of("vim");
    judges.expect(answers, no_flow)?;
    judges.expect_out(asks, Ruling::outbound("out", service, "vim"))?;
    judges.expect(answers, Ruling::established("out", service, "vim"))
}

#[test]
fn datagrams_and_echoes_are_followed_too() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    for (out, into) in both(HOST, VIM).into_iter().zip(both(VIM, HOST)) {
        let asks = Udp {
            source: LOCAL,
            destination: 53,
            ..Udp::to(0)
        };
        let answers = Udp {
            source: 53,
            destination: LOCAL,
            ..Udp::to(0)
        };
        follows(&mut judges, &out.with(asks), &into.with(answers), "dns")?;
    }
    let (asks, reply) = (v4(HOST, VIM).with(Icmp::echo()), v4(VIM, HOST));
    let reply = reply.with(Icmp {
        kind: 0,
        ..Icmp::echo()
    });
    follows(&mut judges, &asks, &reply, "ping")?;
    let (asks, reply) = (v6(HOST, VIM).with(Icmpv6::echo()), v6(VIM, HOST));
    let reply = reply.with(Icmpv6 {
        kind: 129,
        ..Icmpv6::echo()
    });
    follows(&mut judges, &asks, &reply, "ping")?;
    // INIT (RFC 9260, 3.3.2).
    let init = [&[1, 0, 0, 20][..], &[7; 16]].concat();
    let asks = v4(HOST, VIM)
        .with(Sctp {
            source: LOCAL,
            destination: 36_422,
            ..Sctp::to(0)
        })
        .with(init);
    let answers = v4(VIM, HOST).with(Sctp {
        source: 36_422,
        destination: LOCAL,
        ..Sctp::to(0)
    });
    follows(&mut judges, &asks, &answers, "telemetry")
}

#[test]
fn whoever_may_answer_a_group_may_answer_the_host() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  provisioner: { role: deployer, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
reference_points:
  boot: { to: [deployer], services: [lease] }
services:
  lease: [{ protocol: udp, ports: [67] }, { protocol: udp, ports: [547] }]
"#,
    ))?;
    let asks = Udp {
        source: 68,
        destination: 67,
        ..Udp::to(0)
    };
    let answer = Udp {
        source: 67,
        destination: 68,
        ..Udp::to(0)
    };
    let no_flow = Ruling::from(Reason::NoFlow)
        .under("boot", "lease")
        .of("provisioner");
    let answered = Ruling::established("boot", "lease", "provisioner");
    judges.expect(&v4(VIM, HOST).with(answer.clone()), no_flow.clone())?;
    // A host without an address sends the request; the answer goes to the address it will get.
    let unaddressed = Packet::new()
        .with(ethernet(HOST, VIM))
        .with(Ipv4::between([0, 0, 0, 0].into(), [255; 4].into()));
    judges.expect_out(&unaddressed.with(asks.clone()), Reason::Unprotected)?;
    judges.expect(&v4(VIM, HOST).with(answer.clone()), answered.clone())?;
    judges.expect(
        &v4(INTRUDER, HOST).with(answer.clone()),
        Ruling::from(Reason::UnknownSource).under("boot", "lease"),
    )?;
    judges.forget_flows()?;
    let broadcast = Packet::new()
        .with(ethernet(HOST, VIM))
        .with(Ipv4::between(HOST.v4, [255; 4].into()));
    let asked = Ruling::from(Reason::Outbound).under("boot", "lease");
    judges.expect_out(&broadcast.with(asks), asked.clone())?;
    judges.expect(&v4(VIM, HOST).with(answer), answered.clone())?;
    let servers = Packet::new()
        .with(ethernet(HOST, VIM))
        .with(Ipv6::between(HOST.v6, "ff02::1:2".parse()?));
    let asks = Udp {
        source: 546,
        destination: 547,
        ..Udp::to(0)
    };
    let answer = Udp {
        source: 547,
        destination: 546,
        ..Udp::to(0)
    };
    judges.expect(&v6(VIM, HOST).with(answer.clone()), no_flow)?;
    judges.expect_out(&servers.with(asks), asked)?;
    judges.expect(&v6(VIM, HOST).with(answer), answered)
}
