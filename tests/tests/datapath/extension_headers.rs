//! IPv6 extension headers are followed to the transport header, at most eight of them.

use anyhow::Result;
use harness::Packet;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Extension, Fragment, Ipv6, Tcp};
use harness::net::station::{HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{NO_SERVICE, ethernet, usual, v6};

fn chain(from: harness::net::station::Station, headers: &[Extension]) -> Packet {
    headers.iter().cloned().fold(v6(from, HOST), Packet::with)
}

fn long(kind: u8, units: u8) -> Extension {
    Extension::of(kind, vec![0; 6 + 8 * usize::from(units)])
}

#[test]
fn the_transport_header_behind_them_is_found() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let chains = [
        vec![Extension::hop_by_hop()],
        vec![Extension::destination()],
        vec![Extension::routing(4, 0)],
        vec![
            Extension::hop_by_hop(),
            Extension::destination(),
            Extension::routing(0, 0),
            Extension::destination(),
        ],
        vec![long(0, 1), long(60, 30), long(60, 100)],
        vec![Extension::destination(); 8],
    ];
    for headers in &chains {
        let permitted = Ruling::permitted("Nf-Vi", "ssh", "vim");
        judges.expect(&chain(VIM, headers).with(Tcp::syn(22)), permitted)?;
        let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
        judges.expect(&chain(INTRUDER, headers).with(Tcp::syn(22)), unknown)?;
        let closed = chain(VIM, headers).with(Tcp::syn(NO_SERVICE));
        judges.expect(&closed, Reason::NoService)?;
    }
    Ok(())
}

#[test]
fn more_than_eight_are_refused() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for count in 9..12 {
        let headers = vec![Extension::destination(); count];
        let packet = chain(VIM, &headers).with(Tcp::syn(22));
        judges.expect(&packet, Reason::ExtensionDepth)?;
    }
    let atomic = (0..9).fold(v6(VIM, HOST), |p, _| p.with(Fragment::default()));
    judges.expect(&atomic.with(Tcp::syn(22)), Reason::ExtensionDepth)
}

#[test]
fn routing_headers_with_segments_left_are_refused() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for kind in [0, 2, 3, 4, 253] {
        for segments in [1, 2, 255] {
            let routing = Extension::routing(kind, segments);
            let packet = chain(VIM, &[routing]).with(Tcp::syn(22));
            judges.expect(&packet, Reason::RoutingHeader)?;
        }
    }
    let late = chain(VIM, &[Extension::hop_by_hop(), Extension::routing(4, 1)]);
    judges.expect(&late.with(Tcp::syn(22)), Reason::RoutingHeader)
}

#[test]
fn another_protocol_ends_the_chain() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    // ESP, AH, mobility, no next header, HIP, Shim6, and TCP-like bytes behind each.
    for next_header in [50, 51, 59, 135, 139, 140, 253] {
        let header = Ipv6 {
            next_header: Some(next_header),
            ..Ipv6::default()
        };
        let packet = Packet::new().with(ethernet(VIM, HOST)).with(header);
        judges.expect(&packet.with(Tcp::syn(22)), Reason::NoService)?;
    }
    Ok(())
}

#[test]
fn the_payload_length_bounds_them() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let with_length = |payload_length| {
        let header = Ipv6 {
            payload_length: Some(payload_length),
            ..Ipv6::default()
        };
        let packet = Packet::new().with(ethernet(VIM, HOST)).with(header);
        packet.with(Extension::destination()).with(Tcp::syn(22))
    };
    for length in [0, 1, 7] {
        judges.expect(&with_length(length), Reason::ExtensionTruncated)?;
    }
    for length in [8, 9, 27] {
        judges.expect(&with_length(length), Reason::TransportTruncated)?;
    }
    for length in [28, 29, u16::MAX] {
        let permitted = Ruling::permitted("Nf-Vi", "ssh", "vim");
        judges.expect(&with_length(length), permitted)?;
    }
    Ok(())
}
