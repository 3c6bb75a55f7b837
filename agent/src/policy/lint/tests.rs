//! Each remark, and policies that raise none.

use super::*;
use crate::policy::read;

/// Remarks on a policy with these endpoints, reference points and services.
fn remarks(endpoints: &str, points: &str, services: &str) -> Vec<Lint> {
    remarks_on_host(endpoints, points, services, None)
}

fn remarks_on_host(
    endpoints: &str,
    points: &str,
    services: &str,
    host: Option<&HostFacts>,
) -> Vec<Lint> {
    let text = policy(endpoints, points, &format!("services: {{{services}}}"));
    read(&text, "policy.yaml").unwrap().lint(host)
}

/// A policy with these endpoints and reference points, and further lines of its top level.
fn policy(endpoints: &str, points: &str, lines: &str) -> String {
    format!(
        "apiVersion: manoward/v1\nname: n\nserial: 1\ninterfaces: [eth0]\nprotect: \
         [192.0.2.1]\nendpoints: {{{endpoints}}}\nreference_points: {{{points}}}\n{lines}\n"
    )
}

#[track_caller]
fn only(lints: Vec<Lint>) -> Lint {
    assert_eq!(lints.len(), 1, "{lints:#?}");
    lints.into_iter().next().unwrap()
}

const VIM: &str = "vim-1: { role: vim, addresses: [192.0.2.10] }";
const SSH: &str = "Nf-Vi: { from: [vim], services: [ssh] }, out: { to: [vim], services: [ntp] }";

#[test]
fn nothing_is_remarked_where_nothing_is_doubtful() {
    assert!(remarks(VIM, SSH, "").is_empty());
}

#[test]
fn an_address_in_two_roles() {
    let wide = format!(
        "{VIM}, x: {{ role: vim, addresses: [192.0.2.11] }}, all: {{ role: lab, addresses: \
         [192.0.2.0/24] }}"
    );
    let lint = only(remarks(
        &wide,
        &format!("{SSH}, lab: {{ to: [lab], services: [ntp] }}"),
        "",
    ));
    assert_eq!(
        (lint.code, &*lint.subject, lint.line),
        (Code::TwoRoles, "vim-1", Some(6))
    );
    assert!(lint.message.contains("its own `vim`, which wins"), "{lint}");
    assert!(
        lint.message
            .contains("`192.0.2.0/24` of endpoint `all`, and so is one other"),
        "{lint}"
    );
}

#[test]
fn a_role_between_two_prefixes_of_another() {
    let nested = "a: { role: vim, addresses: [192.0.0.0/16, 192.0.2.10] }, b: { role: lab, \
     addresses: [192.0.2.0/24] }";
    let lints = remarks(
        nested,
        &format!("{SSH}, lab: {{ from: [lab], services: [ssh] }}"),
        "",
    );
    assert_eq!(lints.len(), 2, "{lints:#?}");
    assert!(lints.iter().all(|lint| lint.code == Code::TwoRoles));
}

#[test]
fn an_address_in_a_prefix_of_its_own_endpoint() {
    let lint = only(remarks(
        "a: { role: vim, addresses: [192.0.2.0/24, 192.0.2.10] }",
        SSH,
        "",
    ));
    assert_eq!(lint.code, Code::RedundantAddress);
}

#[test]
fn an_endpoint_that_covers_everyone() {
    for addresses in [
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/8, 11.0.0.0/24",
        "2001::/16, 2002::/32",
    ] {
        let lint = only(remarks(
            &format!("a: {{ role: vim, addresses: [{addresses}] }}"),
            SSH,
            "",
        ));
        assert_eq!(lint.code, Code::CoversEveryone, "{addresses}");
    }
    assert!(
        remarks(
            "a: { role: vim, addresses: [10.0.0.0/8, 2001::/16] }",
            SSH,
            ""
        )
        .is_empty()
    );
}

#[test]
fn roles_that_lack_a_use_or_an_endpoint() {
    let lint = only(remarks(
        &format!("{VIM}, b: {{ role: lab, addresses: [192.0.2.11] }}"),
        SSH,
        "",
    ));
    assert_eq!(
        (lint.code, &*lint.subject, lint.object),
        (Code::UnusedRole, "lab", Object::Role)
    );
    let lint = only(remarks(
        VIM,
        &format!("more: {{ from: [nfvo], services: [ssh] }}, {SSH}"),
        "",
    ));
    assert_eq!(
        (lint.code, &*lint.subject),
        (Code::RoleWithoutEndpoints, "more")
    );
}

#[test]
fn a_service_admitted_twice() {
    let points = format!(
        "{SSH}, more: {{ from: [vim], services: [ssh, libvirt-tls] }}, out-too: {{ to: [vim], \
         services: [libvirt-tls] }}"
    );
    let lint = only(remarks(VIM, &points, ""));
    assert_eq!((lint.code, &*lint.subject), (Code::AdmittedTwice, "more"));
    assert!(lint.message.contains("by `Nf-Vi` already"), "{lint}");
}

