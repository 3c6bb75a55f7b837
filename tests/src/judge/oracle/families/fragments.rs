//! Fragmented datagrams.

use crate::net::packet::{Extension, Fragment, Ipv4, Packet};
use crate::net::station::{INTRUDER, Mac, VIM};

use super::addresses::{group_mac, group4, group6};
use super::{Families, Route, at, with_mac};

/// A part of a datagram.
#[derive(Clone, Debug)]
struct Piece {
    /// Its offset in bytes, a multiple of 8.
    at: usize,
    more: bool,
    bytes: Vec<u8>,
}

/// A datagram before it is cut: what follows the network header.
#[derive(Clone, Debug)]
struct Datagram {
    route: Route,
    protocol: u8,
    identification: u32,
    bytes: Vec<u8>,
}

impl Families {
    /// A request that is long enough to be fragmented.
    fn datagram(&mut self, route: Route) -> Datagram {
        let packet = self.network(route);
        let padding = [0; 40].to_vec();
        let frame = self.ask(packet, route.v6, 150).with(padding).build();
        let (protocol, at) = if route.v6 { (20, 54) } else { (23, 34) };
        Datagram {
            route,
            protocol: frame[protocol],
            identification: self.number as u32,
            bytes: frame[at..].to_vec(),
        }
    }

    /// Cuts at random offsets; the first piece has at least `first` bytes, or exactly that many.
    fn cut(&mut self, bytes: &[u8], first: usize, exactly: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let mut length = self.rng.usize(1..12) * 8;
            if pieces.is_empty() {
                length = if exactly { first } else { length.max(first) };
            }
            let end = bytes.len().min(at + length);
            pieces.push(Piece {
                at,
                more: end < bytes.len(),
                bytes: bytes[at..end].to_vec(),
            });
            at = end;
        }
        pieces
    }

    fn frames(&mut self, datagram: &Datagram, pieces: &[Piece]) -> Vec<Vec<u8>> {
        let frames = pieces.iter().map(|piece| {
            let offset = (piece.at / 8) as u16;
            let Route { v6, .. } = datagram.route;
            let link = Self::link(datagram.route);
            let packet = if v6 {
                link.with(Self::v6(datagram.route)).with(Fragment {
                    offset,
                    more: piece.more,
                    identification: datagram.identification,
                    next_header: Some(datagram.protocol),
                })
            } else {
                link.with(Ipv4 {
                    fragment_offset: offset,
                    more_fragments: piece.more,
                    identification: datagram.identification as u16,
                    protocol: Some(datagram.protocol),
                    ..self.v4(datagram.route)
                })
            };
            packet.with(piece.bytes.clone()).build()
        });
        frames.collect()
    }
}

/// Fragments as a stack sends them.
pub fn in_order(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let datagram = families.datagram(route);
    let pieces = families.cut(&datagram.bytes, 24, false);
    families.frames(&datagram, &pieces)
}

/// The fragments of a datagram in any order; some of them twice.
pub fn out_of_order(families: &mut Families) -> Vec<Vec<u8>> {
    let mut frames = in_order(families);
    if families.once_in(3) {
        let again = families.rng.usize(..frames.len());
        frames.push(frames[again].clone());
    }
    families.rng.shuffle(&mut frames);
    frames
}

/// The first piece has too little of the transport header (RFC 1858), or the header lies in a
/// second piece altogether.
pub fn tiny(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let datagram = families.datagram(route);
    let first = families.pick(&[0, 8, 16]);
    let mut pieces = families.cut(&datagram.bytes, first, true);
    if first == 0 && families.rng.bool() {
        pieces.remove(0);
    }
    let mut frames = families.frames(&datagram, &pieces);
    if families.rng.bool() {
        families.rng.shuffle(&mut frames);
    }
    frames
}

/// Overlapping pieces with different content: the ports of another service, or random bytes.
pub fn overlapping(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let datagram = families.datagram(route);
    let first = families.pick(&[8, 24]);
    let mut pieces = families.cut(&datagram.bytes, first, first == 8);
    let index = families.rng.usize(..pieces.len());
    let mut other = pieces[index].clone();
    match families.rng.u8(..4) {
        // Other ports, the same length.
        0 if other.at == 0 => other.bytes[2..4].copy_from_slice(&[0, 22]),
        0 | 1 => families.rng.fill(&mut other.bytes),
        // Overlaps with the end of the piece before.
        2 if other.at >= 8 => {
            other.at -= 8;
            let before = families.bytes(8);
            other.bytes.splice(..0, before);
        }
        // Ends elsewhere.
        _ => {
            let length = families.rng.usize(1..4) * 8;
            other.bytes.resize(length, 0x5a);
            other.more = families.rng.bool();
        }
    }
    let index = families.rng.usize(..=pieces.len());
    pieces.insert(index, other);
    let mut frames = families.frames(&datagram, &pieces);
    if families.rng.bool() {
        families.rng.shuffle(&mut frames);
    }
    frames
}

