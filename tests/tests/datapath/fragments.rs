//! A first fragment is judged by its ports; a later one follows it, and passes only if the first one could
//! have.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Extension, Fragment, Ipv4, Tcp, Udp};
use harness::net::station::{BASTION, HOST, INTRUDER, Station, VIM};
use verdict::reason::Reason;

use crate::{ENDPOINTS, NO_SERVICE, ethernet, policy, usual, v6};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A fragment of either family, at `offset` units of 8 bytes.
fn fragments(from: Station, offset: u16, more: bool, protocol: Option<u8>) -> [Packet; 2] {
    let v4 = Packet::new().with(ethernet(from, HOST)).with(Ipv4 {
        more_fragments: more,
        fragment_offset: offset,
        protocol,
        ..Ipv4::between(from.v4, HOST.v4)
    });
    let v6 = v6(from, HOST).with(Fragment {
        offset,
        more,
        next_header: protocol,
        ..Fragment::default()
    });
    [v4, v6]
}

#[test]
fn the_first_is_judged_like_a_whole_packet() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for packet in fragments(VIM, 0, true, None) {
        judges.expect(
            &packet.with(Tcp::syn(22)),
            Ruling::permitted("Nf-Vi", "ssh", "vim"),
        )?;
    }
    for packet in fragments(VIM, 0, true, None) {
        judges.expect(&packet.with(Udp::to(NO_SERVICE)), Reason::NoService)?;
    }
    for packet in fragments(INTRUDER, 0, true, None) {
        let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
        judges.expect(&packet.with(Tcp::syn(22)), unknown)?;
    }
    Ok(())
}

#[test]
fn the_first_holds_the_whole_transport_header() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for (protocol, length) in [(TCP, 20), (UDP, 8), (132, 12)] {
        for packet in fragments(VIM, 0, true, Some(protocol)) {
            judges.expect(&packet.with(vec![0; length - 1]), Reason::FragmentTiny)?;
        }
        for packet in fragments(VIM, 0, true, Some(protocol)) {
            judges.expect(&packet.with(vec![0; length]), Reason::NoService)?;
        }
    }
    Ok(())
}

#[test]
fn later_ones_come_from_whoever_may_enter() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for more in [false, true] {
        for offset in [3, 185, 0x1fff] {
            for packet in fragments(VIM, offset, more, Some(UDP)) {
                let fragment = Ruling::from(Reason::Fragment).of("vim");
                judges.expect(&packet.with(vec![0; 16]), fragment)?;
            }
            for packet in fragments(BASTION, offset, more, Some(TCP)) {
                let fragment = Ruling::from(Reason::Fragment).of("bastion");
                judges.expect(&packet.with(vec![0; 16]), fragment)?;
            }
            for packet in fragments(INTRUDER, offset, more, Some(UDP)) {
                judges.expect(&packet.with(vec![0; 16]), Reason::FragmentUnpermitted)?;
            }
        }
    }
    Ok(())
}

#[test]
fn later_ones_of_an_endpoint_without_permission_are_dropped() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  bastion: { role: bastion, addresses: [198.51.100.2] }
reference_points:
  operations: { from: [bastion], services: [ssh] }
"#,
    ))?;
    for packet in fragments(VIM, 3, false, Some(UDP)) {
        let unpermitted = Ruling::from(Reason::FragmentUnpermitted).of("vim");
        judges.expect(&packet.with(vec![0; 16]), unpermitted)?;
    }
    Ok(())
}

#[test]
fn later_ones_follow_the_first() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let later = |from| fragments(from, 185, false, Some(UDP)).map(|p| p.with(vec![0; 16]));
    for (first, later) in fragments(VIM, 0, true, None).into_iter().zip(later(VIM)) {
        let permitted = Ruling::permitted("Nf-Vi", "relay", "vim");
        judges.expect(&first.with(Udp::to(7000)), permitted)?;
        let follows = Ruling::from(Reason::Fragment)
            .under("Nf-Vi", "relay")
            .of("vim");
        judges.expect(&later, follows)?;
    }
    for (first, later) in fragments(BASTION, 0, true, None)
        .into_iter()
        .zip(later(BASTION))
    {
        let wrong = Ruling::from(Reason::WrongRole)
            .under("Nf-Vi", "relay")
            .of("bastion");
        judges.expect(&first.with(Udp::to(7000)), wrong.clone())?;
        judges.expect(&later, wrong)?;
    }
    Ok(())
}