#[test]
fn services_unused_redefined_or_plaintext() {
    let lint = only(remarks(VIM, SSH, "mine: { protocol: tcp, ports: [7100] }"));
    assert_eq!(
        (lint.code, &*lint.subject, lint.line),
        (Code::UnusedService, "mine", Some(8))
    );
    let lint = only(remarks(
        VIM,
        SSH,
        "ssh: { protocol: tcp, ports: [2222], encryption: encrypted }",
    ));
    assert_eq!(
        (lint.code, &*lint.subject),
        (Code::CatalogueRedefined, "ssh")
    );
    assert!(
        lint.message
            .contains("tcp 2222 (encrypted) here and tcp 22 (encrypted)"),
        "{lint}"
    );
    let lint = only(remarks(
        VIM,
        "p: { from: [vim], services: [vnc, ssh] }, q: { to: [vim], services: [amqp] }",
        "",
    ));
    assert_eq!((lint.code, &*lint.subject), (Code::PlaintextService, "p"));
}

#[test]
fn what_is_not_enforced_or_admits_nobody() {
    let lint = only(remarks(
        VIM,
        &format!("p: {{ from: [vim], services: [kubelet], mode: audit }}, {SSH}"),
        "",
    ));
    assert_eq!((lint.code, &*lint.subject), (Code::NotEnforced, "p"));
    let lint = only(remarks(VIM, "p: { to: [vim], services: [ntp] }", ""));
    assert_eq!(lint.code, Code::NothingAdmitted);
}

/// Remarks on a policy with these reference points and further lines of its top level.
fn remarks_with(points: &str, lines: &str) -> Vec<Lint> {
    let text = policy(VIM, points, lines);
    read(&text, "policy.yaml").unwrap().lint(None)
}

#[test]
fn what_the_host_may_open() {
    let nobody = "Nf-Vi: { from: [vim], services: [ssh] }";
    for (points, lines, code) in [
        (nobody, "", Code::NothingOutbound),
        (nobody, "outbound: audit", Code::NotEnforced),
        (SSH, "outbound: audit", Code::NotEnforced),
        (nobody, "outbound: any", Code::OutboundAny),
        (SSH, "outbound: any", Code::OutboundAny),
    ] {
        let lint = only(remarks_with(points, lines));
        assert_eq!((lint.code, lint.line), (code, Some(2)), "{lines}");
        assert!(
            lint.message.contains("outbound") || lines.is_empty(),
            "{lint}"
        );
    }
    let lint = only(remarks_with(nobody, ""));
    assert!(lint.remedy.contains("`outbound: audit`"), "{lint}");
}

#[test]
fn what_is_enforced_although_the_policy_is_in_audit() {
    let found = |lines: &str| {
        let lints = remarks_with(SSH, lines).into_iter();
        let at_policy = lints.filter(|lint| lint.object == Object::Policy);
        at_policy.map(|lint| lint.code).collect::<Vec<_>>()
    };
    assert_eq!(
        found("mode: audit\noutbound: enforce"),
        [Code::NotEnforced, Code::OutboundEnforced]
    );
    for follows in ["mode: audit", "mode: audit\noutbound: audit"] {
        assert_eq!(found(follows), [Code::NotEnforced, Code::NotEnforced]);
    }
}

#[test]
fn idle_tcp_connections_outlive_keepalive() {
    let with = |timeout: &str| {
        let lines = format!("flow_timeouts:\n  echo: 1s\n  tcp-established: {timeout}");
        remarks_with(SSH, &lines)
    };
    let lint = only(with("123m"));
    assert_eq!(
        (lint.code, &*lint.subject, lint.line, lint.column),
        (Code::ShortTimeout, "tcp-established", Some(10), Some(3))
    );
    assert!(lint.message.contains("is 123m"), "{lint}");
    assert!(lint.remedy.contains("124m"), "{lint}");
    assert!(with("124m").is_empty());
}

#[test]
fn what_the_host_lacks() {
    let endpoints = "vim-1: { role: vim, addresses: [192.0.2.10], interface: eth1 }";
    let lints = remarks_on_host(endpoints, SSH, "", Some(&HostFacts::default()));
    let found: Vec<_> = lints
        .iter()
        .map(|lint| (lint.code, &*lint.subject))
        .collect();
    let expected = [
        (Code::AbsentInterface, "eth0"),
        (Code::AbsentAddress, "192.0.2.1"),
        (Code::AbsentInterface, "vim-1"),
    ];
    assert_eq!(found, expected);
    assert!(lints.iter().all(|lint| lint.line.is_some()));
}

#[test]
fn codes_are_the_same_in_json() {
    let points = format!("p: {{ from: [vim], services: [vnc] }}, {SSH}");
    let lint = only(remarks(VIM, &points, ""));
    let json = serde_json::to_value(&lint).unwrap();
    assert_eq!(json["code"], Code::PlaintextService.as_str());
    assert_eq!(json["object"], "reference-point");
}

