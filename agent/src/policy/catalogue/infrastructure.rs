//! What every host needs: addresses, names, time, identities.

use super::table::{
    Both, CatalogueEntry, Encrypted, Outbound, PING, Plaintext, Unknown, services, tcp, udp,
    udp_range,
};

services! { "infrastructure":
    // RFC 2131, RFC 8415; the server's ports.
    "dhcp": [udp(67)], Plaintext, Outbound,
        "DHCP servers", "IPv4 address configuration: requests of clients";
    "dhcpv6": [udp(547)], Plaintext, Outbound,
        "DHCP servers", "IPv6 address configuration: requests of clients";
    // RFC 1350.
    "tftp": [udp(69)], Plaintext, Outbound,
        "provisioner", "Files at boot; each transfer has a port of its own";

    // RFC 1035; RFC 7858 (TLS) and RFC 9250 (QUIC).
    "dns": [tcp(53), udp(53)], Plaintext, Outbound,
        "resolvers", "Name resolution";
    "dns-tls": [tcp(853), udp(853)], Encrypted, Outbound,
        "resolvers", "Name resolution over TLS or QUIC";

    // RFC 5905; RFC 8915; IEEE 1588, event and general messages, which all clocks send.
    "ntp": [udp(123)], Unknown, Outbound,
        "time servers", "Time (chrony, ntpd); NTS authenticates it if enabled";
    "nts-ke": [tcp(4460)], Encrypted, Outbound,
        "time servers", "Key exchange of Network Time Security, for `ntp`";
    "ptp": [udp_range(319, 320)], Plaintext, Both,
        "grandmaster clock, other clocks", "Precise time over UDP";

    // RFC 792, RFC 4443.
    "ping": [PING[0], PING[1]], Unknown, Both,
        "monitoring", "Echo requests of ICMP and ICMPv6";

    // RFC 4511 and the IANA registry.
    "ldap": [tcp(389)], Unknown, Outbound,
        "directory servers", "Directory; StartTLS encrypts it if enabled";
    "ldaps": [tcp(636)], Encrypted, Outbound,
        "directory servers", "Directory over TLS";
    // RFC 4120; RFC 3244 (changes of passwords).
    "kerberos": [tcp(88), tcp(464), udp(88), udp(464)], Unknown, Outbound,
        "key distribution centres", "Tickets and passwords of Kerberos (FreeIPA, Active Directory)";
    // RFC 2865, RFC 2866; RFC 6614 (TLS) and RFC 7360 (DTLS).
    "radius": [udp_range(1812, 1813)], Plaintext, Outbound,
        "AAA servers", "Logins and accounting; only passwords are hidden, and weakly";
    "radsec": [tcp(2083), udp(2083)], Encrypted, Outbound,
        "AAA servers", "RADIUS over TLS or DTLS";
    // RFC 8907, which calls its protection obfuscation; RFC 9887.
    "tacacs": [tcp(49)], Plaintext, Outbound,
        "AAA servers", "Logins by TACACS+; its obfuscation protects nothing";
    "tacacs-tls": [tcp(300)], Encrypted, Outbound,
        "AAA servers", "TACACS+ over TLS";

    // RFC 5321, RFC 6409; RFC 8314.
    "smtp": [tcp(25), tcp(587)], Unknown, Outbound,
        "mail relays", "Mail; STARTTLS encrypts it if both ends support it";
    "smtps": [tcp(465)], Encrypted, Outbound,
        "mail relays", "Mail over TLS";
}
