//! Routing, overlays, tunnels, control of virtual switches.

use super::table::{
    Both, CatalogueEntry, Encrypted, Inbound, Outbound, Plaintext, Unknown, protocol, services,
    tcp, tcp_range, udp, udp_range,
};

services! { "network":
    // RFC 5881 (control, echo), RFC 5883 (multihop), RFC 7130 (links of a bond), RFC 7881
    // (seamless). Both ends send.
    "bfd": [udp_range(3784, 3785), udp(4784), udp(6784), udp(7784)], Plaintext, Both,
        "routers", "Liveness of forwarding paths; lost packets take paths down";
    // RFC 4271.
    "bgp": [tcp(179)], Unknown, Both,
        "routers", "Routing; TCP MD5 or TCP-AO authenticate it";
    // RFC 5036.
    "ldp": [tcp(646), udp(646)], Plaintext, Both,
        "routers", "Labels of MPLS; TCP MD5 authenticates its sessions";
    // RFC 2328, RFC 5340.
    "ospf": [protocol(89)], Plaintext, Both,
        "routers", "Routing; its keys authenticate, but do not encrypt";
    // RFC 9568.
    "vrrp": [protocol(112)], Plaintext, Both,
        "HA peers", "Virtual router redundancy (keepalived)";

    // RFC 8926; kolla-ansible's OVN.
    "geneve": [udp(6081)], Plaintext, Both,
        "peer tunnel endpoints", "Overlay of OVN; high packet rates";
    // RFC 2784.
    "gre": [protocol(47)], Plaintext, Both,
        "peer tunnel endpoints", "Overlay; high packet rates";
    // RFC 2003; Calico's other overlay.
    "ipip": [protocol(4)], Plaintext, Both,
        "peer tunnel endpoints", "Overlay of Calico; high packet rates";
    // RFC 7510.
    "mpls-udp": [udp(6635)], Plaintext, Both,
        "peer tunnel endpoints", "Overlay of Tungsten Fabric; high packet rates";
    // RFC 7348; Open vSwitch, Calico.
    "vxlan": [udp(4789)], Plaintext, Both,
        "peer tunnel endpoints", "Overlay; high packet rates";
    // Linux's own port for VXLAN; flannel, Documentation/backends.md; Cilium,
    // Documentation/operations/system_requirements.rst.
    "vxlan-linux": [udp(8472)], Plaintext, Both,
        "peer tunnel endpoints", "Overlay of Flannel, K3s and Cilium; high packet rates";

    // RFC 7296, RFC 3948, RFC 4303, RFC 4302.
    "ipsec": [udp(500), udp(4500), protocol(50), protocol(51)], Encrypted, Both,
        "peers, security gateways", "IKE, ESP and AH";
    // What wg(8) shows; Calico and Flannel have the second for IPv6.
    "wireguard": [udp_range(51820, 51821)], Encrypted, Both,
        "peers, security gateways", "WireGuard tunnels, also of Calico, Flannel and Antrea";

    // OpenFlow 1.3.3 and the IANA registry.
    "openflow": [tcp(6653)], Unknown, Both,
        "SDN controller", "Control of the virtual switch";
    // kolla-ansible, ansible/group_vars/all/openvswitch.yml.
    "ovsdb": [tcp(6640)], Plaintext, Inbound,
        "the host itself", "Database of Open vSwitch; belongs on the loopback address";
    // kolla-ansible, ansible/group_vars/all/ovn.yml. Computes ask a relay where there are any,
    // which is the default: 16641 and on, one for each 50 computes, here 20 of them.
    "ovn-nb": [tcp(6641)], Unknown, Outbound,
        "OVN databases", "Northbound database of OVN";
    "ovn-sb": [tcp(6642), tcp_range(16641, 16660)], Unknown, Outbound,
        "OVN databases", "Southbound database of OVN, and kolla-ansible's relays of it";
    // ovn-ctl(8): RAFT of the northbound and the southbound database; then the interconnection's.
    "ovn-raft": [tcp_range(6643, 6644)], Unknown, Both,
        "OVN databases", "Clustering of OVN's databases";
    "ovn-ic": [tcp_range(6645, 6646)], Unknown, Outbound,
        "OVN databases", "Databases of OVN's interconnection";
}
