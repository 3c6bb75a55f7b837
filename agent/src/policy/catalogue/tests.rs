use std::collections::{BTreeMap, BTreeSet};

use super::{
    table::{Both, Encrypted, Inbound, Outbound, Plaintext},
    *,
};

/// Services that share ports in one direction because one is part of another, or because what
/// listens there differs by host. One policy can use one of them in a direction.
const SHARED: &[&[&str]] = &[
    &["openstack-api", "keystone"],
    &["openstack-api", "nova"],
    &["openstack-api", "nova-metadata"],
    &["openstack-api", "cinder"],
    &["openstack-api", "placement"],
    &["openstack-api", "glance"],
    &["openstack-api", "neutron"],
    &["redfish", "restconf"],
];

/// What a service matches, as text.
fn written(name: &str) -> String {
    let entry = find(name).unwrap();
    let matches: Vec<_> = entry.matches.iter().map(ToString::to_string).collect();
    matches.join(", ")
}

#[test]
fn names_are_sorted_and_every_one_is_found() {
    assert!(catalogue().is_sorted_by(|a, b| a.name < b.name));
    for entry in catalogue() {
        assert_eq!(find(entry.name).unwrap().name, entry.name);
    }
    assert!(find("telnet").is_none());
}

#[test]
fn every_service_is_described() {
    for entry in catalogue() {
        let name = entry.name;
        for text in [entry.subject, entry.peer, entry.description] {
            assert!(!text.is_empty() && text.trim() == text, "{name}");
            assert!(!text.ends_with('.'), "{name}");
        }
        assert!(name.len() <= 20, "{name} takes the table's room");
        assert!(!entry.matches.is_empty(), "{name}");
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.chars().all(kebab), "{name}");
    }
}

#[test]
fn ranges_are_sorted_and_apart_within_a_service() {
    for entry in catalogue() {
        let ranges: Vec<_> = entry
            .matches
            .iter()
            .map(|carried| carried.range())
            .collect();
        let name = entry.name;
        let mut met = BTreeSet::new();
        for pair in ranges.windows(2) {
            if pair[0].0 == pair[1].0 {
                assert!(pair[0].2 < pair[1].1, "{name}");
            } else {
                assert!(met.insert(pair[0].0) && !met.contains(&pair[1].0), "{name}");
            }
        }
        for carried in entry.matches {
            if let ServiceMatch::Ports { first, last, .. } = *carried {
                assert!(0 < first && first <= last, "{name}");
            }
        }
    }
}

#[test]
fn services_of_one_direction_share_ports_only_where_it_is_meant() {
    let directions = |usual| match usual {
        Inbound => [true, false],
        Outbound => [false, true],
        Both => [true, true],
    };
    let mut found = BTreeSet::new();
    for (at, one) in catalogue().iter().enumerate() {
        for other in &catalogue()[at + 1..] {
            let together = directions(one.usual)
                .iter()
                .zip(directions(other.usual))
                .any(|(&a, b)| a && b);
            let meet = one.matches.iter().any(|a| {
                let a = a.range();
                other
                    .matches
                    .iter()
                    .map(|b| b.range())
                    .any(|b| a.0 == b.0 && a.1 <= b.2 && b.1 <= a.2)
            });
            if together && meet {
                found.insert([one.name, other.name]);
            }
        }
    }
    let meant = SHARED.iter().map(|pair| {
        let mut pair = [pair[0], pair[1]];
        pair.sort_unstable();
        pair
    });
    assert_eq!(found, meant.collect());
}

#[test]
fn openstack_api_is_the_sum_of_its_services() {
    let services = SHARED.iter().filter(|pair| pair[0] == "openstack-api");
    let ports = |name| {
        let matches = find(name).unwrap().matches;
        matches.iter().flat_map(|carried| {
            let (protocol, first, last) = carried.range();
            assert_eq!(protocol, 6);
            first..=last
        })
    };
    let sum: BTreeSet<u16> = services.flat_map(|pair| ports(pair[1])).collect();
    assert_eq!(sum, ports("openstack-api").collect());
}