/// Two senders use one identification at a time, one of them with the other's MAC address.
pub fn of_two_sources(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let mac = families.pick(&[VIM.mac, INTRUDER.mac]);
    let ours = families.datagram(Route { from: VIM, ..route });
    let theirs = families.datagram(Route {
        from: with_mac(INTRUDER, mac),
        ..route
    });
    let mut frames = Vec::new();
    for datagram in [ours, theirs] {
        let pieces = families.cut(&datagram.bytes, 24, false);
        frames.extend(families.frames(&datagram, &pieces));
    }
    families.rng.shuffle(&mut frames);
    frames
}

/// Pieces of two datagrams under one identification: to different services, of different protocols.
pub fn of_two_datagrams(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let one = families.datagram(route);
    let other = families.datagram(route);
    let (mut first, mut second) = (
        families.cut(&one.bytes, 24, true),
        families.cut(&other.bytes, 24, true),
    );
    if families.rng.bool() {
        // The beginning of one, and the rest of the other.
        first.truncate(1);
        second.remove(0);
    }
    let mut frames = families.frames(&one, &first);
    frames.extend(families.frames(&other, &second));
    if families.rng.bool() {
        families.rng.shuffle(&mut frames);
    }
    frames
}

/// IPv6: extension headers before and behind the fragment header, which may come twice.
pub fn behind_headers(families: &mut Families) -> Vec<Vec<u8>> {
    let route = Route {
        v6: true,
        ..families.route()
    };
    let packet = Packet::new().with(Families::v6(route));
    let mut inner = packet;
    for _ in 0..families.rng.usize(..3) {
        let kind = families.pick(&[0, 43, 60]);
        inner = inner.with(header(kind));
    }
    if families.once_in(3) {
        inner = inner.with(Fragment {
            identification: families.rng.u32(..),
            more: families.once_in(3),
            ..Fragment::default()
        });
    }
    let inner = families.ask(inner, true, 60).build();
    let datagram = Datagram {
        route,
        protocol: inner[6],
        identification: families.number as u32,
        bytes: inner[40..].to_vec(),
    };
    let first = families.pick(&[8, 16, 24, 48]);
    let pieces = families.cut(&datagram.bytes, first, true);
    let before = families.pick(&[0, 60, 43]);
    let leading = families.rng.bool();
    let mut frames: Vec<_> = pieces
        .iter()
        .map(|piece| {
            let mut packet = Families::link(route).with(Families::v6(route));
            if leading {
                packet = packet.with(header(before));
            }
            let odd = families.once_in(6);
            let packet = packet.with(Fragment {
                offset: (piece.at / 8) as u16,
                more: piece.more,
                identification: datagram.identification,
                // Only that of the first piece counts (RFC 8200).
                next_header: Some(if odd { 6 } else { datagram.protocol }),
            });
            packet.with(piece.bytes.clone()).build()
        })
        .collect();
    if families.rng.bool() {
        families.rng.shuffle(&mut frames);
    }
    frames
}

fn header(kind: u8) -> Extension {
    match kind {
        0 => Extension::hop_by_hop(),
        43 => Extension::routing(0, 0),
        _ => Extension::destination(),
    }
}

/// Fragments to a broadcast or multicast address.
pub fn to_a_group(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let (v4, v6) = (group4(families), group6(families));
    let mac: Mac = if route.v6 {
        group_mac(v6.into())
    } else {
        group_mac(v4.into())
    };
    let datagram = families.datagram(Route {
        to: at(route.to, v4, v6),
        ..route
    });
    let pieces = families.cut(&datagram.bytes, 24, false);
    let mut frames = families.frames(&datagram, &pieces);
    for frame in &mut frames {
        frame[..6].copy_from_slice(&mac.0);
    }
    if families.rng.bool() {
        families.rng.shuffle(&mut frames);
    }
    frames
}

/// A fragment header on a whole packet (RFC 6946), while another datagram with its identification
/// is on its way.
pub fn atomic(families: &mut Families) -> Vec<Vec<u8>> {
    let route = Route {
        v6: true,
        ..families.route()
    };
    let identification = families.number as u32;
    let packet = families.network(route).with(Fragment {
        identification,
        ..Fragment::default()
    });
    let whole = families.ask(packet, true, 20).build();
    let datagram = families.datagram(route);
    let pieces = families.cut(&datagram.bytes, 24, false);
    let mut frames = families.frames(&datagram, &pieces);
    let index = families.rng.usize(..=frames.len());
    frames.insert(index, whole);
    frames
}
