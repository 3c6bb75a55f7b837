//! Ports, protocols, rules and modes.

use verdict::{
    image::{Header, OUTBOUND_UDP, bit},
    service::{self, GOVERNING, Rule},
    transport::IpProtocol,
};

use super::{
    super::{Image, Numbers, RuleName},
    compiled, read,
};

const POLICY: &str = r"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10] }
  bastion: { role: bastion, addresses: [198.51.100.2] }
reference_points:
  watched: { from: [vim], services: [ssh, wide], mode: audit }
  enforced: { from: [bastion], services: [ssh, tunnel] }
  again: { from: [vim, bastion], services: [ssh] }
  out: { to: [vim], services: [ntp, web, high] }
services:
  wide: [{ protocol: tcp, ports: [100-200, 300] }, { protocol: sctp, ports: [65535] }]
  tunnel: { protocol: gre }
  ntp: { protocol: udp, ports: [123] }
  web: { protocol: tcp, ports: [443] }
  high: { protocol: udp, ports: [65534-65535] }
";

/// The rule of `role` for `service`, by the service's number.
fn rule(image: &Image, service: u16, role: u8) -> Rule {
    let header = Header::of(image).expect("a header");
    service::rule(image, header, service, role).expect("all lines")
}

fn number(numbers: &Numbers, reference_point: &str, service: &str) -> u16 {
    numbers.rules[&RuleName {
        reference_point: reference_point.to_owned(),
        service: service.to_owned(),
    }]
}

fn of_port(image: &Image, table: u32, port: u16) -> u16 {
    service::of_port(image, table, port).expect("all lines")
}

#[test]
fn every_port_of_every_transport_is_where_it_belongs() {
    let (image, _) = compiled(&read(POLICY));
    let (tcp, udp, sctp) = (0, 1, 2);
    let ssh = of_port(&image, tcp, 22);
    let wide = of_port(&image, tcp, 100);
    assert!(ssh != 0 && wide != 0 && ssh != wide);
    for port in 0..=u16::MAX {
        let expected = match port {
            22 => ssh,
            100..=200 | 300 => wide,
            _ => 0,
        };
        assert_eq!(of_port(&image, tcp, port), expected, "tcp {port}");
        assert_eq!(of_port(&image, udp, port), 0, "udp {port}");
        let expected = if port == u16::MAX { wide } else { 0 };
        assert_eq!(of_port(&image, sctp, port), expected, "sctp {port}");
    }
    for protocol in 0..=u8::MAX {
        let found = service::of_protocol(&image, IpProtocol(protocol)).expect("all lines");
        assert_eq!(found != 0, protocol == 47, "{protocol}");
    }
}

#[test]
fn the_first_reference_point_of_a_role_counts() {
    let (image, numbers) = compiled(&read(POLICY));
    let ssh = of_port(&image, 0, 22);
    // Roles are numbered in the order of their names.
    let (bastion, vim) = (1, 2);
    let watched = Rule::new(number(&numbers, "watched", "ssh"), true);
    let enforced = Rule::new(number(&numbers, "enforced", "ssh"), false);
    assert_eq!(rule(&image, ssh, vim), watched);
    assert_eq!(rule(&image, ssh, bastion), enforced);
}

#[test]
fn the_first_that_enforces_governs() {
    let (image, numbers) = compiled(&read(POLICY));
    let ssh = of_port(&image, 0, 22);
    let enforced = Rule::new(number(&numbers, "enforced", "ssh"), false);
    assert_eq!(rule(&image, ssh, GOVERNING), enforced);
    // None enforces: the first that offers it.
    let wide = of_port(&image, 0, 100);
    let watched = Rule::new(number(&numbers, "watched", "wide"), true);
    assert_eq!(rule(&image, wide, GOVERNING), watched);
}

#[test]
fn other_roles_have_no_rule() {
    let (image, _) = compiled(&read(POLICY));
    let wide = of_port(&image, 0, 100);
    for role in (1..64).filter(|&role| role != 2) {
        assert_eq!(rule(&image, wide, role).id(), 0, "{role}");
    }
}

#[test]
fn roles_that_may_enter_are_those_of_inbound_points() {
    let (image, _) = compiled(&read(
        r"
endpoints:
  a: { role: alpha, addresses: [192.0.2.1] }
  b: { role: beta, addresses: [192.0.2.2] }
  c: { role: gamma, addresses: [192.0.2.3] }
reference_points:
  in: { from: [beta], services: [ssh] }
  out: { to: [gamma], services: [ssh] }
",
    ));
    let header = Header::of(&image).expect("a header");
    let entering: Vec<u8> = (0..64).filter(|&role| header.may_enter(role)).collect();
    assert_eq!(entering, [2]);
}

#[test]
fn answers_come_from_the_udp_ports_of_outbound_services() {
    let (image, _) = compiled(&read(POLICY));
    for port in 0..=u16::MAX {
        let marked = bit(&image, OUTBOUND_UDP, port.into()).expect("all lines");
        assert_eq!(marked, matches!(port, 123 | 65_534 | 65_535), "{port}");
    }
}

#[test]
fn the_header_has_the_policy_s_mode() {
    for (mode, audit) in [("enforce", false), ("audit", true)] {
        let policy = read(&format!(
            "mode: {mode}\nendpoints: {{}}\nreference_points: {{}}"
        ));
        let (image, _) = compiled(&policy);
        let header = Header::of(&image).expect("a header");
        assert_eq!(header.flags().audit(), audit);
    }
}
