//! The built-in services: management, control and infrastructure traffic of an NFVI compute
//! host, as the usual deployments (`OpenStack`, OVN, Kubernetes, Ceph) use it.

use serde::{Serialize, Serializer};

use super::model::{Encryption, Service, ServiceMatch, Transport};

/// One built-in service.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CatalogueEntry {
    /// What a policy calls it.
    pub name: &'static str,
    /// What its packets carry.
    #[serde(serialize_with = "as_text")]
    pub matches: &'static [ServiceMatch],
    /// Whether it protects what it carries.
    pub encryption: Encryption,
    /// Who usually opens its connections.
    pub usual: Usual,
    /// Who legitimately is at the other end.
    pub peer: &'static str,
    /// What it is.
    pub description: &'static str,
}

/// Who usually opens a service's connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usual {
    /// The peers.
    Inbound,
    /// The host.
    Outbound,
    /// Either.
    Both,
}

/// All built-in services, by name.
#[must_use]
pub fn catalogue() -> &'static [CatalogueEntry] {
    CATALOGUE
}

/// The built-in service `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static CatalogueEntry> {
    let index = CATALOGUE
        .binary_search_by_key(&name, |entry| entry.name)
        .ok()?;
    Some(&CATALOGUE[index])
}

impl CatalogueEntry {
    /// The service as a policy uses it.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            matches: self.matches.to_vec(),
            encryption: self.encryption,
        }
    }
}

fn as_text<S: Serializer>(matches: &&[ServiceMatch], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(matches.iter().map(ToString::to_string))
}

const fn ports(transport: Transport, first: u16, last: u16) -> ServiceMatch {
    ServiceMatch::Ports {
        transport,
        first,
        last,
    }
}

const fn tcp(port: u16) -> ServiceMatch {
    ports(Transport::Tcp, port, port)
}

const fn tcp_range(first: u16, last: u16) -> ServiceMatch {
    ports(Transport::Tcp, first, last)
}

const fn udp(port: u16) -> ServiceMatch {
    ports(Transport::Udp, port, port)
}

const fn udp_range(first: u16, last: u16) -> ServiceMatch {
    ports(Transport::Udp, first, last)
}

const fn protocol(number: u8) -> ServiceMatch {
    ServiceMatch::Protocol(number)
}

use Encryption::{Encrypted, Plaintext, Unknown};
use Usual::{Both, Inbound, Outbound};

macro_rules! services {
    ($($name:literal: [$($matches:expr),+], $encryption:ident, $usual:ident, $peer:literal, $description:literal;)+) => {
        /// Sorted by name.
        const CATALOGUE: &[CatalogueEntry] = &[$(CatalogueEntry {
            name: $name,
            matches: &[$($matches),+],
            encryption: $encryption,
            usual: $usual,
            peer: $peer,
            description: $description,
        }),+];
    };
}

