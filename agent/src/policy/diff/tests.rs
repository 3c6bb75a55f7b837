//! Changes of every part of a policy.

use super::*;
use crate::policy::read;

const BASE: &str = "\
apiVersion: manoward/v1
name: n
serial: 1
interfaces: [eth0]
protect: [interface-addresses]
endpoints:
  vim-1: { role: vim, addresses: [192.0.2.10, 192.0.2.11] }
  lab: { role: lab, addresses: [198.51.100.0/24], mac: 52:54:00:aa:bb:01 }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh, mine] }
  lab: { to: [lab], services: [ntp] }
services:
  mine: { protocol: tcp, ports: [7100] }
";

fn policy(text: &str) -> Policy {
    read(text, "policy.yaml").unwrap().policy
}

/// The changes that replacing one part makes, as text.
fn changes(old: &str, new: &str) -> Vec<String> {
    assert!(BASE.contains(old), "{old}");
    let changed = policy(&BASE.replace(old, new));
    diff(Some(&policy(BASE)), &changed)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_same_policy_has_no_changes() {
    assert!(changes("n", "n").is_empty());
    assert!(changes("192.0.2.10, 192.0.2.11", "192.0.2.11, 192.0.2.10").is_empty());
}

#[test]
fn all_is_added_where_nothing_was() {
    let all = diff(None, &policy(BASE));
    assert!(all.iter().all(|change| change.kind == ChangeKind::Added));
    let objects: Vec<_> = all
        .iter()
        .map(|change| (change.object, &*change.name))
        .collect();
    let expected = [
        (Object::Policy, "n"),
        (Object::Interface, "eth0"),
        (Object::Protect, "interface-addresses"),
        (Object::Service, "mine"),
        (Object::Endpoint, "lab"),
        (Object::Endpoint, "vim-1"),
        (Object::ReferencePoint, "Nf-Vi"),
        (Object::ReferencePoint, "lab"),
    ];
    assert_eq!(objects, expected);
    assert_eq!(
        all[4].detail,
        "role lab, 1 address (198.51.100.0/24), mac 52:54:00:aa:bb:01"
    );
}

#[test]
fn a_first_policy_tells_what_holds_for_all() {
    let text = BASE.replace("serial: 1", "serial: 1\nflow_timeouts: { echo: 1m }");
    for (text, detail) in [
        (BASE, "serial 1, mode enforce, outbound enforce"),
        (
            &*text,
            "serial 1, mode enforce, outbound enforce; timeout of echo from 30s to 1m",
        ),
    ] {
        assert_eq!(diff(None, &policy(text))[0].detail, detail);
    }
}

#[test]
fn endpoints() {
    let many = "192.0.2.11, 192.0.2.12, 192.0.2.13, 192.0.2.14, 192.0.2.15, 192.0.2.16";
    assert_eq!(
        changes("192.0.2.10, 192.0.2.11", many),
        [
            "changed endpoint `vim-1`: added 5 addresses (192.0.2.12, 192.0.2.13, 192.0.2.14 \
             and 2 more); removed 1 \
          address (192.0.2.10)"
        ]
    );
    assert_eq!(
        changes("mac: 52:54:00:aa:bb:01", "vlan: 7"),
        ["changed endpoint `lab`: mac from 52:54:00:aa:bb:01 to none; vlan from none to 7"]
    );
    assert_eq!(
        changes("  vim-1:", "  vim-2:"),
        [
            "added endpoint `vim-2`: role vim, 2 addresses (192.0.2.10, 192.0.2.11)",
            "removed endpoint `vim-1`: role vim, 2 addresses (192.0.2.10, 192.0.2.11)",
        ]
    );
}

#[test]
fn reference_points() {
    assert_eq!(
        changes(
            "to: [lab], services: [ntp]",
            "from: [lab, vim], services: [bfd], mode: audit"
        ),
        [
            "changed reference point `lab`: direction from `to` to `from`; added role vim; \
             added service bfd; removed \
          service ntp; mode from enforce to audit"
        ]
    );
    assert_eq!(
        changes(
            "  lab: { to: [lab], services: [ntp] }",
            "  out: { to: [lab], services: [ntp] }"
        ),
        [
            "added reference point `out`: to lab; services ntp; mode enforce",
            "removed reference point `lab`: to lab; services ntp; mode enforce",
        ]
    );
    let swapped = "  lab: { to: [lab], services: [ntp] }\n  Nf-Vi: { from: [vim], services: [ssh, mine] \
         }\n";
    let order = "  Nf-Vi: { from: [vim], services: [ssh, mine] }\n  lab: { to: [lab], services: [ntp] \
         }\n";
    assert_eq!(
        changes(order, swapped),
        ["changed policy `n`: order of reference points from Nf-Vi, lab to lab, Nf-Vi"]
    );
}

#[test]
fn the_policy_itself_and_its_services() {
    assert_eq!(
        changes("serial: 1", "serial: 2\nmode: audit")[0],
        "changed policy `n`: serial from 1 to 2; mode from enforce to audit; outbound from enforce to \
         audit"
    );
    assert_eq!(
        changes("serial: 1", "serial: 1\noutbound: any"),
        ["changed policy `n`: outbound from enforce to any"]
    );
    assert_eq!(
        changes(
            "serial: 1",
            "serial: 1\nflow_timeouts: { tcp-established: 25h, echo: 30s, udp-opening: 10s }"
        ),
        [
            "changed policy `n`: timeout of tcp-established from 5d to 25h; timeout of \
             udp-opening from 30s to 10s"
        ]
    );
    assert_eq!(
        changes("[interface-addresses]", "[192.0.2.1]"),
        [
            "added protected address `192.0.2.1`",
            "removed protected address `interface-addresses`"
        ]
    );
    assert_eq!(
        changes("ports: [7100]", "ports: [7100-7103], encryption: encrypted"),
        ["changed service `mine`: from tcp 7100 to tcp 7100-7103 (encrypted)"]
    );
}

#[test]
fn changes_are_json() {
    let changed = policy(&BASE.replace("serial: 1", "serial: 2"));
    let json = serde_json::to_value(diff(Some(&policy(BASE)), &changed)).unwrap();
    let expected = serde_json::json!([
        { "kind": "changed", "object": "policy", "name": "n", "detail": "serial from 1 to 2" },
    ]);
    assert_eq!(json, expected);
}