#[test]
fn an_audit_policy_makes_one_remark_of_its_mode() {
    let points: Vec<String> = (0..17)
        .map(|n| format!("p{n}: {{ from: [vim], services: [s{n}] }}"))
        .collect();
    let services: Vec<String> = (0..17)
        .map(|n| format!("s{n}: {{ protocol: tcp, ports: [{}] }}", 7000 + n))
        .collect();
    let more = format!(
        "mode: audit\nservices: {{{}}}\naccept: {{ no-ssh: x, plaintext-service: x }}",
        services.join(", ")
    );
    let text = policy(VIM, &points.join(", "), &more);
    let lints = read(&text, "p.yaml").unwrap().lint(None);
    let modes: Vec<&Lint> = lints
        .iter()
        .filter(|lint| lint.code == Code::NotEnforced && lint.message.contains("mode is audit"))
        .collect();
    assert_eq!(modes.len(), 1, "{lints:#?}");
    assert!(modes[0].message.contains("17 reference points"));
}

#[test]
fn ssh_that_nobody_may_use() {
    let points = "a: { from: [vim], services: [libvirt-tls] }, out: { to: [vim], services: [ntp] }";
    assert_eq!(only(remarks(VIM, points, "")).code, Code::NoSsh);
    let own = "a: { from: [vim], services: [mine] }, out: { to: [vim], services: [ntp] }";
    assert!(remarks(VIM, own, "mine: { protocol: tcp, ports: [20-30] }").is_empty());
}

#[test]
fn services_against_their_usual_direction() {
    let inbound = format!("{SSH}, queue: {{ from: [vim], services: [amqps] }}");
    let lint = only(remarks(VIM, &inbound, ""));
    assert_eq!(
        (lint.code, &*lint.subject),
        (Code::UnusualDirection, "queue")
    );
    let outbound = "a: { from: [vim], services: [ssh] }, b: { to: [vim], services: [netconf] }";
    assert_eq!(
        only(remarks(VIM, outbound, "")).code,
        Code::UnusualDirection
    );
}

#[test]
fn protected_addresses_where_nothing_is_judged() {
    let host = HostFacts {
        addresses: vec!["192.0.2.1".parse().unwrap()],
        interfaces: vec!["eth0".into()],
        unenforced: vec![
            ("eth1".into(), "192.0.2.1".parse().unwrap()),
            ("eth2".into(), "192.0.2.2".parse().unwrap()),
        ],
    };
    let lint = only(remarks_on_host(VIM, SSH, "", Some(&host)));
    assert_eq!(lint.code, Code::UnenforcedInterface);
    assert!(lint.message.contains("`eth1`"), "{lint}");
}

#[test]
fn accepted_remarks_are_not_made() {
    let points = format!(
        "{SSH}, a: {{ from: [vim], services: [vnc] }}, b: {{ from: [vim], services: [telnet] }}"
    );
    let accepting = |accept: &str| {
        let services = "services: { vnc: { protocol: tcp, ports: [5900], encryption: plaintext }, \
                        telnet: { protocol: tcp, ports: [23], encryption: plaintext } }";
        let text = policy(VIM, &points, &format!("{services}\n{accept}"));
        let lints = read(&text, "p.yaml").unwrap().lint(None);
        let lints = lints
            .into_iter()
            .filter(|lint| lint.code != Code::CatalogueRedefined);
        lints
            .map(|lint| (lint.code, lint.subject))
            .collect::<Vec<_>>()
    };
    let plaintext = |subject: &str| (Code::PlaintextService, subject.to_owned());
    assert_eq!(accepting(""), [plaintext("a"), plaintext("b")]);
    let one = accepting("accept: { plaintext-service a: a network of its own }");
    assert_eq!(one, [plaintext("b")]);
    assert!(accepting("accept:\n  plaintext-service: a lab").is_empty());
    // Not made without a host.
    assert!(accepting("accept: { plaintext-service: a lab, absent-address: x }").is_empty());
    let needless = accepting("accept: { plaintext-service: a lab, two-roles: x }");
    assert_eq!(
        needless,
        [(Code::NeedlessAcceptance, "two-roles".to_owned())]
    );
    for (accept, message) in [
        (
            "{ plaintext-servce: x }",
            "there is no remark `plaintext-servce`",
        ),
        ("{ two-roles: \"\" }", "without a reason"),
        ("[two-roles]", "must be a mapping"),
    ] {
        let text = policy(VIM, &points, &format!("accept: {accept}"));
        let error = read(&text, "p.yaml").unwrap_err();
        let mut mistakes = error.mistakes().iter();
        assert!(
            mistakes.any(|mistake| mistake.message.contains(message)),
            "{error:?}"
        );
    }
}

#[test]
fn a_router_before_an_endpoint_that_shows_a_certificate() {
    let proving = |routed| {
        format!(
            "vim-1: {{ role: vim, addresses: [192.0.2.10], authenticate: certificate, identity: \
             vim.example, routed: {routed} }}"
        )
    };
    let points = format!("{SSH}, in: {{ from: [vim], services: [enrolment] }}");
    let about = |routed| {
        let mut lints = remarks(&proving(routed), &points, "");
        lints.retain(|lint| lint.code == Code::RoutedLease);
        lints
    };
    assert!(about("false").is_empty());
    assert_eq!(only(about("true")).subject, "vim-1");
}
