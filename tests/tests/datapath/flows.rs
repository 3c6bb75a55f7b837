//! Connections that the host opens: only permitted ones go out, and only what belongs to them comes
//! in.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Sctp, Tcp, Udp};
use harness::net::station::{BASTION, GUEST, HOST, INTRUDER, Station, VIM};
use verdict::reason::Reason;

use crate::{ENDPOINTS, both, policy, v4, v6};

const LOCAL: u16 = 40_000;
const AMQPS: u16 = 5671;

/// The host may use AMQP, name service, echo and telemetry of the VIM; the bastion may use SSH of the
/// host. `more` are further lines.
fn outbound(more: &str) -> String {
    policy(&format!(
        r"
{ENDPOINTS}reference_points:
  out: {{ to: [vim], services: [amqps, dns, ping, telemetry] }}
  operations: {{ from: [bastion], services: [ssh] }}
services:
  telemetry: {{ protocol: sctp, ports: [36422] }}
{more}"
    ))
}

/// A segment of the connection between the host and the VIM, from or to the host.
fn segment(outward: bool, flags: u8, sequence: u32, acknowledgement: u32) -> Tcp {
    let (source, destination) = if outward {
        (LOCAL, AMQPS)
    } else {
        (AMQPS, LOCAL)
    };
    Tcp {
        source,
        destination,
        flags,
        sequence,
        acknowledgement,
        ..Tcp::to(0, 0)
    }
}

fn permitted() -> Ruling {
    Ruling::outbound("out", "amqps", "vim")
}

fn answered() -> Ruling {
    Ruling::established("out", "amqps", "vim")
}

fn refused(reason: Reason) -> Ruling {
    Ruling::from(reason).under("out", "amqps").of("vim")
}

/// Lets the host open the connection, and the VIM answer.
fn establish(judges: &mut Judges, out: &Packet, into: &Packet) -> Result<()> {
    let syn = segment(true, Tcp::SYN, 1000, 0);
    judges.expect_out(&out.clone().with(syn), permitted())?;
    let answer = segment(false, SYN_ACK, 7, 1001);
    judges.expect(&into.clone().with(answer), answered())
}

const SYN_ACK: u8 = Tcp::SYN | Tcp::ACK;

#[test]
fn answers_come_in_only_to_what_went_out() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    for (out, into) in both(HOST, VIM).into_iter().zip(both(VIM, HOST)) {
        for flags in [SYN_ACK, Tcp::ACK, Tcp::RST, Tcp::FIN, 0, Tcp::SYN] {
            let packet = into.clone().with(segment(false, flags, 7, 1001));
            judges.expect(&packet, refused(Reason::NoFlow))?;
        }
        establish(&mut judges, &out, &into)?;
        judges.expect_out(
            &out.clone().with(segment(true, Tcp::ACK, 1001, 8)),
            permitted(),
        )?;
        judges.expect(
            &into.clone().with(segment(false, Tcp::ACK, 8, 1001)),
            answered(),
        )?;
        let elsewhere = Tcp {
            destination: LOCAL + 1,
            ..segment(false, Tcp::ACK, 8, 1001)
        };
        judges.expect(&into.clone().with(elsewhere), refused(Reason::NoFlow))?;
        let syn = segment(false, Tcp::SYN, 8, 0);
        judges.expect(&into.with(syn), refused(Reason::NoFlow))?;
    }
    Ok(())
}

#[test]
fn an_answer_acknowledges_what_was_sent() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    let isn = 0x1234_5678;
    judges.expect_out(
        &out.clone().with(segment(true, Tcp::SYN, isn, 0)),
        permitted(),
    )?;
    let wrong = 0x4321_0000;
    for flags in [SYN_ACK, Tcp::RST | Tcp::ACK, Tcp::RST] {
        let packet = into.clone().with(segment(false, flags, 7, wrong));
        judges.expect(&packet, refused(Reason::OutOfWindow))?;
    }
    judges.expect(
        &into.clone().with(segment(false, SYN_ACK, 7, isn + 1)),
        answered(),
    )?;
    judges.expect_out(&out.with(segment(true, Tcp::ACK, isn + 1, 8)), permitted())?;
    for far in [0x2000_0000, 0xe000_0000] {
        for flags in [Tcp::ACK, Tcp::RST, Tcp::RST | Tcp::ACK] {
            let packet = into.clone().with(segment(false, flags, far, isn + 1));
            judges.expect(&packet, refused(Reason::OutOfWindow))?;
        }
    }
    for flags in [0, Tcp::FIN, Tcp::FIN | Tcp::PSH] {
        let packet = into.clone().with(segment(false, flags, 8, isn + 1));
        judges.expect(&packet, refused(Reason::TcpFlags))?;
    }
    judges.expect(&into.with(segment(false, Tcp::RST, 8, 0)), answered())
}

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
    // What is not protected goes where it likes.
    for packet in both(INTRUDER, VIM) {
        judges.expect_out(&packet.with(Tcp::syn(443)), Reason::Unprotected)?;
    }
    Ok(())
}

