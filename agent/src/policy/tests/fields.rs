//! Fields, kinds of value and ranges.

use super::*;

#[test]
fn fields_are_known_and_complete() {
    assert_mistake(
        "addresses: [198",
        "adresses: [192.0.2.1], addresses: [198",
        (8, "adresses"),
        "unknown field `adresses`",
        "`addresses`?",
    );
    assert_mistake(
        "mac:",
        "identity: x, mac:",
        (7, "x"),
        "`identity` applies only",
        "authenticate: certificate",
    );
    assert_mistake(
        "services: [libvirt-tls, ssh]",
        "transport: x, services: [ssh]",
        (10, "transport"),
        "`transport`",
        "remove it",
    );
    assert_mistake(
        "services:\n  v",
        "break_glass: { services: [ssh] }\nservices:\n  v",
        (12, "{ "),
        "`break_glass` has no `addresses`",
        "addresses: [",
    );
    assert_mistake(
        "name: compute-17\n",
        "",
        (1, ""),
        "has no `name`",
        "name: compute-17",
    );
    assert_mistake(
        "role: bastion, ",
        "",
        (8, "bastion"),
        "endpoint `bastion` has no `role`",
        "role: vim",
    );
    assert_mistake(
        "serial: 42",
        "serial: 42\nserial: 43",
        (4, "serial"),
        "`serial` is written twice",
        "Keep one",
    );
}

#[test]
fn kinds_of_value_are_checked() {
    assert_mistake(
        "[interface-addresses",
        "interface-addresses #",
        (5, "interface-addresses"),
        "must be a list, not text",
        "Write `protect: [interface-addresses]`.",
    );
    assert_mistake("[bond0]", "[]", (4, "["), "is empty", "interfaces: [eth0]");
    assert_mistake(
        "name: compute-17",
        "name: 17",
        (2, "17"),
        "must be text",
        "`\"17\"`",
    );
    assert_mistake(
        "serial: 42",
        "serial: soon",
        (3, "soon"),
        "must be a whole number",
        "serial: 1",
    );
    assert_mistake(
        "\"200.100\"",
        "200.100",
        (7, "200.100"),
        "with a fraction",
        "`\"200.100\"`",
    );
    assert_mistake(
        "\"2001:db8::10\"",
        "2001:db8::",
        (7, ""),
        "not a mapping",
        "`\"2001:db8::\"`",
    );
    assert_mistake(
        "name: compute-17",
        "name: *x",
        (2, "*"),
        "anchor",
        "Write the value itself",
    );
    assert_mistake(
        "name: compute-17",
        "name: !!str 17",
        (2, "!!str 17"),
        "tag `!!str`",
        "Remove it",
    );
}

#[test]
fn values_are_in_range() {
    assert_mistake(
        "manoward/v1",
        "manoward/v2",
        (1, "manoward/v2"),
        "not a version",
        "`apiVersion: manoward/v1`",
    );
    assert_mistake(
        "serial: 42",
        "serial: 0",
        (3, "0"),
        "not a serial number",
        "from 1",
    );
    assert_mistake(
        "[bond0]",
        "[bond0, bond0]",
        (4, "bond0"),
        "listed twice",
        "Remove",
    );
    assert_mistake(
        "[bond0]",
        "[eth/0]",
        (4, "eth/0"),
        "name of an interface",
        "127 bytes",
    );
    assert_mistake("untagged", "4095", (8, "4095"), "not a VLAN", "1 to 4094");
    assert_mistake(
        "52:54:00:aa:bb:01",
        "53:54:00:aa:bb:01",
        (7, "53:54:00:aa:bb:01"),
        "MAC",
        "group address",
    );
    assert_mistake(
        "mode: audit",
        "mode: observe",
        (11, "observe"),
        "`observe`",
        "`enforce`, `audit`",
    );
    assert_mistake(
        "role: bastion",
        "role: bastion, authenticate: certificate",
        (8, "certificate"),
        "authenticates by certificate, but has no `identity`",
        "identity: spiffe://",
    );
    assert_mistake(
        "role: bastion",
        "role: bastion, authenticate: certificate, identity: \"a b\"",
        (8, "\"a b\""),
        "neither a URI nor a DNS name",
        "identity: spiffe://",
    );
    for number in ["0", "1", "65", "two"] {
        assert_mistake(
            "role: bastion",
            &format!(
                "role: bastion, authenticate: certificate, identity: a.example, sessions: {number}"
            ),
            (8, number),
            "is not a value of `sessions`",
            "2 to 64",
        );
    }
    assert_mistake(
        "role: bastion",
        "role: bastion, sessions: 2",
        (8, "2"),
        "`sessions` applies only",
        "authenticate: certificate",
    );
    assert_mistake(
        "Nf-Vi:",
        "enrolment:",
        (10, "enrolment"),
        "is reserved",
        "another name",
    );
    assert_mistake(
        "vim-1: {",
        "vim 1: {",
        (7, "vim 1"),
        "name of an endpoint",
        "ASCII",
    );
}

#[test]
fn outbound_is_one_of_three() {
    assert_mistake(
        "serial: 42",
        "serial: 42\noutbound: adit",
        (4, "adit"),
        "`adit` is not a value of `outbound`",
        "`audit`?",
    );
    assert_mistake(
        "serial: 42",
        "serial: 42\noutbound: off",
        (4, "off"),
        "`off`",
        "`enforce`, `audit`, `any`",
    );
    assert_mistake(
        "serial: 42",
        "serial: 42\noutbound: true",
        (4, "true"),
        "must be text",
        "`outbound: audit`",
    );
}

/// Asserts where the only mistake of these `flow_timeouts` is, and what it says.
#[track_caller]
fn assert_timeout_mistake(timeouts: &str, at: &str, message: &str, remedy: &str) {
    let new = format!("serial: 42\nflow_timeouts: {timeouts}");
    assert_mistake("serial: 42", &new, (4, at), message, remedy);
}

#[test]
fn flow_timeouts_name_states() {
    assert_timeout_mistake("5d", "5d", "mapping from names", "`STATE: 5m`");
    assert_timeout_mistake(
        "{ tcp_establishd: 5d }",
        "tcp_establishd",
        "`tcp_establishd` is not a state",
        "`tcp-established`?",
    );
    assert_timeout_mistake(
        "{ idle: 5d }",
        "idle",
        "`idle` is not a state",
        "`tcp-opening`, `tcp-established`",
    );
    assert_timeout_mistake(
        "{ echo: 5s, echo: 6s }",
        "echo",
        "`echo` is written twice",
        "Keep one",
    );
}

#[test]
fn flow_timeouts_are_durations_with_a_unit() {
    for (text, message, remedy) in [
        ("30", "`30` has no unit", "Write `30s`"),
        ("1h30m", "not a duration", "`90s`"),
        ("-5m", "not a duration", "whole number"),
        ("1.5", "not a duration", "whole number"),
        ("0s", "out of range", "from 1s to 30d"),
        ("31d", "out of range", "from 1s to 30d"),
        ("99999999999999999999d", "out of range", "from 1s to 30d"),
    ] {
        assert_timeout_mistake(&format!("{{ echo: {text} }}"), text, message, remedy);
    }
    assert_timeout_mistake(
        "{ echo: [5m] }",
        "[",
        "the timeout of `echo` must be a duration, not a list",
        "tcp-established: 5d",
    );
}