/// Values that the deployments have by default, which the files name.
#[test]
fn ports_are_those_of_the_sources() {
    for (name, matches) in [
        // kolla-ansible has 8780, upstream 8778.
        ("placement", "tcp 8778, tcp 8780"),
        (
            "openstack-api",
            "tcp 5000, tcp 8774-8776, tcp 8778, tcp 8780, tcp 9292, tcp 9696",
        ),
        ("barbican", "tcp 9311"),
        ("cloudkitty", "tcp 8089, tcp 8889"),
        ("heat", "tcp 8000, tcp 8004"),
        ("ironic", "tcp 6385"),
        ("masakari", "tcp 15868"),
        ("octavia", "tcp 9876"),
        ("migration-ssh", "tcp 2022, tcp 8022"),
        // Relays stand before the database by default in kolla-ansible.
        ("ovn-sb", "tcp 6642, tcp 16641-16660"),
        ("opensearch", "tcp 9200"),
        ("galera", "tcp 4444, tcp 4567-4568, udp 4567"),
        // ms_bind_port_max is 7568.
        ("ceph", "tcp 3300, tcp 6789, tcp 6800-7568"),
        // Base 30000, size 2768.
        (
            "node-port",
            "tcp 30000-32767, udp 30000-32767, sctp 30000-32767",
        ),
        ("kube-proxy-health", "tcp 10256"),
        ("kubelet", "tcp 10250"),
        ("etcd", "tcp 2379-2380"),
        ("etcd-metrics", "tcp 2381"),
        ("vxlan-linux", "udp 8472"),
        ("cilium-health", "tcp 4240"),
        ("cilium-wireguard", "udp 51871"),
        ("nts-ke", "tcp 4460"),
        ("corosync", "udp 5404-5412"),
        ("ospf", "ospf"),
        ("vrrp", "vrrp"),
    ] {
        assert_eq!(written(name), matches, "{name}");
    }
}

#[test]
fn outbound_services_name_only_what_is_asked() {
    for (name, matches) in [
        ("dhcp", "udp 67"),
        ("dhcpv6", "udp 547"),
        ("dns", "tcp 53, udp 53"),
        ("ntp", "udp 123"),
        ("ping", "icmp echo-request, icmpv6 echo-request"),
        ("tftp", "udp 69"),
    ] {
        assert_eq!(written(name), matches);
        assert_ne!(find(name).unwrap().usual, Inbound, "{name}");
    }
}

/// A peer of the same kind as the host opens connections as the host does.
#[test]
fn peers_of_the_same_kind_are_asked_both_ways() {
    for name in [
        "bfd",
        "bgp",
        "corosync",
        "etcd",
        "geneve",
        "gre",
        "ipsec",
        "libvirt-tls",
        "metallb",
        "migration-data",
        "migration-ssh",
        "ospf",
        "ovn-raft",
        "ptp",
        "vrrp",
        "vxlan",
        "vxlan-linux",
        "wireguard",
    ] {
        assert_eq!(find(name).unwrap().usual, Both, "{name}");
    }
}

#[test]
fn encryption_is_said_by_name_too() {
    for entry in catalogue() {
        let tls = entry.name.ends_with("-tls") || ["amqps", "ldaps", "https"].contains(&entry.name);
        if tls {
            assert_eq!(entry.encryption, Encrypted, "{}", entry.name);
        }
        if entry.name.contains("exporter") || entry.name.ends_with("-metrics") {
            assert_eq!(entry.encryption, Plaintext, "{}", entry.name);
        }
    }
    for name in [
        "http",
        "dns",
        "tacacs",
        "radius",
        "nfs",
        "iscsi",
        "memcached",
        "geneve",
    ] {
        assert_eq!(find(name).unwrap().encryption, Plaintext, "{name}");
    }
}

#[test]
fn subjects_hold_several_services_each() {
    let mut subjects: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in catalogue() {
        *subjects.entry(entry.subject).or_default() += 1;
    }
    assert_eq!(subjects.len(), 9);
    assert!(subjects.values().all(|&services| services > 1));
}

#[test]
fn json_shows_matches_as_a_person_writes_them() {
    let json = serde_json::to_value(find("ipsec").unwrap()).unwrap();
    assert_eq!(
        json["matches"],
        serde_json::json!(["udp 500", "udp 4500", "esp", "ah"])
    );
    assert_eq!(json["usual"], "both");
    assert_eq!(json["subject"], "network");
}