#[test]
fn the_hosts_own_services_answer_whoever_may_ask() -> Result<()> {
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
fn datagrams_and_echoes_are_followed_too() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
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
    let no_flow = |service| Ruling::from(Reason::NoFlow).under("out", service).of("vim");
    for (out, into) in both(HOST, VIM).into_iter().zip(both(VIM, HOST)) {
        judges.expect(&into.clone().with(answers.clone()), no_flow("dns"))?;
        judges.expect_out(
            &out.with(asks.clone()),
            Ruling::outbound("out", "dns", "vim"),
        )?;
        judges.expect(
            &into.with(answers.clone()),
            Ruling::established("out", "dns", "vim"),
        )?;
    }
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    let reply = into.with(Icmp {
        kind: 0,
        ..Icmp::echo()
    });
    judges.expect(&reply, no_flow("ping"))?;
    judges.expect_out(
        &out.with(Icmp::echo()),
        Ruling::outbound("out", "ping", "vim"),
    )?;
    judges.expect(&reply, Ruling::established("out", "ping", "vim"))?;
    let (out, into) = (v6(HOST, VIM), v6(VIM, HOST));
    let reply = into.with(Icmpv6 {
        kind: 129,
        ..Icmpv6::echo()
    });
    judges.expect(&reply, no_flow("ping"))?;
    judges.expect_out(
        &out.with(Icmpv6::echo()),
        Ruling::outbound("out", "ping", "vim"),
    )?;
    judges.expect(&reply, Ruling::established("out", "ping", "vim"))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    let answers = Sctp {
        source: 36_422,
        destination: LOCAL,
        ..Sctp::to(0)
    };
    judges.expect(&into.clone().with(answers.clone()), no_flow("telemetry"))?;
    let asks = Sctp {
        source: LOCAL,
        destination: 36_422,
        ..Sctp::to(0)
    };
    judges.expect_out(&out.with(asks), Ruling::outbound("out", "telemetry", "vim"))?;
    judges.expect(
        &into.with(answers),
        Ruling::established("out", "telemetry", "vim"),
    )
}

#[test]
fn both_sides_may_open_at_once() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    judges.expect_out(
        &out.clone().with(segment(true, Tcp::SYN, 1000, 0)),
        permitted(),
    )?;
    judges.expect(
        &into.clone().with(segment(false, Tcp::SYN, 7, 0)),
        answered(),
    )?;
    judges.expect_out(
        &out.clone().with(segment(true, SYN_ACK, 1000, 8)),
        permitted(),
    )?;
    judges.expect(
        &into.clone().with(segment(false, SYN_ACK, 7, 1001)),
        answered(),
    )?;
    judges.expect_out(&out.with(segment(true, Tcp::ACK, 1001, 8)), permitted())?;
    judges.expect(&into.with(segment(false, Tcp::ACK, 8, 1001)), answered())
}

#[test]
fn silence_ends_a_flow() -> Result<()> {
    let short = "flow_timeouts: { tcp-opening: 1s, udp-opening: 1s }";
    let mut judges = Judges::of(&outbound(short))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    let syn = out.with(segment(true, Tcp::SYN, 1000, 0));
    let answer = into.with(segment(false, SYN_ACK, 7, 1001));
    judges.expect_out(&syn, permitted())?;
    thread::sleep(Duration::from_millis(1800));
    judges.expect(&answer, refused(Reason::NoFlow))?;
    judges.expect_out(&syn, permitted())?;
    judges.expect(&answer, answered())?;
    thread::sleep(Duration::from_millis(1800));
    judges.expect(&answer, answered())
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
    let without = harness::judge::read(&without)?;
    judges.publish(&without, &harness::judge::facts())?;
    let unknown = Ruling::from(Reason::UnknownSource).under("out", "amqps");
    judges.expect(&into.with(segment(false, Tcp::ACK, 8, 1001)), unknown)?;
    let unknown = Ruling::from(Reason::UnknownDestination).under("out", "amqps");
    judges.expect_out(&out.with(segment(true, Tcp::ACK, 1001, 8)), unknown)
}

