//! Kubernetes nodes and their networks.

use super::table::{
    Both, CatalogueEntry, Encrypted, Inbound, Outbound, Plaintext, Unknown, sctp_range, services,
    tcp, tcp_range, udp, udp_range,
};

services! { "kubernetes":
    // kubeadm, cmd/kubeadm/app/apis/kubeadm/v1beta4/defaults.go (DefaultAPIBindPort).
    "kube-apiserver": [tcp(6443)], Encrypted, Outbound,
        "Kubernetes control plane", "API of Kubernetes";
    // kubernetes, pkg/cluster/ports/ports.go: controller manager and cloud controller manager; the
    // scheduler has 10259.
    "kube-controllers": [tcp_range(10257, 10259)], Encrypted, Inbound,
        "monitoring", "Health and metrics of scheduler and controller managers";
    // kubernetes, pkg/cluster/ports/ports.go.
    "kube-proxy-health": [tcp(10256)], Plaintext, Inbound,
        "load balancers", "Whether a node may get traffic (kube-proxy, Cilium, Antrea)";
    "kube-proxy-metrics": [tcp(10249)], Plaintext, Inbound,
        "monitoring", "Metrics of kube-proxy";
    "kubelet": [tcp(10250)], Encrypted, Inbound,
        "Kubernetes control plane", "Node agent of Kubernetes";
    // kubernetes, pkg/kubeapiserver/options/options.go (DefaultServiceNodePortRange).
    "node-port": [tcp_range(30000, 32767), udp_range(30000, 32767), sctp_range(30000, 32767)],
        Unknown, Inbound,
        "clients, load balancers", "Services of type NodePort and LoadBalancer";
    // kubernetes.io, Set up Konnectivity service (--agent-port).
    "konnectivity": [tcp(8132)], Encrypted, Outbound,
        "Kubernetes control plane", "Tunnel by which the API server reaches nodes";
    // RKE2, network requirements.
    "rke2-supervisor": [tcp(9345)], Encrypted, Outbound,
        "Kubernetes control plane", "Registration of RKE2 nodes";
    // OpenShift, network requirements.
    "machine-config": [tcp(22623)], Encrypted, Outbound,
        "Kubernetes control plane", "Configuration of OpenShift nodes as they join";

    // Calico, network requirements, FelixConfiguration (prometheusMetricsPort) and Typha's.
    "typha": [tcp(5473)], Unknown, Both,
        "peer nodes", "Fan-out of Calico's data; some nodes serve it to all";
    "calico-metrics": [tcp(9091), tcp(9093)], Plaintext, Inbound,
        "monitoring", "Metrics of Calico: Felix and Typha";

    // Cilium, Documentation/operations/system_requirements.rst. Its overlay is `vxlan-linux` or
    // `geneve`.
    "cilium-auth": [tcp(4250)], Encrypted, Both,
        "peer nodes", "Mutual authentication of Cilium";
    "cilium-health": [tcp(4240)], Plaintext, Both,
        "peer nodes", "Health checks between nodes of Cilium, which also use `ping`";
    "cilium-metrics": [tcp_range(9962, 9964)], Plaintext, Inbound,
        "monitoring", "Metrics of Cilium: agent, operator, Envoy";
    "cilium-wireguard": [udp(51871)], Encrypted, Both,
        "peer nodes", "WireGuard tunnels of Cilium";
    "hubble": [tcp_range(4244, 4245)], Unknown, Both,
        "peer nodes", "Flow observation of Cilium: server and relay";

    // Antrea, docs/network-requirements.md. Its overlay is `geneve` or `vxlan`.
    "antrea": [tcp_range(10349, 10351), udp(10351)], Unknown, Both,
        "peer nodes", "Controller, agents and memberlist of Antrea";

    // MetalLB, installation requirements; the metrics of speaker and FRR.
    "metallb": [tcp(7946), udp(7946)], Unknown, Both,
        "peer nodes", "Memberlist of MetalLB's speakers in layer 2 mode";
    "metallb-metrics": [tcp_range(7472, 7473)], Plaintext, Inbound,
        "monitoring", "Metrics of MetalLB";
}
