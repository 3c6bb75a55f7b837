//! ICMP: errors and echo replies answer the host; all else is a service, or nothing.

use anyhow::Result;
use harness::Packet;
use harness::kernel::{Judges, Ruling};
use harness::packet::{Icmp, Icmpv6, Ipv4, Ipv6, Tcp};
use harness::station::{HOST, INTRUDER, Station, VIM};
use verdict::reason::Reason;

use crate::{policy, usual, v4, v6};

fn icmp(from: Station, kind: u8) -> Packet {
    v4(from, HOST).with(Icmp {
        kind,
        ..Icmp::default()
    })
}

fn icmpv6(from: Station, kind: u8) -> Packet {
    v6(from, HOST).with(Icmpv6 {
        kind,
        ..Icmpv6::default()
    })
}

/// Errors and echo replies.
const ANSWERS: [u8; 4] = [0, 3, 11, 12];
/// The same of IPv6.
const ANSWERS_V6: [u8; 5] = [1, 2, 3, 4, 129];
/// Neighbour and router discovery.
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=136;

#[test]
fn without_a_service_only_answers_pass() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for from in [VIM, INTRUDER] {
        for kind in 0..=u8::MAX {
            let expected = match kind {
                kind if ANSWERS.contains(&kind) => Reason::HostOpened,
                _ => Reason::NoService,
            };
            judges.expect(&icmp(from, kind), expected)?;
            let expected = match kind {
                kind if ANSWERS_V6.contains(&kind) => Reason::HostOpened,
                kind if DISCOVERY.contains(&kind) => Reason::HopLimit,
                _ => Reason::NoService,
            };
            judges.expect(&icmpv6(from, kind), expected)?;
        }
    }
    Ok(())
}

/// Whoever may ping decides nothing about errors: a router on the path is no endpoint, and without
/// its errors the path's MTU is not discovered.
#[test]
fn with_a_service_answers_still_pass() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
reference_points:
  monitoring: { from: [vim], services: [ping] }
"#,
    ))?;
    let permitted = Ruling::permitted("monitoring", "ping", "vim");
    let unknown = Ruling::from(Reason::UnknownSource).under("monitoring", "ping");
    for kind in 0..=u8::MAX {
        let expected = |otherwise: &Ruling, answers: &[u8]| match kind {
            kind if answers.contains(&kind) => Ruling::from(Reason::HostOpened),
            _ => otherwise.clone(),
        };
        judges.expect(&icmp(VIM, kind), expected(&permitted, &ANSWERS))?;
        judges.expect(&icmp(INTRUDER, kind), expected(&unknown, &ANSWERS))?;
        if !DISCOVERY.contains(&kind) {
            judges.expect(&icmpv6(VIM, kind), expected(&permitted, &ANSWERS_V6))?;
            judges.expect(&icmpv6(INTRUDER, kind), expected(&unknown, &ANSWERS_V6))?;
        }
    }
    Ok(())
}

#[test]
fn an_error_is_one_whatever_it_quotes() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let quoted = v4(INTRUDER, HOST)
        .with(Icmp::fragmentation_needed(1400))
        .with(Ipv4::between(HOST.v4, VIM.v4))
        .with(Tcp::ack(22));
    judges.expect(&quoted, Reason::HostOpened)?;
    let quoted = v6(INTRUDER, HOST)
        .with(Icmpv6::too_big(1400))
        .with(Ipv6::between(HOST.v6, VIM.v6))
        .with(Tcp::ack(22));
    judges.expect(&quoted, Reason::HostOpened)
}

#[test]
fn icmp_of_the_other_family_is_nothing() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let header = Ipv4 {
        protocol: Some(58),
        ..Ipv4::default()
    };
    let packet = Packet::new().with(crate::ethernet(VIM, HOST)).with(header);
    judges.expect(
        &packet.with(vec![128, 0, 0, 0, 0, 0, 0, 0]),
        Reason::NoService,
    )?;
    let header = Ipv6 {
        next_header: Some(1),
        ..Ipv6::default()
    };
    let packet = Packet::new().with(crate::ethernet(VIM, HOST)).with(header);
    judges.expect(
        &packet.with(vec![8, 0, 0, 0, 0, 0, 0, 0]),
        Reason::NoService,
    )
}
