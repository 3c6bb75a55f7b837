//! Packets to the host that cannot be parsed are dropped; every cause has its own reason.

use std::net::Ipv6Addr;

use anyhow::{Result, ensure};
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Ethernet, Extension, Ipv4, Ipv6, Sctp, Tcp, Udp, Vlan};
use harness::net::station::{HOST, VIM};
use verdict::reason::Reason;

use crate::{ethernet, usual, v4, v6};

/// Checks the outcome for `packet` when its frame is cut after any number of bytes.
fn truncated(
    judges: &mut Judges,
    packet: &Packet,
    expected: impl Fn(usize) -> Option<Reason>,
) -> Result<()> {
    let frame = packet.build();
    for end in 14..=frame.len() {
        let outcome = judges.outcome(&frame[..end])?;
        let permitted = outcome.reason() == Reason::Permitted;
        match expected(end) {
            Some(reason) => ensure!(
                outcome.reason() == reason && outcome.rule() == 0 && outcome.endpoint() == 0,
                "{outcome:?} at {end}"
            ),
            None => ensure!(permitted, "{outcome:?} at {end}"),
        }
    }
    Ok(())
}

#[test]
fn a_frame_that_ends_within_a_header() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    // Of UDP and SCTP the ports are read, of TCP all up to the flags.
    let (ports, flags) = (4, 14);
    let network4 = |start: usize, read: usize| {
        move |end: usize| match end {
            _ if end < start => Some(Reason::VlanTruncated),
            _ if end < start + 20 => Some(Reason::Ipv4Truncated),
            _ if end < start + 20 + read => Some(Reason::TransportTruncated),
            _ => None,
        }
    };
    truncated(
        &mut judges,
        &v4(VIM, HOST).with(Tcp::syn(22)),
        network4(14, flags),
    )?;
    truncated(
        &mut judges,
        &v4(VIM, HOST).with(Udp::to(7000)),
        network4(14, ports),
    )?;
    truncated(
        &mut judges,
        &v4(VIM, HOST).with(Sctp::to(36422)),
        network4(14, ports),
    )?;
    let tagged = Packet::new()
        .with(ethernet(VIM, HOST))
        .with(Vlan::service(200))
        .with(Vlan::new(100))
        .with(Ipv4::default())
        .with(Tcp::syn(22));
    truncated(&mut judges, &tagged, network4(22, flags))?;
    truncated(
        &mut judges,
        &v6(VIM, HOST).with(Tcp::syn(22)),
        |end| match end {
            0..54 => Some(Reason::Ipv6Truncated),
            54..68 => Some(Reason::TransportTruncated),
            _ => None,
        },
    )?;
    let extended = v6(VIM, HOST)
        .with(Extension::hop_by_hop())
        .with(Extension::destination())
        .with(Tcp::syn(22));
    truncated(&mut judges, &extended, |end| match end {
        0..54 => Some(Reason::Ipv6Truncated),
        // The first four bytes of each header are read.
        54..66 => Some(Reason::ExtensionTruncated),
        66..84 => Some(Reason::TransportTruncated),
        _ => None,
    })
}

#[test]
fn an_ipv4_header_that_contradicts_itself() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let mut expect = |header: Ipv4| {
        let packet = Packet::new().with(ethernet(VIM, HOST)).with(header);
        judges.expect(&packet.with(Tcp::syn(22)), Reason::Ipv4Header)
    };
    for version in [0, 5, 6, 15] {
        expect(Ipv4 {
            version,
            ..Ipv4::default()
        })?;
    }
    for ihl in 0..5 {
        expect(Ipv4 {
            ihl: Some(ihl),
            ..Ipv4::default()
        })?;
    }
    for total_length in [0, 1, 19] {
        expect(Ipv4 {
            total_length: Some(total_length),
            ..Ipv4::default()
        })?;
    }
    expect(Ipv4 {
        ihl: Some(15),
        total_length: Some(59),
        ..Ipv4::default()
    })
}

#[test]
fn an_ipv6_header_of_another_version() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for version in [0, 4, 5, 7, 15] {
        let header = Ipv6 {
            version,
            ..Ipv6::default()
        };
        let packet = Packet::new().with(ethernet(VIM, HOST)).with(header);
        judges.expect(&packet.with(Tcp::syn(22)), Reason::Ipv6Header)?;
    }
    Ok(())
}

#[test]
fn a_packet_too_short_for_its_transport_header() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for (protocol, length) in [(6_u8, 20_u16), (17, 8), (132, 12), (1, 8)] {
        // The frame is padded, as short Ethernet frames are: only the length field shows it.
        for total in 20..20 + length {
            let header = Ipv4 {
                total_length: Some(total),
                protocol: Some(protocol),
                ..Ipv4::default()
            };
            let packet = Packet::new().with(ethernet(VIM, HOST)).with(header);
            judges.expect(&packet.with(vec![0; 64]), Reason::TransportTruncated)?;
        }
    }
    for (next_header, length) in [(6, 20), (17, 8), (132, 12), (58, 8)] {
        for payload_length in 0..length {
            let header = Ipv6 {
                payload_length: Some(payload_length),
                next_header: Some(next_header),
                ..Ipv6::default()
            };
            let packet = Packet::new().with(ethernet(VIM, HOST)).with(header);
            judges.expect(&packet.with(vec![0; 64]), Reason::TransportTruncated)?;
        }
    }
    Ok(())
}

#[test]
fn a_network_header_of_the_other_family() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let link = |ether_type| Ethernet {
        ether_type: Some(ether_type),
        ..ethernet(VIM, HOST)
    };
    // The destination is read where the EtherType says it is, and is no protected address there.
    let source = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x17, 0xcb00, 0x7101, 0, 0x10);
    let header = Ipv6::between(source, HOST.v6);
    let v6 = Packet::new().with(link(0x0800)).with(header);
    judges.expect(&v6.with(Tcp::syn(22)), Reason::Unprotected)?;
    let v4 = Packet::new().with(link(0x86dd)).with(Ipv4::default());
    judges.expect(&v4.with(Tcp::syn(22)), Reason::Unprotected)
}

#[test]
fn padding_behind_the_packet_is_accepted() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let mut frame = v4(VIM, HOST).with(Udp::to(7000)).build();
    let exact = judges.outcome(&frame)?;
    frame.resize(1514, 0xff);
    assert_eq!(judges.outcome(&frame)?, exact);
    let permitted = Ruling::permitted("Nf-Vi", "relay", "vim");
    judges.expect(&v4(VIM, HOST).with(Udp::to(7000)), permitted)
}