/// For whatever reason the first one was dropped, and whoever sent it.
#[test]
fn later_ones_are_dropped_for_the_reason_of_the_first() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let later = |from| fragments(from, 185, false, Some(UDP)).map(|p| p.with(vec![0; 16]));
    for (from, named) in [(VIM, Some("vim")), (INTRUDER, None)] {
        let by = |ruling: Ruling| match named {
            Some(name) => ruling.of(name),
            None => ruling,
        };
        let firsts = fragments(from, 0, true, Some(UDP)).into_iter();
        for (first, later) in firsts.zip(later(from)) {
            judges.expect(&first.with(Udp::to(NO_SERVICE)), Reason::NoService)?;
            judges.expect(&later, by(Reason::NoService.into()))?;
        }
        let firsts = fragments(from, 0, true, Some(UDP)).into_iter();
        for (first, later) in firsts.zip(later(from)) {
            judges.expect(&first.with(vec![0; 7]), Reason::FragmentTiny)?;
            judges.expect(&later, by(Reason::FragmentTiny.into()))?;
        }
    }
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "relay");
    let firsts = fragments(INTRUDER, 0, true, None).into_iter();
    for (first, later) in firsts.zip(later(INTRUDER)) {
        judges.expect(&first.with(Udp::to(7000)), unknown.clone())?;
        judges.expect(&later, unknown.clone())?;
    }
    Ok(())
}

/// Where a first fragment passes because of an audit, the others do, too.
#[test]
fn later_ones_are_audited_with_the_first() -> Result<()> {
    let mut judges = Judges::of(&policy(&format!(
        r"
{ENDPOINTS}reference_points:
  watched: {{ from: [vim], services: [relay], mode: audit }}
services:
  relay: {{ protocol: udp, ports: [7000] }}
"
    )))?;
    let audited = Ruling::from(Reason::UnknownSource)
        .under("watched", "relay")
        .audited();
    let firsts = fragments(INTRUDER, 0, true, None).into_iter();
    let later = fragments(INTRUDER, 185, false, Some(UDP)).map(|p| p.with(vec![0; 16]));
    for (first, later) in firsts.zip(later) {
        judges.expect(&later, Reason::FragmentUnpermitted)?;
        judges.expect(&first.with(Udp::to(7000)), audited.clone())?;
        judges.expect(&later, audited.clone())?;
    }
    Ok(())
}

#[test]
fn on_egress_later_ones_follow_the_first() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let part = |offset, more| {
        Packet::new().with(ethernet(HOST, VIM)).with(Ipv4 {
            more_fragments: more,
            fragment_offset: offset,
            protocol: Some(UDP),
            ..Ipv4::between(HOST.v4, VIM.v4)
        })
    };
    let later = part(185, false).with(vec![0; 16]);
    let alone = Ruling::from(Reason::FragmentUnpermitted).of("vim");
    judges.expect_out(&later, alone)?;
    let answer = Udp {
        source: 7000,
        ..Udp::to(40_000)
    };
    let reply = Ruling::from(Reason::Reply)
        .under("Nf-Vi", "relay")
        .of("vim");
    judges.expect_out(&part(0, true).with(answer), reply)?;
    let follows = Ruling::from(Reason::Fragment)
        .under("Nf-Vi", "relay")
        .of("vim");
    judges.expect_out(&later, follows)
}

#[test]
fn later_ones_do_not_overwrite_the_transport_header() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for (protocol, first_free) in [(TCP, 3), (UDP, 1), (132, 2)] {
        for offset in 1..=4 {
            for packet in fragments(VIM, offset, false, Some(protocol)) {
                let packet = packet.with(Tcp::syn(22));
                if offset < first_free {
                    judges.expect(&packet, Reason::FragmentOverlap)?;
                } else {
                    judges.expect(&packet, Ruling::from(Reason::Fragment).of("vim"))?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let [_, packet] = fragments(VIM, 0, false, None);
    judges.expect(
        &packet.with(Tcp::syn(22)),
        Ruling::permitted("Nf-Vi", "ssh", "vim"),
    )?;
    let [_, packet] = fragments(VIM, 0, false, Some(TCP));
    judges.expect(&packet.with(vec![0; 19]), Reason::TransportTruncated)
}

#[test]
fn the_payload_of_a_later_one_is_not_parsed() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let [_, packet] = fragments(VIM, 8, false, Some(43));
    let fragment = Ruling::from(Reason::Fragment).of("vim");
    judges.expect(&packet.with(Extension::routing(4, 9)), fragment)?;
    // In a first fragment these are headers.
    let [_, packet] = fragments(VIM, 0, true, None);
    let packet = packet.with(Extension::routing(4, 9)).with(Tcp::syn(22));
    judges.expect(&packet, Reason::RoutingHeader)
}
