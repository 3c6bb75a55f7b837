//! ICMP messages and errors.

use crate::net::packet::{Icmp, Icmpv6, Ipv4, Ipv6, Packet, Tcp, Udp};
use crate::net::station::{BASTION, HOST, INTRUDER, VIM};

use super::{Families, Route};

/// Messages of every type.
pub fn any(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let packet = families.network(route);
    let (kind, code) = (families.rng.u8(..), families.rng.u8(..3));
    let (usual4, usual6) = (
        families.pick(&[0, 3, 5, 8, 9, 10, 13, 15, 17]),
        families.pick(&[128, 129, 133, 134, 135, 136, 137, 139, 144]),
    );
    let any = families.once_in(3);
    let packet = if route.v6 {
        packet.with(Icmpv6 {
            kind: if any { kind } else { usual6 },
            code,
            body: HOST.v6.octets().to_vec(),
            ..Icmpv6::default()
        })
    } else {
        packet.with(Icmp {
            kind: if any { kind } else { usual4 },
            code,
            ..Icmp::default()
        })
    };
    vec![packet.with(families.tag().to_vec()).build()]
}

/// Errors that quote packets of the host or of others, sent by the peer or by a router.
pub fn error(families: &mut Families) -> Vec<Vec<u8>> {
    let route = families.route();
    let packet = families.network(route);
    let quoted_peer = families.pick(&[VIM, BASTION, INTRUDER]);
    let quoted_sender = if families.once_in(4) {
        quoted_peer
    } else {
        route.to
    };
    let between = Route {
        from: quoted_sender,
        to: quoted_peer,
        ..route
    };
    let (kind4, kind6) = (families.pick(&[3, 11, 12]), families.pick(&[1, 2, 3, 4]));
    let code = families.rng.u8(..5);
    let packet = if route.v6 {
        let message = Icmpv6 {
            kind: kind6,
            code,
            ..Icmpv6::default()
        };
        packet
            .with(message)
            .with(Ipv6::between(between.from.v6, between.to.v6))
    } else {
        let message = Icmp {
            kind: kind4,
            code,
            ..Icmp::default()
        };
        packet
            .with(message)
            .with(Ipv4::between(between.from.v4, between.to.v4))
    };
    let packet = quoted(families, packet);
    vec![packet.with(families.tag().to_vec()).build()]
}

fn quoted(families: &mut Families, packet: Packet) -> Packet {
    let (source, destination) = (families.port(), families.port());
    if families.rng.bool() {
        packet.with(Udp {
            source,
            ..Udp::to(destination)
        })
    } else {
        packet.with(Tcp {
            source,
            ..Tcp::ack(destination)
        })
    }
}
