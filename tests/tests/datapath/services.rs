//! A packet is judged by the service that its protocol and destination port name.

use anyhow::Result;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Ethernet, Extension, Ipv4, Ipv6, Packet, Sctp, Tcp, Udp};
use harness::net::station::{HOST, HOST_OPERATIONS, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{NO_SERVICE, both, policy, usual, v4, v6};

#[test]
fn each_transport_has_its_own_ports() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let permitted = |service| Ruling::permitted("Nf-Vi", service, "vim");
    for host in [HOST, HOST_OPERATIONS] {
        let packets = || both(VIM, host).into_iter();
        for packet in packets() {
            judges.expect(&packet.with(Tcp::syn(22)), permitted("ssh"))?;
        }
        for packet in packets() {
            judges.expect(&packet.with(Udp::to(7000)), permitted("relay"))?;
        }
        for packet in packets() {
            judges.expect(&packet.with(Sctp::to(36422)), permitted("telemetry"))?;
        }
        for (udp, sctp) in [(22, 22), (36422, 7000)] {
            for packet in packets() {
                judges.expect(&packet.with(Udp::to(udp)), Reason::NoService)?;
            }
            for packet in packets() {
                judges.expect(&packet.with(Sctp::to(sctp)), Reason::NoService)?;
            }
        }
        for packet in packets() {
            judges.expect(&packet.with(Tcp::syn(7000)), Reason::NoService)?;
        }
    }
    Ok(())
}

/// What scanners send to tell stacks apart: no flags, SYN with FIN or RST, FIN with PSH and URG.
#[test]
fn tcp_flags_that_no_segment_has_are_refused() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let (fin, syn, rst, psh, ack) = (Tcp::FIN, Tcp::SYN, Tcp::RST, Tcp::PSH, Tcp::ACK);
    let urg = 0x20;
    for flags in [0, syn | fin, syn | rst, fin | psh | urg, fin, psh, 0x3f] {
        let refused = Ruling::from(Reason::TcpFlags)
            .under("Nf-Vi", "ssh")
            .of("vim");
        for packet in both(VIM, HOST) {
            judges.expect(&packet.with(Tcp::to(22, flags)), refused.clone())?;
        }
        // Behind headers that only the full path reads, too.
        let extended = v6(VIM, HOST).with(Extension::hop_by_hop());
        judges.expect(&extended.with(Tcp::to(22, flags)), refused.clone())?;
        // A stranger is refused for being one.
        let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
        judges.expect(&v4(INTRUDER, HOST).with(Tcp::to(22, flags)), unknown)?;
    }
    for flags in [syn, ack, psh | ack, fin | ack, rst, rst | ack, syn | 0xc0] {
        for packet in both(VIM, HOST) {
            let ssh = Ruling::permitted("Nf-Vi", "ssh", "vim");
            judges.expect(&packet.with(Tcp::to(22, flags)), ssh)?;
        }
    }
    Ok(())
}

#[test]
fn a_port_without_a_service_is_closed_to_all() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for station in [VIM, INTRUDER] {
        for packet in both(station, HOST) {
            judges.expect(&packet.with(Tcp::syn(NO_SERVICE)), Reason::NoService)?;
        }
    }
    for port in [0, 1, u16::MAX] {
        judges.expect(&v4(VIM, HOST).with(Tcp::syn(port)), Reason::NoService)?;
        judges.expect(&v4(VIM, HOST).with(Udp::to(port)), Reason::NoService)?;
    }
    Ok(())
}

#[test]
fn a_range_includes_both_ends() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10] }
reference_points:
  Nf-Vi: { from: [vim], services: [vendor, all-sctp] }
services:
  vendor:
    - { protocol: tcp, ports: [7100-7103, 7110] }
    - { protocol: udp, ports: [65535] }
  all-sctp: { protocol: sctp, ports: [1-65535] }
",
    ))?;
    let vendor = Ruling::permitted("Nf-Vi", "vendor", "vim");
    for port in 7095..=7115 {
        let packet = v4(VIM, HOST).with(Tcp::syn(port));
        if matches!(port, 7100..=7103 | 7110) {
            judges.expect(&packet, vendor.clone())?;
        } else {
            judges.expect(&packet, Reason::NoService)?;
        }
    }
    judges.expect(&v4(VIM, HOST).with(Udp::to(u16::MAX)), vendor)?;
    judges.expect(
        &v4(VIM, HOST).with(Udp::to(u16::MAX - 1)),
        Reason::NoService,
    )?;
    for port in [1, 2, 32_768, u16::MAX] {
        let all = Ruling::permitted("Nf-Vi", "all-sctp", "vim");
        judges.expect(&v4(VIM, HOST).with(Sctp::to(port)), all)?;
    }
    judges.expect(&v4(VIM, HOST).with(Sctp::to(0)), Reason::NoService)
}

#[test]
fn protocols_without_ports_are_services_too() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let gre = || vec![0, 0, 0x08, 0x00];
    let in_gre = |packet: Packet, protocol| {
        let header = Ipv4 {
            protocol: Some(protocol),
            ..Ipv4::between(VIM.v4, HOST.v4)
        };
        packet.with(header).with(gre())
    };
    let start = || Packet::new().with(Ethernet::default());
    judges.expect(
        &in_gre(start(), 47),
        Ruling::permitted("Nf-Vi", "gre", "vim"),
    )?;
    for protocol in [0, 2, 4, 41, 50, 51, 89, 112, 136, 255] {
        judges.expect(&in_gre(start(), protocol), Reason::NoService)?;
    }
    let v6 = Ipv6 {
        next_header: Some(47),
        ..Ipv6::between(INTRUDER.v6, HOST.v6)
    };
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "gre");
    judges.expect(&start().with(v6).with(gre()), unknown)
}

#[test]
fn established_connections_are_judged_like_new_ones() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for flags in [Tcp::ACK, Tcp::SYN | Tcp::ACK, Tcp::RST, Tcp::FIN | Tcp::ACK] {
        let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
        judges.expect(&v6(INTRUDER, HOST).with(Tcp::to(22, flags)), unknown)?;
        let permitted = Ruling::permitted("Nf-Vi", "ssh", "vim");
        judges.expect(&v6(VIM, HOST).with(Tcp::to(22, flags)), permitted)?;
    }
    Ok(())
}
