//! Ports, protocols, rules and modes.

use verdict::{
    frame::{
        address::{Ipv4, Ipv6},
        transport::IpProtocol,
    },
    image::{
        header::{Header, Modes},
        service::{GOVERNING, Rule, Service, ServiceKey},
    },
    state::{
        clock::ticks,
        flow::{State, table::timeout},
    },
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
    let service = Service::new(service, Some(Rule::NONE), false);
    service.inbound(image, header, role).expect("all lines")
}

fn number(numbers: &Numbers, reference_point: &str, service: &str) -> u16 {
    numbers.rules[&RuleName {
        reference_point: reference_point.to_owned(),
        service: service.to_owned(),
    }]
}

fn of_port(image: &Image, table: u32, port: u16) -> u16 {
    let service = Service::at(image, ServiceKey::port(table, port)).expect("all lines");
    if service.is_inbound() {
        service.number()
    } else {
        0
    }
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
        let place = ServiceKey::protocol(IpProtocol(protocol));
        let found = Service::at(&image, place).expect("all lines");
        assert_eq!(found.is_inbound(), protocol == 47, "{protocol}");
    }
}

#[test]
fn types_of_icmp_are_listed_with_what_answers_them() {
    let (image, _) = compiled(&read(
        r"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10] }
reference_points:
  in: { from: [vim], services: [ping, probe] }
  out: { to: [vim], services: [ping, everything] }
services:
  probe: { protocol: icmp, types: [42], codes: [0, 14] }
  everything: { protocol: icmpv6, types: [139, 200] }
",
    ));
    let listed = |key| Service::at(&image, key).expect("all lines");
    for kind in 0..=u8::MAX {
        for code in 0..=u8::MAX {
            let icmp = listed(ServiceKey::icmp::<Ipv4>(kind, code));
            let inbound = matches!((kind, code), (8 | 0 | 43, _) | (42, 0 | 14));
            assert_eq!(icmp.is_inbound(), inbound, "icmp {kind} {code}");
            assert_eq!(
                icmp.is_outbound(),
                matches!(kind, 8 | 0),
                "icmp {kind} {code}"
            );
            let icmpv6 = listed(ServiceKey::icmp::<Ipv6>(kind, code));
            assert_eq!(icmpv6.is_inbound(), matches!(kind, 128 | 129));
            let outbound = matches!(kind, 128 | 129 | 139 | 140 | 200);
            assert_eq!(icmpv6.is_outbound(), outbound, "icmpv6 {kind} {code}");
        }
    }
    // ICMP within IPv6, and the other way round, is no service.
    for protocol in [1, 58] {
        assert_eq!(
            listed(ServiceKey::protocol(IpProtocol(protocol))),
            Service::NONE
        );
    }
}

#[test]
fn a_whole_icmp_is_every_type_of_it() {
    let (image, _) = compiled(&read(
        r"
endpoints:
  vim: { role: vim, addresses: [192.0.2.10] }
reference_points:
  in: { from: [vim], services: [all] }
services:
  all: { protocol: icmpv6 }
",
    ));
    for (kind, code) in [(0, 0), (128, 0), (139, 2), (255, 255)] {
        let listed = |key| Service::at(&image, key).expect("all lines").is_inbound();
        assert!(listed(ServiceKey::icmp::<Ipv6>(kind, code)));
        assert!(!listed(ServiceKey::icmp::<Ipv4>(kind, code)));
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
    let governing = |port| {
        let service = Service::at(&image, ServiceKey::port(0, port));
        service.expect("all lines").governing()
    };
    let enforced = Rule::new(number(&numbers, "enforced", "ssh"), false);
    assert_eq!(governing(22), enforced);
    // None enforces: the first that offers it.
    let watched = Rule::new(number(&numbers, "watched", "wide"), true);
    assert_eq!(governing(100), watched);
    assert_eq!(governing(443), Rule::NONE);
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
fn roles_that_are_known_are_those_of_reference_points() {
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
    let known: Vec<u8> = (0..64).filter(|&role| header.knows(role)).collect();
    assert_eq!(known, [2, 3]);
}

#[test]
fn outbound_services_are_where_the_peer_offers_them() {
    let (image, numbers) = compiled(&read(POLICY));
    let header = Header::of(&image).expect("a header");
    for port in 0..=u16::MAX {
        let service = Service::at(&image, ServiceKey::port(1, port)).expect("all lines");
        let outbound = matches!(port, 123 | 65_534 | 65_535);
        assert_eq!(service.is_outbound(), outbound, "{port}");
        if outbound {
            let rule = service.outbound(&image, header, GOVERNING);
            let id = rule.expect("all lines").id();
            assert!(numbers.rules.values().any(|&number| number == id));
        }
    }
}

/// One port may be offered by the host under one name, and used at peers under another.
#[test]
fn a_port_may_be_two_services() {
    let (image, numbers) = compiled(&read(
        r"
endpoints:
  a: { role: alpha, addresses: [192.0.2.1] }
reference_points:
  in: { from: [alpha], services: [mine] }
  out: { to: [alpha], services: [yours] }
services:
  mine: { protocol: tcp, ports: [22, 80] }
  yours: { protocol: tcp, ports: [22, 443] }
",
    ));
    let header = Header::of(&image).expect("a header");
    let at = |port| Service::at(&image, ServiceKey::port(0, port)).expect("all lines");
    let rules = |port| {
        let service = at(port);
        let inbound = service.inbound(&image, header, 1).expect("all lines").id();
        let outbound = service.outbound(&image, header, 1).expect("all lines").id();
        (inbound, outbound)
    };
    let (mine, yours) = (
        number(&numbers, "in", "mine"),
        number(&numbers, "out", "yours"),
    );
    assert_eq!(rules(22), (mine, yours));
    assert_eq!(rules(80), (mine, 0));
    assert_eq!(rules(443), (0, yours));
}

#[test]
fn timeouts_are_those_of_the_policy() {
    let (image, _) = compiled(&read(
        "endpoints: {}\nreference_points: {}\nflow_timeouts: { tcp-established: 5m, echo: 1s }",
    ));
    for &state in State::ALL {
        let seconds = match state {
            State::TcpEstablished => 300,
            State::Echo => 1,
            other => other.default_seconds(),
        };
        assert_eq!(
            timeout(&image, state.code()),
            Ok(ticks(seconds)),
            "{state:?}"
        );
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
        assert_eq!(header.flags().modes().has(Modes::AUDIT), audit);
    }
}
