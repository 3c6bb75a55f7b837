//! Databases, caches and cluster membership.

use super::table::{
    Both, CatalogueEntry, Encrypted, Inbound, Outbound, Plaintext, Unknown, sctp, services, tcp,
    tcp_range, udp, udp_range,
};

services! { "clusters":
    // kubeadm, cmd/kubeadm/app/constants/constants.go (EtcdListenClientPort, EtcdListenPeerPort);
    // kolla-ansible, ansible/group_vars/all/etcd.yml, where TLS is off by default.
    "etcd": [tcp_range(2379, 2380)], Unknown, Both,
        "Kubernetes control plane", "Key-value store of Kubernetes: clients, and members both ways";
    // kubeadm, cmd/kubeadm/app/constants/constants.go (EtcdMetricsPort).
    "etcd-metrics": [tcp(2381)], Plaintext, Inbound,
        "monitoring", "Health and metrics of etcd";
    // Consul, required ports: servers, LAN and WAN gossip.
    "consul": [tcp_range(8300, 8302), udp_range(8301, 8302)], Unknown, Both,
        "HA peers", "Servers and gossip of Consul";

    // kolla-ansible, ansible/group_vars/all/hacluster.yml (5405); corosync.conf(5): one for each of
    // eight links, and one below the first.
    "corosync": [udp_range(5404, 5412)], Unknown, Both,
        "HA peers", "Membership of Pacemaker clusters";
    // firewalld, config/services/high-availability.xml: Red Hat's High Availability.
    "corosync-qnetd": [tcp(5403)], Unknown, Outbound,
        "quorum device", "Quorum of Pacemaker clusters";
    "dlm": [tcp(21064), sctp(21064)], Plaintext, Both,
        "HA peers", "Locks of cluster file systems";
    "pcsd": [tcp(2224)], Encrypted, Both,
        "HA peers", "Administration of Pacemaker clusters";
    // kolla-ansible, ansible/roles/hacluster/defaults/main.yml: on computes, for Masakari.
    "pacemaker-remote": [tcp(3121)], Encrypted, Inbound,
        "HA peers", "Pacemaker on hosts that are not members, such as computes";
    // booth.conf: tickets of sites.
    "booth": [tcp(9929), udp(9929)], Unknown, Both,
        "HA peers", "Tickets between Pacemaker clusters";

    // kolla-ansible, ansible/group_vars/all/mariadb.yml, openstack-ansible,
    // inventory/group_vars/galera_all.yml: SST, replication, IST.
    "galera": [tcp(4444), tcp_range(4567, 4568), udp(4567)], Unknown, Both,
        "VIM control plane", "Replication of MariaDB";
    "mysql": [tcp(3306)], Unknown, Outbound,
        "VIM control plane", "MySQL and MariaDB";
    // postgresql.conf.
    "postgresql": [tcp(5432)], Unknown, Outbound,
        "databases", "PostgreSQL";
    // kolla-ansible, ansible/group_vars/all/memcached.yml.
    "memcached": [tcp(11211)], Plaintext, Outbound,
        "VIM control plane", "Cache of tokens and consoles";
    // kolla-ansible, ansible/group_vars/all/rabbitmq.yml: epmd and clustering; the management is
    // openstack-ansible's, inventory/group_vars/rabbitmq_all.yml, with TLS and without.
    "rabbitmq-cluster": [tcp(4369), tcp(25672)], Unknown, Both,
        "VIM control plane", "Clustering of RabbitMQ";
    "rabbitmq-management": [tcp_range(15671, 15672)], Unknown, Inbound,
        "monitoring", "API and metrics of RabbitMQ";
    // kolla-ansible, ansible/group_vars/all/valkey.yml.
    "valkey": [tcp(6379), tcp(26379)], Unknown, Outbound,
        "VIM control plane", "Valkey or Redis, and Sentinel";
}
