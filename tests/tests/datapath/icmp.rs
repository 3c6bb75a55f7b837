//! ICMP: errors pass if they quote permitted packets, echo replies if they belong to a flow,
//! redirects never. Other messages are requests to a service.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Icmp, Icmpv6, Ipv4, Ipv6};
use harness::net::station::{HOST, INTRUDER, Station, VIM};
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

const ERRORS: [u8; 3] = [3, 11, 12];
const ERRORS_V6: [u8; 4] = [1, 2, 3, 4];
/// Multicast listener discovery.
const MEMBERSHIP: [u8; 4] = [130, 131, 132, 143];
/// Neighbour and router discovery.
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=136;

#[test]
fn without_a_service_nothing_passes() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for from in [VIM, INTRUDER] {
        for kind in 0..=u8::MAX {
            let expected = match kind {
                kind if ERRORS.contains(&kind) => Reason::IcmpUnrelated,
                5 => Reason::IcmpRedirect,
                _ => Reason::NoService,
            };
            judges.expect(&icmp(from, kind), expected)?;
            let expected = match kind {
                kind if ERRORS_V6.contains(&kind) => Reason::IcmpUnrelated,
                kind if DISCOVERY.contains(&kind) => Reason::HopLimit,
                kind if MEMBERSHIP.contains(&kind) => Reason::HopLimit,
                137 => Reason::IcmpRedirect,
                _ => Reason::NoService,
            };
            judges.expect(&icmpv6(from, kind), expected)?;
        }
    }
    Ok(())
}

/// A permission for ping covers echo requests, and nothing else.
#[test]
fn ping_is_echo() -> Result<()> {
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
        let expected = |echo: &Ruling| match kind {
            8 => echo.clone(),
            5 => Reason::IcmpRedirect.into(),
            kind if ERRORS.contains(&kind) => Reason::IcmpUnrelated.into(),
            _ => Reason::NoService.into(),
        };
        judges.expect(&icmp(VIM, kind), expected(&permitted))?;
        judges.expect(&icmp(INTRUDER, kind), expected(&unknown))?;
        let expected = |echo: &Ruling| match kind {
            128 => echo.clone(),
            137 => Reason::IcmpRedirect.into(),
            kind if ERRORS_V6.contains(&kind) => Reason::IcmpUnrelated.into(),
            kind if DISCOVERY.contains(&kind) => Reason::HopLimit.into(),
            kind if MEMBERSHIP.contains(&kind) => Reason::HopLimit.into(),
            _ => Reason::NoService.into(),
        };
        judges.expect(&icmpv6(VIM, kind), expected(&permitted))?;
        judges.expect(&icmpv6(INTRUDER, kind), expected(&unknown))?;
    }
    Ok(())
}

/// A service names types and codes; the host's own requests are answered by what answers these types.
#[test]
fn a_service_is_its_types_and_codes() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
reference_points:
  monitoring: { from: [vim], services: [clock, probe] }
  asking: { to: [vim], services: [clock] }
services:
  clock: { protocol: icmp, types: [timestamp-request] }
  probe:
    - { protocol: icmp, types: [42], codes: [0, 2] }
    - { protocol: icmpv6, types: [extended-echo-request], codes: [1] }
"#,
    ))?;
    let clock = Ruling::permitted("monitoring", "clock", "vim");
    judges.expect(&icmp(VIM, 13), clock)?;
    judges.expect(&icmp(VIM, 8), Reason::NoService)?;
    let probe = Ruling::permitted("monitoring", "probe", "vim");
    for code in 0..=u8::MAX {
        let of = |named: bool| {
            if named {
                probe.clone()
            } else {
                Reason::NoService.into()
            }
        };
        let message = Icmp {
            kind: 42,
            code,
            ..Icmp::default()
        };
        judges.expect(&v4(VIM, HOST).with(message), of([0, 2].contains(&code)))?;
        let message = Icmpv6 {
            kind: 160,
            code,
            ..Icmpv6::default()
        };
        judges.expect(&v6(VIM, HOST).with(message), of(code == 1))?;
    }
    let unasked = Ruling::from(Reason::NoFlow)
        .under("asking", "clock")
        .of("vim");
    judges.expect(&icmp(VIM, 14), unasked)?;
    let request = Icmp {
        kind: 13,
        ..Icmp::default()
    };
    let outbound = Ruling::outbound("asking", "clock", "vim");
    judges.expect_out(&v4(HOST, VIM).with(request), outbound)?;
    let established = Ruling::established("asking", "clock", "vim");
    judges.expect(&icmp(VIM, 14), established)?;
    judges.expect(&icmp(VIM, 0), Reason::NoService)
}

/// Not even where all of ICMP and ICMPv6 is a service.
#[test]
fn icmp_of_the_other_family_is_no_service() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
reference_points:
  monitoring: { from: [vim], services: [all] }
services:
  all: [{ protocol: icmp }, { protocol: icmpv6 }]
"#,
    ))?;
    let all = Ruling::permitted("monitoring", "all", "vim");
    judges.expect(&icmp(VIM, 13), all.clone())?;
    judges.expect(&icmpv6(VIM, 139), all)?;
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
