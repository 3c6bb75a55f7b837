//! Metrics, logs, faults, flow records.

use super::table::{
    Both, CatalogueEntry, Encrypted, Inbound, Outbound, Plaintext, Unknown, sctp, services, tcp,
    tcp_range, udp,
};

services! { "monitoring":
    // kolla-ansible, ansible/group_vars/all/prometheus.yml; node-exporter's own default is the same.
    "cadvisor": [tcp(18080)], Plaintext, Inbound,
        "monitoring", "Container metrics";
    "libvirt-exporter": [tcp(9177)], Plaintext, Inbound,
        "monitoring", "Guest metrics for Prometheus";
    "network-exporter": [tcp(1981)], Plaintext, Inbound,
        "monitoring", "Metrics of OVS and OVN for Prometheus (openstack-network-exporter)";
    "node-exporter": [tcp(9100)], Plaintext, Inbound,
        "monitoring", "Host metrics for Prometheus";
    // Prometheus's own default, kolla-ansible's, and that of the Pushgateway, which is the same.
    "prometheus": [tcp_range(9090, 9091)], Unknown, Outbound,
        "metrics collector", "Pushed metrics: remote write, Pushgateway";
    // kolla-ansible, ansible/group_vars/all/collectd.yml.
    "collectd": [udp(25826)], Unknown, Outbound,
        "metrics collector", "Metrics of collectd";
    // OpenTelemetry, specification of OTLP: gRPC and HTTP.
    "otlp": [tcp_range(4317, 4318)], Unknown, Outbound,
        "telemetry collector", "Traces, metrics and logs of OpenTelemetry";
    // The programs' own defaults: carbon.conf, InfluxDB's http bind-address.
    "graphite": [tcp(2003)], Plaintext, Outbound,
        "metrics collector", "Metrics to Graphite";
    "influxdb": [tcp(8086)], Unknown, Outbound,
        "metrics collector", "Metrics to InfluxDB, for example from Telegraf";

    // Agents that are polled, and servers that are reported to; the programs' own defaults.
    "checkmk-agent": [tcp(6556)], Unknown, Inbound,
        "monitoring", "Agent of Checkmk";
    "icinga": [tcp(5665)], Encrypted, Both,
        "monitoring", "Cluster and agents of Icinga 2";
    "nrpe": [tcp(5666)], Unknown, Inbound,
        "monitoring", "Checks of Nagios (NRPE)";
    "zabbix-agent": [tcp(10050)], Unknown, Inbound,
        "monitoring", "Passive checks of Zabbix";
    "zabbix-server": [tcp(10051)], Unknown, Outbound,
        "monitoring", "Active checks and traps of Zabbix";

    // RFC 3411 and the IANA registry; RFC 6353 (TLS and DTLS).
    "snmp": [udp(161)], Unknown, Inbound,
        "NMS", "Queries of the SNMP agent; only v3 protects them";
    "snmp-tls": [tcp(10161), udp(10161)], Encrypted, Inbound,
        "NMS", "Queries of the SNMP agent over TLS or DTLS";
    "snmp-trap": [udp(162)], Unknown, Outbound,
        "fault collector", "Notifications of the SNMP agent; only v3 protects them";
    "snmp-trap-tls": [tcp(10162), udp(10162)], Encrypted, Outbound,
        "fault collector", "Notifications of the SNMP agent over TLS or DTLS";
    // ONAP's VES collector: by itself, and as a NodePort of ONAP.
    "ves": [tcp(8443), tcp(30417)], Encrypted, Outbound,
        "fault collector", "Events to a VES collector over HTTPS";

    // RFC 5426, RFC 6587 and the port that many collectors have, RFC 5425.
    "syslog": [udp(514)], Plaintext, Outbound,
        "SIEM", "Logs over UDP";
    "syslog-tcp": [tcp(514), tcp(601)], Plaintext, Outbound,
        "SIEM", "Logs over TCP";
    "syslog-tls": [tcp(6514)], Encrypted, Outbound,
        "SIEM", "Logs over TLS";
    // kolla-ansible, ansible/group_vars/all/opensearch.yml: what every host's fluentd writes to.
    "opensearch": [tcp(9200)], Unknown, Outbound,
        "log collectors", "Logs and notifications to OpenSearch or Elasticsearch";
    // The programs' own defaults: Beats input, Fluentd's forward, GELF input, Loki's
    // http_listen_port, Wazuh's remote and auth.
    "beats": [tcp(5044)], Unknown, Outbound,
        "log collectors", "Logs of Elastic Beats to Logstash";
    "fluentd": [tcp(24224), udp(24224)], Unknown, Outbound,
        "log collectors", "Logs of Fluentd and Fluent Bit";
    "gelf": [tcp(12201), udp(12201)], Unknown, Outbound,
        "log collectors", "Logs to Graylog";
    "loki": [tcp(3100)], Unknown, Outbound,
        "log collectors", "Logs to Loki";
    "wazuh": [tcp_range(1514, 1515)], Encrypted, Outbound,
        "SIEM", "Agents of Wazuh, and their registration";

    // RFC 7011; Cisco's NetFlow collectors; sflow.org and the IANA registry.
    "ipfix": [tcp(4739), udp(4739), sctp(4739)], Plaintext, Outbound,
        "flow collector", "Flow records, for example of Open vSwitch";
    "ipfix-tls": [tcp(4740), udp(4740), sctp(4740)], Encrypted, Outbound,
        "flow collector", "Flow records over TLS or DTLS";
    "netflow": [udp(2055)], Plaintext, Outbound,
        "flow collector", "Flow records of NetFlow";
    "sflow": [udp(6343)], Plaintext, Outbound,
        "flow collector", "Sampled packets, for example of Open vSwitch";
    // RFC 5357, RFC 8762.
    "twamp": [tcp(862), udp(862)], Unknown, Both,
        "performance probes", "Loss and delay by TWAMP and STAMP";
}
