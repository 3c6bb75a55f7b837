//! Guests: control, live migration, consoles.

use super::table::{
    Both, CatalogueEntry, Encrypted, Inbound, Plaintext, Unknown, services, tcp, tcp_range,
};

services! { "virtualization":
    // libvirtd.conf; kolla-ansible, ansible/roles/nova-cell/defaults/main.yml (nova_libvirt_port).
    // A migration is begun by the host that the guest leaves.
    "libvirt-tcp": [tcp(16509)], Plaintext, Both,
        "peer computes", "Remote libvirt without TLS";
    "libvirt-tls": [tcp(16514)], Encrypted, Both,
        "peer computes, VIM", "Remote libvirt with mutual TLS";
    // qemu.conf (migration_port_min, migration_port_max).
    "migration-data": [tcp_range(49152, 49215)], Unknown, Both,
        "peer computes", "Guest memory and disks in live migration; plaintext unless QEMU-native TLS is on";
    // edpm-ansible, roles/edpm_libvirt/templates/firewall.yaml.
    "migration-data-edpm": [tcp_range(61152, 61215)], Unknown, Both,
        "peer computes", "Guest memory and disks in live migration, at the ports of TripleO and EDPM";
    // tripleo-heat-templates (MigrationSshPort); kolla-ansible,
    // ansible/roles/nova-cell/defaults/main.yml (nova_ssh_port). openstack-ansible uses `ssh`.
    "migration-ssh": [tcp(2022), tcp(8022)], Encrypted, Both,
        "peer computes", "SSH of Nova's migration target";
    // qemu.conf (remote_display_port_min), which SPICE shares.
    "vnc": [tcp_range(5900, 5999)], Plaintext, Inbound,
        "console proxies", "Guest consoles; plaintext unless VeNCrypt is on";
}
