//! Blocks, files and objects.

use super::table::{
    Both, CatalogueEntry, Inbound, Outbound, Plaintext, Unknown, services, tcp, tcp_range, udp,
};

services! { "storage":
    // ceph, src/common/options/global.yaml.in (ms_bind_port_min, ms_bind_port_max: 7568, and 7300
    // before Squid); msgr2 and msgr1 of monitors.
    "ceph": [tcp(3300), tcp(6789), tcp_range(6800, 7568)], Unknown, Outbound,
        "storage", "Ceph monitors, OSDs and MDSs, also inbound where they run; msgr2 can encrypt";
    // ceph, src/pybind/mgr/prometheus; src/common/options/ceph-exporter.yaml.in.
    "ceph-metrics": [tcp(9283), tcp(9926)], Plaintext, Inbound,
        "monitoring", "Metrics of Ceph: manager and exporter";
    // kolla-ansible, ansible/group_vars/all/ceph-rgw.yml; openstack-ansible,
    // inventory/group_vars/haproxy/haproxy.yml. 7480, the gateway's own default, is among the ports
    // of `ceph`.
    "ceph-rgw": [tcp(6780), tcp(7980)], Unknown, Outbound,
        "storage", "Objects of Ceph (RADOS gateway); its own 7480 is part of `ceph`";

    // RFC 7143; kolla-ansible, ansible/group_vars/all/iscsi.yml.
    "iscsi": [tcp(3260)], Plaintext, Outbound,
        "storage", "Block storage; CHAP authenticates, but does not encrypt";
    // NVM Express, TCP Transport Specification: controllers, and discovery.
    "nvme-tcp": [tcp(4420), tcp(8009)], Plaintext, Outbound,
        "storage", "Block storage by NVMe over TCP; TLS is rare";

    // RFC 8881.
    "nfs": [tcp(2049), udp(2049)], Plaintext, Outbound,
        "storage", "Files; NFS 4 needs nothing else";
    // RFC 1833; rpc.mountd's port where one is assigned (the IANA registry's).
    "nfs-mount": [tcp(111), tcp(20048), udp(111), udp(20048)], Plaintext, Outbound,
        "storage", "What NFS 3 needs besides `nfs`: rpcbind and mountd";
    // Microsoft, [MS-SMB2].
    "smb": [tcp(445)], Unknown, Outbound,
        "storage", "Files by SMB 2 and 3; some shares encrypt";
    // rsyncd.conf.
    "rsync": [tcp(873)], Plaintext, Both,
        "storage, repositories", "Files by the daemon of rsync";
    // DRBD, user's guide.
    "drbd": [tcp_range(7788, 7799)], Plaintext, Both,
        "HA peers", "Replication of block devices";
}
