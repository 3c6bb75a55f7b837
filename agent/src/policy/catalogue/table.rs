//! The notation of the catalogue's files.

pub(super) use super::{
    CatalogueEntry,
    Usual::{Both, Inbound, Outbound},
};
pub(super) use crate::policy::model::Encryption::{Encrypted, Plaintext, Unknown};
use crate::policy::{
    icmp::Codes,
    model::{ServiceMatch, Transport},
};

const fn ports(transport: Transport, first: u16, last: u16) -> ServiceMatch {
    ServiceMatch::Ports {
        transport,
        first,
        last,
    }
}

pub(super) const fn tcp(port: u16) -> ServiceMatch {
    ports(Transport::Tcp, port, port)
}

pub(super) const fn tcp_range(first: u16, last: u16) -> ServiceMatch {
    ports(Transport::Tcp, first, last)
}

pub(super) const fn udp(port: u16) -> ServiceMatch {
    ports(Transport::Udp, port, port)
}

pub(super) const fn udp_range(first: u16, last: u16) -> ServiceMatch {
    ports(Transport::Udp, first, last)
}

pub(super) const fn sctp(port: u16) -> ServiceMatch {
    ports(Transport::Sctp, port, port)
}

pub(super) const fn sctp_range(first: u16, last: u16) -> ServiceMatch {
    ports(Transport::Sctp, first, last)
}

pub(super) const fn protocol(number: u8) -> ServiceMatch {
    ServiceMatch::Protocol(number)
}

/// Echo requests of ICMP and ICMPv6.
pub(super) const PING: [ServiceMatch; 2] = [echo(1, 8), echo(58, 128)];

const fn echo(protocol: u8, kind: u8) -> ServiceMatch {
    ServiceMatch::Icmp {
        protocol,
        kind,
        codes: Codes::ALL,
    }
}

/// The services of one subject: name, protocols and ports, encryption, who usually opens
/// connections, the usual peer, and a description.
macro_rules! services {
    ($subject:literal: $($name:literal: [$($matches:expr),+], $encryption:ident, $usual:ident, $peer:literal, $description:literal;)+) => {
        pub(super) const SERVICES: &[CatalogueEntry] = &[$(CatalogueEntry {
            name: $name,
            subject: $subject,
            matches: &[$($matches),+],
            encryption: $encryption,
            usual: $usual,
            peer: $peer,
            description: $description,
        }),+];
    };
}
pub(super) use services;
