//! `OpenStack`: its APIs, and the traffic between its services.

use super::table::{
    Both, CatalogueEntry, Encrypted, Inbound, Outbound, Plaintext, Unknown, services, tcp,
    tcp_range, udp,
};

services! { "openstack":
    // kolla-ansible, ansible/group_vars/all/rabbitmq.yml (rabbitmq_port).
    "amqp": [tcp(5672)], Plaintext, Outbound,
        "VIM control plane", "Message bus of OpenStack, without TLS";
    "amqps": [tcp(5671)], Encrypted, Outbound,
        "VIM control plane", "Message bus of OpenStack, with TLS";

    // Six of the services below in one.
    "openstack-api": [
            tcp(5000), tcp_range(8774, 8776), tcp(8778), tcp(8780), tcp(9292), tcp(9696)
        ], Unknown, Outbound,
        "VIM API address", "Keystone, Nova, Cinder, Placement, Glance, Neutron";

    // kolla-ansible, ansible/group_vars/all/<name>.yml; openstack-ansible,
    // inventory/group_vars/<name>_all. Where they differ, it is said.
    "aodh": [tcp(8042)], Unknown, Outbound,
        "VIM API address", "OpenStack: alarms";
    "barbican": [tcp(9311)], Unknown, Outbound,
        "VIM API address", "OpenStack: keys of encrypted volumes and certificates";
    "blazar": [tcp(1234)], Unknown, Outbound,
        "VIM API address", "OpenStack: reservations";
    "cinder": [tcp(8776)], Unknown, Outbound,
        "VIM API address", "OpenStack: volumes";
    // openstack-ansible, then kolla-ansible.
    "cloudkitty": [tcp(8089), tcp(8889)], Unknown, Outbound,
        "VIM API address", "OpenStack: rating";
    // kolla-ansible only.
    "cyborg": [tcp(6666)], Unknown, Outbound,
        "VIM API address", "OpenStack: accelerators";
    "designate": [tcp(9001)], Unknown, Outbound,
        "VIM API address", "OpenStack: DNS zones";
    "glance": [tcp(9292)], Unknown, Outbound,
        "VIM API address", "OpenStack: images";
    "gnocchi": [tcp(8041)], Unknown, Outbound,
        "VIM API address", "OpenStack: metrics";
    "heat": [tcp(8000), tcp(8004)], Unknown, Outbound,
        "VIM API address", "OpenStack: orchestration, and its CloudFormation API";
    "ironic": [tcp(6385)], Unknown, Outbound,
        "VIM API address", "OpenStack: bare metal";
    // openstack-ansible; the service that newer Ironic needs no more.
    "ironic-inspector": [tcp(5050)], Unknown, Outbound,
        "VIM API address", "OpenStack: inspection of bare metal";
    "keystone": [tcp(5000)], Unknown, Outbound,
        "VIM API address", "OpenStack: identity";
    "magnum": [tcp(9511)], Unknown, Outbound,
        "VIM API address", "OpenStack: container clusters";
    "manila": [tcp(8786)], Unknown, Outbound,
        "VIM API address", "OpenStack: shared file systems";
    "masakari": [tcp(15868)], Unknown, Outbound,
        "VIM API address", "OpenStack: high availability of guests: reports of the monitors on computes";
    "mistral": [tcp(8989)], Unknown, Outbound,
        "VIM API address", "OpenStack: workflows";
    "neutron": [tcp(9696)], Unknown, Outbound,
        "VIM API address", "OpenStack: networks";
    "nova": [tcp(8774)], Unknown, Outbound,
        "VIM API address", "OpenStack: servers";
    "nova-metadata": [tcp(8775)], Unknown, Outbound,
        "VIM API address", "OpenStack: metadata of guests, from the metadata agent";
    "octavia": [tcp(9876)], Unknown, Outbound,
        "VIM API address", "OpenStack: load balancers";
    // Upstream's installation guide (also TripleO and EDPM); kolla-ansible and openstack-ansible.
    "placement": [tcp(8778), tcp(8780)], Unknown, Outbound,
        "VIM API address", "OpenStack: inventory of resources: a compute that cannot report gets no guests";
    "skyline": [tcp_range(9998, 9999)], Unknown, Outbound,
        "VIM API address", "OpenStack: web console";
    // openstack-ansible only; RADOS gateways are `ceph-rgw`.
    "swift": [tcp(8080)], Unknown, Outbound,
        "VIM API address", "OpenStack: objects";
    "tacker": [tcp(9890)], Unknown, Outbound,
        "VIM API address", "OpenStack: VNFM and NFVO";
    "trove": [tcp(8779)], Unknown, Outbound,
        "VIM API address", "OpenStack: databases";
    // kolla-ansible only.
    "watcher": [tcp(9322)], Unknown, Outbound,
        "VIM API address", "OpenStack: optimization";
    // openstack-ansible only.
    "zun": [tcp(9517)], Unknown, Outbound,
        "VIM API address", "OpenStack: containers";

    // ironic-python-agent, ironic_python_agent/config.py (listen_port); TLS is agreed on.
    "ironic-agent": [tcp(9999)], Unknown, Inbound,
        "Ironic conductors", "Agent on a host that Ironic deploys";
    // kolla-ansible, ansible/group_vars/all/nova.yml: noVNC, SPICE, serial.
    "nova-consoles": [tcp(6080), tcp_range(6082, 6083)], Unknown, Inbound,
        "users", "Proxies of guest consoles, on controllers";
    // kolla-ansible, ansible/roles/octavia/defaults/main.yml (octavia_amp_listen_port).
    "octavia-amphora": [tcp(9443)], Encrypted, Outbound,
        "amphorae", "Control of load balancers, from controllers";
    // kolla-ansible, ansible/group_vars/all/octavia.yml; signed, and not encrypted.
    "octavia-health": [udp(5555)], Plaintext, Inbound,
        "amphorae", "Heartbeats of load balancers, to controllers";
    // Swift's deployment guide: object, container, account server.
    "swift-storage": [tcp_range(6200, 6202)], Plaintext, Both,
        "Swift proxies and storage nodes", "Storage servers of Swift; they also need `rsync`";
}
