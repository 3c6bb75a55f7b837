//! Packets that may answer the host pass, as long as they ask for no service of its own.

use anyhow::Result;
use harness::kernel::{Judges, Ruling};
use harness::packet::{Sctp, Tcp, Udp};
use harness::station::{HOST, INTRUDER, VIM};
use verdict::reason::Reason;

use crate::{both, policy, usual, v4, v6};

#[test]
fn tcp_that_opens_no_connection_passes() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for flags in 0..=u8::MAX {
        let expected = if flags & (Tcp::SYN | Tcp::ACK) == Tcp::SYN {
            Reason::NoService
        } else {
            Reason::HostOpened
        };
        for packet in both(INTRUDER, HOST) {
            judges.expect(&packet.with(Tcp::from(443, flags)), expected)?;
        }
    }
    Ok(())
}

#[test]
fn but_not_to_a_service_of_the_host() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    let segment = Tcp {
        source: 443,
        ..Tcp::to(22, Tcp::SYN | Tcp::ACK)
    };
    let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "ssh");
    judges.expect(&v4(INTRUDER, HOST).with(segment), unknown)
}

#[test]
fn udp_passes_from_the_ports_of_outbound_services() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r#"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10, "2001:db8:0:17::10"] }
  resolvers: { role: infrastructure, addresses: [192.0.2.53] }
reference_points:
  Nf-Vi: { from: [vim], services: [relay] }
  out: { to: [infrastructure], services: [dns, range, stream] }
services:
  relay: { protocol: udp, ports: [7000] }
  dns: [{ protocol: udp, ports: [53] }, { protocol: tcp, ports: [53] }]
  range: { protocol: udp, ports: [60000-60003, 65535] }
  stream: { protocol: tcp, ports: [5000] }
"#,
    ))?;
    for port in [0, 1, 52, 54, 5000, 7000, 59_999, 60_004, 65_534] {
        judges.expect(&v4(INTRUDER, HOST).with(Udp::from(port)), Reason::NoService)?;
    }
    for port in [53, 60_000, 60_001, 60_002, 60_003, 65_535] {
        judges.expect(
            &v4(INTRUDER, HOST).with(Udp::from(port)),
            Reason::HostOpened,
        )?;
        judges.expect(&v6(VIM, HOST).with(Udp::from(port)), Reason::HostOpened)?;
        let to_service = Udp {
            destination: 7000,
            ..Udp::from(port)
        };
        let unknown = Ruling::from(Reason::UnknownSource).under("Nf-Vi", "relay");
        judges.expect(&v4(INTRUDER, HOST).with(to_service), unknown)?;
    }
    Ok(())
}

#[test]
fn sctp_does_not() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for packet in both(VIM, HOST) {
        judges.expect(&packet.with(Sctp::to(49_152)), Reason::NoService)?;
    }
    Ok(())
}