#[test]
fn a_flow_keeps_to_what_its_endpoint_is_bound_to() -> Result<()> {
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
                source: harness::net::station::Mac(mac),
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

/// The guests' only: of the host's own the agent knows.
#[test]
fn connections_of_guests_are_taken_over_in_their_midst_for_a_time() -> Result<()> {
    let text = outbound("").replace(
        "protect: [interface-addresses]",
        "protect: [interface-addresses, 203.0.113.10, \"2001:db8:0:113::10\"]",
    );
    let mut judges = Judges::of(&text)?;
    let data = segment(false, Tcp::ACK, 8, 1001);
    for [to_guest, to_host] in both(VIM, GUEST)
        .into_iter()
        .zip(both(VIM, HOST))
        .map(<[_; 2]>::from)
    {
        judges.expect(
            &to_guest.clone().with(data.clone()),
            refused(Reason::NoFlow),
        )?;
        judges.adopt_for(60)?;
        for flags in [Tcp::SYN, SYN_ACK, Tcp::RST, 0] {
            let packet = to_guest.clone().with(segment(false, flags, 8, 1001));
            judges.expect(&packet, refused(Reason::NoFlow))?;
        }
        judges.expect(&to_guest.clone().with(data.clone()), answered())?;
        judges.expect(&to_host.with(data.clone()), refused(Reason::NoFlow))?;
        judges.adopt_for(0)?;
        judges.expect(&to_guest.with(data.clone()), answered())?;
    }
    judges.adopt_for(60)?;
    let unknown = Ruling::from(Reason::UnknownSource).under("out", "amqps");
    judges.expect(&v4(INTRUDER, GUEST).with(data), unknown)
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
    // A host without an address asks, and is answered at the one that it is to have.
    let nobody = Packet::new()
        .with(crate::ethernet(HOST, VIM))
        .with(Ipv4::between([0, 0, 0, 0].into(), [255; 4].into()));
    judges.expect_out(&nobody.with(asks.clone()), Reason::Unprotected)?;
    judges.expect(&v4(VIM, HOST).with(answer.clone()), answered.clone())?;
    judges.expect(
        &v4(INTRUDER, HOST).with(answer.clone()),
        Ruling::from(Reason::UnknownSource).under("boot", "lease"),
    )?;
    judges.forget_flows()?;
    let everyone = Packet::new()
        .with(crate::ethernet(HOST, VIM))
        .with(Ipv4::between(HOST.v4, [255; 4].into()));
    let asked = Ruling::from(Reason::Outbound).under("boot", "lease");
    judges.expect_out(&everyone.with(asks), asked.clone())?;
    judges.expect(&v4(VIM, HOST).with(answer), answered.clone())?;
    let servers = Packet::new()
        .with(crate::ethernet(HOST, VIM))
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

#[test]
fn an_icmp_error_passes_if_it_quotes_what_was_permitted() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let quoting = |local: Station, tcp: Tcp| {
        [
            v4(INTRUDER, HOST)
                .with(Icmp::fragmentation_needed(1400))
                .with(Ipv4::between(local.v4, VIM.v4))
                .with(tcp.clone()),
            v6(INTRUDER, HOST)
                .with(Icmpv6::too_big(1400))
                .with(Ipv6::between(local.v6, VIM.v6))
                .with(tcp),
        ]
    };
    let syn = segment(true, Tcp::SYN, 1000, 0);
    for error in quoting(HOST, syn.clone()) {
        judges.expect(&error, Reason::IcmpUnrelated)?;
    }
    for out in both(HOST, VIM) {
        judges.expect_out(&out.with(syn.clone()), permitted())?;
    }
    for error in quoting(HOST, syn.clone()) {
        judges.expect(&error, refused(Reason::IcmpError))?;
    }
    for error in quoting(INTRUDER, syn) {
        judges.expect(&error, Reason::IcmpUnrelated)?;
    }
    // An answer of one of the host's own services.
    let answer = Tcp {
        source: 22,
        destination: LOCAL,
        flags: Tcp::ACK,
        ..Tcp::to(0, 0)
    };
    let about = |station: Station| {
        v4(INTRUDER, HOST)
            .with(Icmp::fragmentation_needed(1400))
            .with(Ipv4::between(HOST.v4, station.v4))
            .with(answer.clone())
    };
    let related = Ruling::from(Reason::IcmpError)
        .under("operations", "ssh")
        .of("bastion");
    judges.expect(&about(BASTION), related)?;
    judges.expect(&about(INTRUDER), Reason::IcmpUnrelated)?;
    // And the other way round.
    let asks = Tcp {
        source: LOCAL,
        destination: 22,
        flags: Tcp::ACK,
        ..Tcp::to(0, 0)
    };
    let about = |station: Station| {
        v4(HOST, station)
            .with(Icmp::unreachable(3))
            .with(Ipv4::between(station.v4, HOST.v4))
            .with(asks.clone())
    };
    let related = Ruling::from(Reason::IcmpError)
        .under("operations", "ssh")
        .of("bastion");
    judges.expect_out(&about(BASTION), related)?;
    judges.expect_out(&about(INTRUDER), Reason::IcmpUnrelated)
}

#[test]
fn a_full_table_gives_up_what_waits_for_its_answer() -> Result<()> {
    let mut judges = Judges::of(&outbound(""))?;
    let (out, into) = (v4(HOST, VIM), v4(VIM, HOST));
    // Also where connections are taken over in their midst.
    judges.adopt_for(60)?;
    establish(&mut judges, &out, &into)?;
    // Three times as many questions as there are places, and none is refused.
    for port in 50_000..62_288 {
        let question = Udp {
            source: port,
            ..Udp::to(53)
        };
        let asked = Ruling::outbound("out", "dns", "vim");
        judges.expect_out(&out.clone().with(question), asked)?;
    }
    let more = segment(false, Tcp::ACK, 8, 1001);
    judges.expect(&into.with(more), answered())?;
    judges.adopt_for(0)
}
