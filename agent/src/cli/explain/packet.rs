//! A frame in one line.

use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use manoward::policy::ServiceMatch;

/// Addresses, ports and protocol of a frame, as far as it can be parsed: `192.0.2.10:50000 >
/// 192.0.2.1:22 tcp`.
pub fn described(frame: &[u8]) -> String {
    let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else {
        return format!("{} bytes that cannot be parsed", frame.len());
    };
    let (from, to, number): (IpAddr, IpAddr, u8) = match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            ip.payload().ip_number.0,
        ),
        Some(LaxNetSlice::Ipv6(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            ip.payload().ip_number.0,
        ),
        Some(LaxNetSlice::Arp(_)) => return "ARP".to_owned(),
        None => return "no IP".to_owned(),
    };
    let name = ServiceMatch::Protocol(number);
    let ports = match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
        Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
        _ => None,
    };
    match ports {
        Some((source, destination)) => {
            format!("{} > {} {name}", end(from, source), end(to, destination))
        }
        None => format!("{from} > {to} {name}"),
    }
}

fn end(address: IpAddr, port: u16) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address, port)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    #[test]
    fn addresses_ports_and_protocol() {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([192, 0, 2, 10], [192, 0, 2, 1], 64)
            .tcp(50000, 22, 0, 1024);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[]).unwrap();
        assert_eq!(described(&frame), "192.0.2.10:50000 > 192.0.2.1:22 tcp");

        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv6([0x20; 16], [0x21; 16], 64)
            .icmpv6_echo_request(1, 1);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[]).unwrap();
        assert!(
            described(&frame).ends_with(" icmpv6"),
            "{}",
            described(&frame)
        );
    }

    #[test]
    fn frames_without_ip_are_named() {
        assert_eq!(described(&[0; 5]), "5 bytes that cannot be parsed");
        let mut lldp = [0; 60];
        lldp[12..14].copy_from_slice(&[0x88, 0xcc]);
        assert_eq!(described(&lldp), "no IP");
    }
}