services! {
    "amqp": [tcp(5672)], Plaintext, Outbound,
        "VIM control plane", "Message bus of OpenStack, without TLS";
    "amqps": [tcp(5671)], Encrypted, Outbound,
        "VIM control plane", "Message bus of OpenStack, with TLS";
    "bfd": [udp_range(3784, 3785), udp(4784)], Plaintext, Inbound,
        "routers", "Liveness of forwarding paths; a loss is an outage";
    "bgp": [tcp(179)], Unknown, Both,
        "routers", "Routing; TCP MD5 or TCP-AO authenticate it";
    "cadvisor": [tcp(18080)], Plaintext, Inbound,
        "monitoring", "Container metrics";
    "ceph": [tcp(3300), tcp(6789), tcp_range(6800, 7300)], Unknown, Outbound,
        "storage", "Ceph monitors and OSDs; msgr2 can encrypt";
    "collectd": [udp(25826)], Unknown, Outbound,
        "metrics collector", "Metrics of collectd";
    "dhcp": [udp(67)], Plaintext, Outbound,
        "DHCP servers", "IPv4 addresses: what a client asks";
    "dhcpv6": [udp(547)], Plaintext, Outbound,
        "DHCP servers", "IPv6 addresses: what a client asks";
    "dns": [tcp(53), udp(53)], Plaintext, Outbound,
        "resolvers", "Name resolution";
    "enrolment": [udp(7443)], Encrypted, Inbound,
        "endpoints that show a certificate", "Proof of who an endpoint is (`manoward join`)";
    "etcd": [tcp_range(2379, 2380)], Encrypted, Outbound,
        "Kubernetes control plane", "Key-value store of Kubernetes";
    "geneve": [udp(6081)], Plaintext, Inbound,
        "peer tunnel endpoints", "Overlay of OVN; sensitive to rate";
    "gnmi": [tcp(9339), tcp(57400)], Encrypted, Inbound,
        "SDN controller, EM", "Telemetry and configuration over gRPC";
    "gre": [protocol(47)], Plaintext, Inbound,
        "peer tunnel endpoints", "Overlay; sensitive to rate";
    "ipmi": [udp(623)], Unknown, Inbound,
        "out-of-band administration", "Baseboard management, weakly protected";
    "ipsec": [udp(500), udp(4500), protocol(50), protocol(51)], Encrypted, Both,
        "peers, security gateways", "IKE, ESP and AH";
    "iscsi": [tcp(3260)], Plaintext, Outbound,
        "storage", "Block storage; CHAP authenticates only";
    "kube-apiserver": [tcp(6443)], Encrypted, Outbound,
        "Kubernetes control plane", "API of Kubernetes";
    "kubelet": [tcp(10250)], Encrypted, Inbound,
        "Kubernetes control plane", "Node agent of Kubernetes";
    "libvirt-exporter": [tcp(9177)], Plaintext, Inbound,
        "monitoring", "Guest metrics for Prometheus";
    "libvirt-tcp": [tcp(16509)], Plaintext, Inbound,
        "peer computes", "Remote libvirt without TLS";
    "libvirt-tls": [tcp(16514)], Encrypted, Inbound,
        "peer computes, VIM", "Remote libvirt with mutual TLS";
    "migration-data": [tcp_range(49152, 49215)], Unknown, Inbound,
        "peer computes", "Guest memory in live migration; plaintext unless QEMU-native TLS is on";
    "migration-data-edpm": [tcp_range(61152, 61215)], Unknown, Inbound,
        "peer computes", "Guest memory in live migration, at the ports of TripleO and EDPM";
    "migration-ssh": [tcp(2022)], Encrypted, Inbound,
        "peer computes", "SSH of Nova's migration target";
    "netconf": [tcp(830)], Encrypted, Inbound,
        "EM, SDN controller", "Configuration over SSH";
    "netconf-tls": [tcp(6513)], Encrypted, Inbound,
        "EM, SDN controller", "Configuration over TLS";
    "node-exporter": [tcp(9100)], Plaintext, Inbound,
        "monitoring", "Host metrics for Prometheus";
    "ntp": [udp(123)], Unknown, Outbound,
        "time servers", "Time; NTS authenticates where it is on";
    "openflow": [tcp(6653)], Unknown, Both,
        "SDN controller", "Control of the virtual switch";
    "openstack-api": [tcp(5000), tcp_range(8774, 8776), tcp(9292), tcp(9696)], Unknown, Outbound,
        "VIM API address", "Keystone, Nova, Placement, Cinder, Glance, Neutron";
    "ovn-nb": [tcp(6641)], Unknown, Outbound,
        "OVN databases", "Northbound database of OVN";
    "ovn-sb": [tcp(6642)], Unknown, Outbound,
        "OVN databases", "Southbound database of OVN";
    "ovsdb": [tcp(6640)], Plaintext, Inbound,
        "the host itself", "Database of Open vSwitch; belongs on the loopback address";
    "ping": [protocol(1), protocol(58)], Unknown, Both,
        "monitoring", "ICMP and ICMPv6, echo and all else";
    "ptp": [udp_range(319, 320)], Plaintext, Inbound,
        "grandmaster clock", "Precise time over UDP";
    "redfish": [tcp(443)], Encrypted, Inbound,
        "out-of-band administration", "Baseboard management over HTTPS";
    "restconf": [tcp(443)], Encrypted, Inbound,
        "EM, SDN controller", "Configuration over HTTPS";
    "snmp": [udp(161)], Unknown, Inbound,
        "NMS", "Queries of the SNMP agent; only v3 protects them";
    "snmp-trap": [udp(162)], Unknown, Outbound,
        "fault collector", "Notifications of the SNMP agent; only v3 protects them";
    "ssh": [tcp(22)], Encrypted, Inbound,
        "deployer, bastion", "Administration";
    "syslog": [udp(514)], Plaintext, Outbound,
        "SIEM", "Logs over UDP";
    "syslog-tls": [tcp(6514)], Encrypted, Outbound,
        "SIEM", "Logs over TLS";
    "tftp": [udp(69)], Plaintext, Outbound,
        "provisioner", "Files at boot; each transfer has a port of its own";
    "ves": [tcp(8443), tcp(30417)], Encrypted, Outbound,
        "fault collector", "Events to a VES collector over HTTPS";
    "vnc": [tcp_range(5900, 5999)], Plaintext, Inbound,
        "console proxies", "Guest consoles; plaintext unless VeNCrypt is on";
    "vrrp": [protocol(112)], Plaintext, Inbound,
        "HA peers", "Virtual router redundancy";
    "vxlan": [udp(4789)], Plaintext, Inbound,
        "peer tunnel endpoints", "Overlay; sensitive to rate";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_every_one_is_found() {
        assert!(CATALOGUE.is_sorted_by(|a, b| a.name < b.name));
        for entry in catalogue() {
            assert_eq!(find(entry.name).unwrap().name, entry.name);
        }
        assert!(find("telnet").is_none());
    }

    #[test]
    fn ranges_are_sorted_and_apart_within_a_service() {
        for entry in catalogue() {
            let ranges: Vec<_> = entry
                .matches
                .iter()
                .map(|matches| matches.range())
                .collect();
            for pair in ranges.windows(2) {
                let apart = pair[0].0 != pair[1].0 || pair[0].2 < pair[1].1;
                assert!(apart, "{}", entry.name);
            }
        }
    }

    #[test]
    fn outbound_services_name_only_what_is_asked() {
        for (name, matches) in [
            ("dhcp", "udp 67"),
            ("dhcpv6", "udp 547"),
            ("dns", "tcp 53, udp 53"),
            ("ntp", "udp 123"),
            ("ping", "icmp, icmpv6"),
            ("tftp", "udp 69"),
        ] {
            let entry = find(name).unwrap();
            let found: Vec<_> = entry.matches.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(", "), matches);
            assert_ne!(entry.usual, Inbound, "{name}");
        }
    }

    #[test]
    fn json_shows_matches_as_a_person_writes_them() {
        let json = serde_json::to_value(find("ipsec").unwrap()).unwrap();
        assert_eq!(
            json["matches"],
            serde_json::json!(["udp 500", "udp 4500", "esp", "ah"])
        );
        assert_eq!(json["usual"], "both");
    }
}
