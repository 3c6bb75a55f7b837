//! What a policy permits of what a stack delivers. This reads the policy itself, and uses nothing
//! of the product's decision.

use std::net::IpAddr;

use manoward::policy::{Direction, Endpoint, Place, Policy, ServiceMatch, Transport};

use super::sockets::{Delivery, Listener};
use crate::judge::BROADCAST;
use crate::net::station::NIC;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// Whether the policy permits a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// It may and has to be delivered.
    Permitted,
    /// It must not be delivered.
    Refused,
    /// The policy does not govern it: neighbours need it.
    Free,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    protocol: u8,
    /// The destination port; of ICMP the type; 0 of other protocols without ports.
    port: u16,
    /// The code of ICMP.
    code: u8,
    /// Whether it is about packets of IPv6.
    v6: bool,
}

/// Whether `policy` permits a delivery from outside, at a host that has opened no connection.
#[must_use]
pub fn permission(policy: &Policy, delivery: &Delivery) -> Permission {
    // Nothing comes from outside to addresses of the loopback interface, whoever sends it.
    if delivery.destination.is_loopback() {
        return Permission::Refused;
    }
    let bytes = &delivery.bytes;
    let protocol = match delivery.listener {
        Listener::Service(port) => {
            let asked = Asked {
                protocol: UDP,
                port,
                code: 0,
                v6: delivery.destination.is_ipv6(),
            };
            return requested(policy, delivery, asked);
        }
        Listener::Transport(protocol) => protocol,
    };
    // Too short for the transport's header: the stack ignores it.
    if bytes.len() < header_length(protocol) {
        return Permission::Free;
    }
    let asked = |port, code| Asked {
        protocol,
        port,
        code,
        v6: delivery.destination.is_ipv6(),
    };
    match (protocol, bytes.first()) {
        // Neighbour and listener discovery.
        (ICMPV6, Some(130..=136 | 143)) => Permission::Free,
        // Replies to a group ask for no service.
        (ICMP, Some(0 | 14 | 16 | 18 | 43)) | (ICMPV6, Some(129 | 140 | 145 | 161))
            if is_group(delivery.destination) =>
        {
            Permission::Free
        }
        // Other replies, to which there was no request, and redirects.
        (ICMP, Some(0 | 5 | 14 | 16 | 18 | 43)) | (ICMPV6, Some(129 | 137 | 140 | 145 | 161)) => {
            Permission::Refused
        }
        (ICMP, Some(3 | 11 | 12)) | (ICMPV6, Some(1..=4)) => error(policy, delivery),
        (TCP | UDP | SCTP, _) => {
            let port = u16::from_be_bytes([bytes[2], bytes[3]]);
            match requested(policy, delivery, asked(port, 0)) {
                Permission::Permitted if protocol == TCP && !has_sense(bytes[13]) => {
                    Permission::Refused
                }
                other => other,
            }
        }
        (ICMP | ICMPV6, _) => requested(policy, delivery, asked(u16::from(bytes[0]), bytes[1])),
        _ => requested(policy, delivery, asked(0, 0)),
    }
}

/// Whether a segment of some connection has these TCP flags (RFC 9293, RFC 7413): SYN alone, every
/// other but RST with ACK, and neither FIN nor SYN with RST.
const fn has_sense(flags: u8) -> bool {
    let (fin, syn, rst) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
    let (ack, urg) = (flags & 16 != 0, flags & 32 != 0);
    match (syn, rst) {
        (true, true) => false,
        (true, false) => !(fin && !ack || urg && ack),
        (false, true) => !fin && !urg,
        (false, false) => ack,
    }
}

const fn header_length(protocol: u8) -> usize {
    match protocol {
        TCP => 20,
        SCTP => 12,
        UDP | ICMP | ICMPV6 => 8,
        _ => 0,
    }
}

/// Whether a request to a service is permitted.
fn requested(policy: &Policy, delivery: &Delivery, asked: Asked) -> Permission {
    if may(policy, (delivery.destination, delivery.source), asked) {
        Permission::Permitted
    } else if is_group(delivery.destination) && !offered(policy, asked) {
        Permission::Free
    } else {
        Permission::Refused
    }
}

