//! What parts of a policy mean together.

use std::fmt::Write;

use super::*;

#[test]
fn names_resolve() {
    assert_mistake(
        "from: [vim]",
        "from: [vmi]",
        (10, "vmi"),
        "no endpoint has the role `vmi`",
        "`vim`?",
    );
    assert_mistake(
        "from: [vim]",
        "from: [juju]",
        (10, "juju"),
        "no endpoint has the role `juju`",
        "Give the role",
    );
    assert_mistake(
        "amqps,",
        "amqpz,",
        (11, "amqpz"),
        "no service `amqpz`",
        "`amqp",
    );
    assert_mistake(
        "from: [vim]",
        "from: [vim, vim]",
        (10, "vim"),
        "the role `vim` twice",
        "Remove",
    );
    assert!(read(&SMALL.replace("from: [vim]", "from: [vim, nfvo]"), "f").is_ok());
}

#[test]
fn a_role_that_could_not_be_read_is_not_reported_as_missing_too() {
    let text = SMALL
        .replace("role: bastion", "role: [bastion]")
        .replace("from: [vim]", "from: [bastion]");
    assert_eq!(mistakes(&text).len(), 1);
}

#[test]
fn a_reference_point_has_one_direction() {
    assert_mistake(
        "from: [vim]",
        "from: [vim], to: [vim]",
        (10, "Nf-Vi"),
        "both `from` and `to`",
        "two reference points",
    );
    assert_mistake(
        "from: [vim], ",
        "",
        (10, "Nf-Vi"),
        "neither",
        "`from: [ROLE]`",
    );
}

#[test]
fn an_address_is_in_one_endpoint() {
    let found = mistake("198.51.100.0/28", "198.51.100.0/28, 192.0.2.10/32");
    assert_eq!(found.line, 8);
    assert!(
        found
            .message
            .contains("endpoint `vim-1` (line 7) and in endpoint `bastion` (line 8)"),
        "{found:?}"
    );
    assert_mistake(
        "192.0.2.10,",
        "192.0.2.10, 192.0.2.10,",
        (7, "192.0.2.10"),
        "twice in endpoint `vim-1`",
        "Remove",
    );
    assert!(read(&SMALL.replace("198.51.100.0/28", "192.0.2.0/24"), "f").is_ok());
}

#[test]
fn services_are_well_formed() {
    let old = "{ protocol: tcp, ports: [22, 7100-7103, \"7104\"] }";
    assert_mistake(
        old,
        "{ protocol: tcp }",
        (13, "tcp"),
        "names no ports of tcp",
        "ports:",
    );
    assert_mistake(
        old,
        "{ protocol: gre, ports: [1] }",
        (13, "["),
        "gre has no ports",
        "Remove `ports`",
    );
    assert_mistake(
        old,
        "{ protocol: TCP, ports: [1] }",
        (13, "TCP"),
        "`TCP` is not a protocol",
        "`tcp`?",
    );
    assert_mistake(
        old,
        "{ protocol: 256 }",
        (13, "256"),
        "`256` is not a protocol",
        "up to 255",
    );
    assert_mistake(
        old,
        "{ protocol: 6, ports: [9-1] }",
        (13, "9-1"),
        "ends before it begins",
        "`1-9`",
    );
    assert_mistake(
        old,
        "{ protocol: 6, ports: [0] }",
        (13, "0"),
        "not a port",
        "1 to 65535",
    );
    assert_mistake(old, "[]", (13, "["), "is empty", "protocol: tcp");
    let two = "[{ protocol: 6, ports: [1], encryption: plaintext }, { protocol: 17, ports: \
     [1], encryption: encrypted }]";
    assert_mistake(
        old,
        two,
        (13, "encrypted"),
        "`plaintext` in line 13",
        "two services",
    );
}

