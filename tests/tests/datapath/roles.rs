//! An endpoint may use what a reference point gives its role, and nothing else.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use anyhow::Result;
use harness::judge::{Judges, Ruling};
use harness::net::packet::{Ethernet, Ipv4, Packet, Tcp};
use harness::net::station::{BASTION, HOST, HOST_OPERATIONS, VIM};
use verdict::reason::Reason;

use crate::{both, policy, usual, v4};

#[test]
fn a_role_has_the_services_of_its_reference_points() -> Result<()> {
    let mut judges = Judges::of(&usual(""))?;
    for host in [HOST, HOST_OPERATIONS] {
        for packet in both(BASTION, host) {
            let permitted = Ruling::permitted("operations", "ssh", "bastion");
            judges.expect(&packet.with(Tcp::syn(22)), permitted)?;
        }
        for packet in both(BASTION, host) {
            let wrong = Ruling::from(Reason::WrongRole)
                .under("Nf-Vi", "libvirt-tls")
                .of("bastion");
            judges.expect(&packet.with(Tcp::syn(16514)), wrong)?;
        }
        for packet in both(VIM, host) {
            let permitted = Ruling::permitted("Nf-Vi", "libvirt-tls", "vim");
            judges.expect(&packet.with(Tcp::syn(16514)), permitted)?;
        }
    }
    Ok(())
}

#[test]
fn the_first_of_two_reference_points_counts() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10] }
  bastion: { role: bastion, addresses: [198.51.100.2] }
reference_points:
  first: { from: [bastion], services: [ssh] }
  second: { from: [vim, bastion], services: [ssh] }
  third: { from: [vim], services: [ssh] }
",
    ))?;
    let vim = Ruling::permitted("second", "ssh", "vim");
    judges.expect(&v4(VIM, HOST).with(Tcp::syn(22)), vim)?;
    let bastion = Ruling::permitted("first", "ssh", "bastion");
    judges.expect(&v4(BASTION, HOST).with(Tcp::syn(22)), bastion)
}

#[test]
fn a_role_at_no_reference_point_has_nothing() -> Result<()> {
    let mut judges = Judges::of(&policy(
        r"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10] }
  bastion: { role: bastion, addresses: [198.51.100.2] }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh] }
  out: { to: [bastion], services: [https] }
services:
  https: { protocol: tcp, ports: [443] }
",
    ))?;
    let wrong = Ruling::from(Reason::WrongRole)
        .under("Nf-Vi", "ssh")
        .of("bastion");
    judges.expect(&v4(BASTION, HOST).with(Tcp::syn(22)), wrong)?;
    // A service that the host may use at a peer is not open to the peer at the host.
    judges.expect(&v4(BASTION, HOST).with(Tcp::syn(443)), Reason::NoService)
}

#[test]
fn sixty_three_roles_are_told_apart() -> Result<()> {
    let (mut endpoints, mut points) = (String::new(), String::new());
    for n in 1..=63 {
        writeln!(
            endpoints,
            "  e{n}: {{ role: r{n}, addresses: [203.0.113.{n}] }}"
        )?;
        let services = if n % 2 == 0 { "ssh" } else { "libvirt-tls" };
        writeln!(points, "  p{n}: {{ from: [r{n}], services: [{services}] }}")?;
    }
    let text = format!("endpoints:\n{endpoints}reference_points:\n{points}");
    let mut judges = Judges::of(&policy(&text))?;
    for n in 1..=63_u8 {
        let source = Ipv4Addr::new(203, 0, 113, n);
        let header = Ipv4::between(source, HOST.v4);
        let packet = Packet::new()
            .with(Ethernet::default())
            .with(header)
            .with(Tcp::syn(22));
        let endpoint = format!("e{n}");
        let expected = if n % 2 == 0 {
            Ruling::permitted(&format!("p{n}"), "ssh", &endpoint)
        } else {
            // The first reference point that offers SSH governs.
            Ruling::from(Reason::WrongRole)
                .under("p2", "ssh")
                .of(&endpoint)
        };
        judges.expect(&packet, expected)?;
    }
    Ok(())
}
