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

/// A permission for ping does not cover errors, redirects and replies.
#[test]
fn with_a_service_only_requests_pass() -> Result<()> {
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
        let expected = |otherwise: &Ruling| match kind {
            0 => Reason::NoService.into(),
            5 => Reason::IcmpRedirect.into(),
            kind if ERRORS.contains(&kind) => Reason::IcmpUnrelated.into(),
            _ => otherwise.clone(),
        };
        judges.expect(&icmp(VIM, kind), expected(&permitted))?;
        judges.expect(&icmp(INTRUDER, kind), expected(&unknown))?;
        let expected = |otherwise: &Ruling| match kind {
            129 => Reason::NoService.into(),
            137 => Reason::IcmpRedirect.into(),
            kind if ERRORS_V6.contains(&kind) => Reason::IcmpUnrelated.into(),
            kind if DISCOVERY.contains(&kind) => Reason::HopLimit.into(),
            kind if MEMBERSHIP.contains(&kind) => Reason::HopLimit.into(),
            _ => otherwise.clone(),
        };
        judges.expect(&icmpv6(VIM, kind), expected(&permitted))?;
        judges.expect(&icmpv6(INTRUDER, kind), expected(&unknown))?;
    }
    Ok(())
}

#[test]
fn icmp_of_the_other_family_is_no_service() -> Result<()> {
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