#[test]
fn a_service_names_types_and_codes_of_icmp() {
    let old = "{ protocol: tcp, ports: [22, 7100-7103, \"7104\"] }";
    for (written, meant) in [
        ("{ protocol: icmp, types: [13] }", "icmp timestamp-request"),
        (
            "[{ protocol: 1, types: [200, echo-request], codes: [0, 3] }, { protocol: icmp, types: [8], codes: [1] }]",
            "icmp echo-request codes 0/1/3, icmp type 200 codes 0/3",
        ),
        (
            "{ protocol: icmpv6, types: [node-information-query, 160] }",
            "icmpv6 node-information-query, icmpv6 extended-echo-request",
        ),
        ("{ protocol: icmp }", "icmp"),
    ] {
        let policy = read(&SMALL.replace(old, written), "f").unwrap().policy;
        let matches = &policy.services["vendor-agent"].matches;
        let matches: Vec<_> = matches.iter().map(ToString::to_string).collect();
        assert_eq!(matches.join(", "), meant);
    }
    for (written, at, message, remedy) in [
        (
            "{ protocol: icmp, types: [pong] }",
            "pong",
            "icmp has no type `pong`",
            "echo-request",
        ),
        (
            "{ protocol: icmp, types: [256] }",
            "256",
            "no type `256`",
            "0 to 255",
        ),
        (
            "{ protocol: icmp, types: [echo-requst] }",
            "echo-requst",
            "no type",
            "`echo-request`?",
        ),
        (
            "{ protocol: icmp, types: [14] }",
            "14",
            "answers requests",
            "`timestamp-request`",
        ),
        (
            "{ protocol: icmpv6, types: [135] }",
            "135",
            "neighbour discovery",
            "Remove it",
        ),
        (
            "{ protocol: icmp, codes: [0] }",
            "[",
            "no `types`",
            "types: [8]",
        ),
        (
            "{ protocol: icmp, types: [8], codes: [15] }",
            "15",
            "not a code",
            "0 to 14",
        ),
        (
            "{ protocol: gre, types: [8] }",
            "[",
            "gre has no types",
            "protocol: icmp",
        ),
        (
            "{ protocol: tcp, ports: [1], types: [8] }",
            "[",
            "tcp has no types",
            "Remove them",
        ),
        (
            "{ protocol: icmp, ports: [1] }",
            "[",
            "icmp has no ports",
            "Remove `ports`",
        ),
    ] {
        assert_mistake(old, written, (13, at), message, remedy);
    }
}

#[test]
fn a_type_of_icmp_belongs_to_one_service_of_a_direction() {
    let old = "{ protocol: tcp, ports: [22, 7100-7103, \"7104\"] }";
    let with = |service: &str| {
        let text = SMALL.replace(old, service);
        text.replace("[amqps, vendor-agent]", "[ping, vendor-agent]")
    };
    for (service, both) in [
        ("{ protocol: icmp }", "icmp echo-request"),
        (
            "{ protocol: icmp, types: [8], codes: [1] }",
            "icmp echo-request",
        ),
    ] {
        let found = mistakes(&with(service));
        assert!(
            found[0].message.contains(&format!("both match {both}")),
            "{found:?}"
        );
    }
    assert!(read(&with("{ protocol: icmp, types: [13] }"), "f").is_ok());
    assert!(read(&with("{ protocol: icmpv6, types: [139] }"), "f").is_ok());
}

#[test]
fn services_of_one_direction_do_not_overlap() {
    let found = mistake("[libvirt-tls, ssh]", "[ssh, vendor-agent]");
    assert_eq!(found.line, 10);
    assert!(
        found
            .message
            .contains("`ssh` (in `Nf-Vi`, line 10) and `vendor-agent`"),
        "{found:?}"
    );
    assert!(found.message.contains("both match tcp 22"), "{found:?}");
}

#[test]
fn limits_hold() {
    let points = |count: usize, services: &str| {
        let mut text =
            SMALL.split("reference_points:").next().unwrap().to_owned() + "reference_points:\n";
        for index in 0..count {
            writeln!(
                text,
                "  p-{index}: {{ from: [vim], services: [{services}] }}"
            )
            .unwrap();
        }
        text
    };
    assert!(read(&points(255, "ssh, snmp"), "f").is_ok());
    assert!(
        mistakes(&points(256, "ssh"))[0]
            .message
            .contains("256 reference points, and one policy can hold 255")
    );
    assert!(
        mistakes(&points(200, "ssh, snmp, kubelet"))[0]
            .message
            .contains("600 services")
    );
    let mut text = SMALL.split("  bastion").next().unwrap().to_owned();
    for index in 0..63 {
        writeln!(
            text,
            "  e-{index}: {{ role: r-{index}, addresses: [10.0.0.{index}] }}"
        )
        .unwrap();
    }
    text += "reference_points: {}\n";
    assert!(mistakes(&text)[0].message.contains("64 roles"));
}