/// An error is permitted if it quotes a packet of a service to a peer that may use the service.
fn error(policy: &Policy, delivery: &Delivery) -> Permission {
    let quoted = delivery.bytes.get(8..).unwrap_or_default();
    let read = || {
        let (protocol, source, destination, transport) = match quoted.first()? >> 4 {
            4 => {
                let at = usize::from(quoted[0] & 0x0f) * 4;
                // A later fragment has no ports.
                if *quoted.get(6)? & 0x1f != 0 || *quoted.get(7)? != 0 {
                    return None;
                }
                let source: [u8; 4] = quoted.get(12..16)?.try_into().ok()?;
                let destination: [u8; 4] = quoted.get(16..20)?.try_into().ok()?;
                let transport = quoted.get(at..)?;
                (
                    *quoted.get(9)?,
                    source.into(),
                    destination.into(),
                    transport,
                )
            }
            6 => {
                let source: [u8; 16] = quoted.get(8..24)?.try_into().ok()?;
                let destination: [u8; 16] = quoted.get(24..40)?.try_into().ok()?;
                let transport = quoted.get(40..)?;
                (
                    quoted[6],
                    IpAddr::from(source),
                    destination.into(),
                    transport,
                )
            }
            _ => return None,
        };
        let first = *transport.first()?;
        let (port, code) = match protocol {
            TCP | UDP | SCTP => (u16::from_be_bytes([first, *transport.get(1)?]), 0),
            // The host has answered a request.
            ICMP | ICMPV6 => match (protocol, first) {
                (ICMP, 0) => (8, 0),
                (ICMP, 14 | 16 | 18 | 43) | (ICMPV6, 129 | 140 | 145 | 161) => {
                    (u16::from(first) - 1, 0)
                }
                _ => return None,
            },
            _ => (0, 0),
        };
        let v6 = delivery.destination.is_ipv6();
        let asked = Asked {
            protocol,
            port,
            code,
            v6,
        };
        let is_permitted =
            source == delivery.destination && may(policy, (source, destination), asked);
        Some((is_permitted, protocol))
    };
    match read() {
        Some((true, TCP | SCTP)) => Permission::Permitted,
        // Depends on whether the peer has asked for the service.
        Some((true, _)) => Permission::Free,
        _ => Permission::Refused,
    }
}

/// Whether who has the second address may use the service at the first.
fn may(policy: &Policy, (local, source): (IpAddr, IpAddr), asked: Asked) -> bool {
    let endpoint = endpoint(policy, source);
    let is_at = |place: &Place| match place {
        Place::Address(address) => *address == local,
        Place::Interface(name) => *name == NIC,
    };
    policy.reference_points.iter().any(|point| {
        point.direction == Direction::Inbound
            && point.names(endpoint)
            && (point.at.is_empty() || point.at.iter().any(is_at))
            && point
                .services
                .iter()
                .any(|name| covers(policy, name, asked))
    })
}

/// Whether anybody may use the service.
fn offered(policy: &Policy, asked: Asked) -> bool {
    let inbound = policy
        .reference_points
        .iter()
        .filter(|point| point.direction == Direction::Inbound);
    inbound
        .flat_map(|point| &point.services)
        .any(|name| covers(policy, name, asked))
}

fn covers(policy: &Policy, name: &str, asked: Asked) -> bool {
    policy.services[name]
        .matches
        .iter()
        .any(|matched| match *matched {
            ServiceMatch::Ports {
                transport,
                first,
                last,
            } => {
                let protocol = match transport {
                    Transport::Tcp => TCP,
                    Transport::Udp => UDP,
                    Transport::Sctp => SCTP,
                };
                protocol == asked.protocol && (first..=last).contains(&asked.port)
            }
            // ICMP belongs to IPv4, and ICMPv6 to IPv6.
            _ if asked.v6 && asked.protocol == ICMP || !asked.v6 && asked.protocol == ICMPV6 => {
                false
            }
            ServiceMatch::Protocol(protocol) => protocol == asked.protocol,
            ServiceMatch::Icmp {
                protocol,
                kind,
                codes,
            } => {
                protocol == asked.protocol && u16::from(kind) == asked.port && codes.has(asked.code)
            }
        })
}

/// The endpoint with the longest prefix around an address.
fn endpoint(policy: &Policy, address: IpAddr) -> Option<&Endpoint> {
    let prefixes = policy.endpoints.values().flat_map(|endpoint| {
        let around = endpoint.addresses.iter();
        around.map(move |prefix| (prefix, endpoint))
    });
    prefixes
        .filter(|(prefix, _)| prefix.contains(&address))
        .max_by_key(|(prefix, _)| prefix.prefix_len())
        .map(|(_, endpoint)| endpoint)
}

fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_multicast()
                || address.is_broadcast()
                || address.is_unspecified()
                || address == BROADCAST
                || address.octets() == [198, 51, 100, 255]
        }
        IpAddr::V6(address) => address.is_multicast(),
    }
}
