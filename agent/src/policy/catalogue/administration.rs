//! How hosts and the functions on them are administered.

use super::table::{
    CatalogueEntry, Encrypted, Inbound, Outbound, Plaintext, Unknown, services, tcp, tcp_range, udp,
};

services! { "administration":
    // IANA, Service Name and Transport Protocol Port Number Registry.
    "http": [tcp(80)], Plaintext, Outbound,
        "repositories, provisioner", "HTTP: packages, images, boot files";
    "https": [tcp(443)], Encrypted, Outbound,
        "repositories, registries, APIs", "HTTPS, for any application";
    "ipmi": [udp(623)], Unknown, Inbound,
        "out-of-band administration", "Baseboard management, weakly protected";
    "netconf": [tcp(830)], Encrypted, Inbound,
        "EM, SDN controller", "Configuration over SSH";
    "netconf-tls": [tcp(6513)], Encrypted, Inbound,
        "EM, SDN controller", "Configuration over TLS";
    "redfish": [tcp(443)], Encrypted, Inbound,
        "out-of-band administration", "Baseboard management over HTTPS";
    "restconf": [tcp(443)], Encrypted, Inbound,
        "EM, SDN controller", "Configuration over HTTPS";
    "ssh": [tcp(22)], Encrypted, Inbound,
        "deployer, bastion", "Administration";

    // RFC 8071: over SSH, TLS, and RESTCONF.
    "netconf-call-home": [tcp_range(4334, 4336)], Encrypted, Outbound,
        "EM, SDN controller", "NETCONF and RESTCONF, opened by the host";
    // IANA, and the port that routers had before.
    "gnmi": [tcp(9339), tcp(57400)], Encrypted, Inbound,
        "SDN controller, EM", "Telemetry and configuration over gRPC";

    // `manoward join`.
    "enrolment": [udp(7443)], Encrypted, Inbound,
        "endpoints that show a certificate", "Proof of an endpoint's identity (`manoward join`)";

    // The programs' own defaults: cockpit.socket, squid.conf, Juju's api-port, puppet.conf
    // (serverport), Salt's master (publish_port, ret_port), Vault's listener.
    "cockpit": [tcp(9090)], Encrypted, Inbound,
        "administrators", "Web console of Cockpit";
    "http-proxy": [tcp(3128)], Unknown, Outbound,
        "web proxies", "HTTP and HTTPS through a proxy, at the port of Squid";
    "juju": [tcp(17070)], Encrypted, Outbound,
        "Juju controllers", "Agents of Juju (Canonical's charms)";
    "puppet": [tcp(8140)], Encrypted, Outbound,
        "Puppet servers", "Configuration by Puppet";
    "salt": [tcp_range(4505, 4506)], Encrypted, Outbound,
        "Salt masters", "Configuration by Salt";
    "vault": [tcp(8200)], Unknown, Outbound,
        "secret stores", "Secrets and certificates from Vault or OpenBao";
}
