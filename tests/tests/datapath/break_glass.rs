//! Exemptions: what one lets in and out although the policy refuses it, and nothing else.

use anyhow::Result;
use harness::Packet;
use harness::judge::Judges;
use harness::net::packet::{Fragment, Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp};
use harness::net::station::{BASTION, HOST, INTRUDER, Station, VIM};
use verdict::frame::ethernet::mac_word;
use verdict::reason::{Reason, Verdict};
use verdict::state::exemption::{Exemption, FOR_GOOD, IPV4, IPV6};

use crate::{both, ethernet, usual, v4, v6};

const SSH: u16 = 22;
const TLS: u16 = 16514;

/// Lets `peer` in to SSH, by both of its addresses.
fn exemptions(peer: Station) -> [Exemption; 2] {
    let ssh = Exemption {
        mask: [u64::MAX; 2],
        until: FOR_GOOD,
        protocol: 6,
        first: SSH,
        last: SSH,
        ..Exemption::default()
    };
    let bits = peer.v6.to_bits();
    [
        Exemption {
            family: IPV4,
            address: [0, peer.v4.to_bits().into()],
            ..ssh
        },
        Exemption {
            family: IPV6,
            address: [(bits >> 64) as u64, bits as u64],
            ..ssh
        },
    ]
}

fn drops(judges: &mut Judges, packet: &Packet) -> Result<()> {
    let outcome = judges.outcome(&packet.build())?;
    assert_eq!(outcome.verdict(), Verdict::Drop, "{outcome:?}");
    Ok(())
}

fn drops_out(judges: &mut Judges, packet: &Packet) -> Result<()> {
    let outcome = judges.outcome_out(&packet.build())?;
    assert_eq!(outcome.verdict(), Verdict::Drop, "{outcome:?}");
    Ok(())
}

#[test]
fn an_exemption_lets_its_peer_use_its_service() -> Result<()> {
    let mut judges = Judges::of(&usual("outbound: enforce\n"))?;
    for packet in both(INTRUDER, HOST) {
        drops(&mut judges, &packet.with(Tcp::syn(SSH)))?;
    }
    judges.exempt(&exemptions(INTRUDER))?;
    for packet in both(INTRUDER, HOST) {
        judges.expect(&packet.with(Tcp::syn(SSH)), Reason::BreakGlass)?;
    }
    for packet in both(INTRUDER, HOST) {
        judges.expect(&packet.with(Tcp::ack(SSH)), Reason::BreakGlass)?;
    }
    for packet in both(HOST, INTRUDER) {
        let answer = Tcp {
            source: SSH,
            ..Tcp::to(50_000, Tcp::SYN | Tcp::ACK)
        };
        judges.expect_out(&packet.with(answer), Reason::BreakGlass)?;
    }
    // What the policy admits is not counted so.
    let permitted = harness::judge::Ruling::permitted("Nf-Vi", "ssh", "vim");
    judges.exempt(&exemptions(VIM))?;
    judges.expect(&v4(VIM, HOST).with(Tcp::syn(SSH)), permitted)?;
    judges.exempt(&[])?;
    for packet in both(INTRUDER, HOST) {
        drops(&mut judges, &packet.with(Tcp::syn(SSH)))?;
    }
    Ok(())
}

#[test]
fn it_lets_nothing_else_pass() -> Result<()> {
    let mut judges = Judges::of(&usual("outbound: enforce\n"))?;
    judges.exempt(&exemptions(INTRUDER))?;
    // Another service, another transport, another peer, another direction.
    for packet in both(INTRUDER, HOST) {
        drops(&mut judges, &packet.with(Tcp::syn(TLS)))?;
    }
    for packet in both(INTRUDER, HOST) {
        drops(&mut judges, &packet.with(Udp::to(SSH)))?;
    }
    for packet in both(BASTION, HOST) {
        drops(&mut judges, &packet.with(Tcp::syn(TLS)))?;
    }
    for packet in both(HOST, INTRUDER) {
        let opens = Tcp {
            source: SSH,
            ..Tcp::syn(50_000)
        };
        drops_out(&mut judges, &packet.with(opens))?;
    }
    for packet in both(HOST, INTRUDER) {
        drops_out(&mut judges, &packet.with(Tcp::syn(SSH)))?;
    }
    // What is broken, or split.
    for packet in both(INTRUDER, HOST) {
        let flags = Tcp::to(SSH, Tcp::SYN | Tcp::FIN);
        drops(&mut judges, &packet.with(flags))?;
    }
    let first = Ipv4 {
        more_fragments: true,
        ..Ipv4::between(INTRUDER.v4, HOST.v4)
    };
    let split = Packet::new().with(ethernet(INTRUDER, HOST)).with(first);
    drops(&mut judges, &split.with(Tcp::syn(SSH)))?;
    let split = v6(INTRUDER, HOST).with(Fragment {
        more: true,
        ..Fragment::default()
    });
    drops(&mut judges, &split.with(Tcp::syn(SSH)))?;
    let loopback = Packet::new()
        .with(ethernet(INTRUDER, HOST))
        .with(Ipv4::between(INTRUDER.v4, std::net::Ipv4Addr::LOCALHOST));
    judges.expect(&loopback.with(Tcp::syn(SSH)), Reason::LoopbackAddress)?;
    Ok(())
}

#[test]
fn it_ends_and_is_bound_as_it_says() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let bound = exemptions(INTRUDER).map(|exemption| Exemption {
        mac: mac_word(INTRUDER.mac.0),
        ..exemption
    });
    judges.exempt(&bound)?;
    for packet in both(INTRUDER, HOST) {
        judges.expect(&packet.with(Tcp::syn(SSH)), Reason::BreakGlass)?;
    }
    let elsewhere = bound.map(|exemption| Exemption {
        mac: mac_word(VIM.mac.0),
        ..exemption
    });
    judges.exempt(&elsewhere)?;
    for packet in both(INTRUDER, HOST) {
        drops(&mut judges, &packet.with(Tcp::syn(SSH)))?;
    }
    let over = bound.map(|exemption| Exemption {
        until: 1,
        ..exemption
    });
    judges.exempt(&over)?;
    for packet in both(INTRUDER, HOST) {
        drops(&mut judges, &packet.with(Tcp::syn(SSH)))?;
    }
    Ok(())
}

#[test]
fn errors_about_its_connections_get_in() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    judges.exempt(&exemptions(INTRUDER))?;
    let answer = |port| Tcp {
        source: port,
        ..Tcp::ack(50_000)
    };
    for (port, passes) in [(SSH, true), (TLS, false)] {
        let quoted = Packet::new()
            .with(Ipv4::between(HOST.v4, INTRUDER.v4))
            .with(answer(port))
            .build();
        let error = v4(BASTION, HOST)
            .with(Icmp::fragmentation_needed(1400))
            .with(quoted);
        let outcome = judges.outcome(&error.build())?;
        assert_eq!(
            outcome.reason() == Reason::BreakGlass,
            passes,
            "{outcome:?}"
        );
        let quoted = Packet::new()
            .with(Ipv6::between(HOST.v6, INTRUDER.v6))
            .with(answer(port))
            .build();
        let error = v6(BASTION, HOST).with(Icmpv6::too_big(1400)).with(quoted);
        let outcome = judges.outcome(&error.build())?;
        assert_eq!(
            outcome.reason() == Reason::BreakGlass,
            passes,
            "{outcome:?}"
        );
    }
    Ok(())
}
