//! Sentences for reasons.

use verdict::{
    counters::Direction,
    reason::{Outcome, Reason},
};

use super::{endpoint, rule};
use crate::{image::Numbers, policy::Policy};

/// Says in a sentence why a packet has this outcome under `policy`.
#[must_use]
pub fn because(
    outcome: Outcome,
    direction: Direction,
    policy: &Policy,
    numbers: &Numbers,
) -> String {
    let sentence = sentence(outcome, direction, policy, numbers);
    if outcome.audited() {
        return format!("{sentence}; it passes because the mode is audit");
    }
    sentence
}

fn sentence(outcome: Outcome, direction: Direction, policy: &Policy, numbers: &Numbers) -> String {
    let named = endpoint(numbers, outcome.endpoint());
    let name = named.unwrap_or("?");
    let role = named
        .and_then(|name| policy.endpoints.get(name))
        .map_or_else(|| "?".to_owned(), |e| e.roles.to_string());
    let governing = rule(numbers, outcome.rule());
    let service = governing.map_or("?", |rule| rule.service.as_str());
    let point = governing.map_or("?", |rule| rule.reference_point.as_str());
    match outcome.reason() {
        Reason::Permitted if outcome.endpoint() == 0 => {
            format!("anyone may use `{service}` at {point}")
        }
        Reason::WrongPlace => format!(
            "`{service}` may be used at {point}, which does not apply at this address or over this interface"
        ),
        Reason::Reply if outcome.endpoint() == 0 => {
            format!("it answers somebody, and anyone may use `{service}` at {point}")
        }
        Reason::Outbound if outcome.endpoint() == 0 && governing.is_some() => {
            format!("the host may use `{service}` of anyone at {point}, or of a group")
        }
        Reason::Permitted => {
            format!("endpoint `{name}` has the role `{role}`, which may use `{service}` at {point}")
        }
        Reason::UnknownSource => {
            format!("no endpoint has the source address, and `{service}` is governed by {point}")
        }
        Reason::Established => format!(
            "it belongs to a connection that the host opened{}",
            permitted_by(outcome, point, service)
        ),
        Reason::Reply => {
            format!(
                "it answers endpoint `{name}`, whose role `{role}` may use `{service}` at {point}"
            )
        }
        Reason::Outbound => match governing {
            Some(_) => format!(
                "the host may use `{service}` of the role `{role}` at {point}, which `{name}` has"
            ),
            None => "the host may connect to anyone: `outbound` is `any`".to_owned(),
        },
        Reason::UnknownDestination => {
            format!(
                "no endpoint has the destination address, and `{service}` is governed by {point}"
            )
        }
        Reason::NoFlow => format!(
            "endpoint `{name}` may answer the host at {point}, but the host has no such connection open"
        ),
        Reason::IcmpError => {
            format!("it is an ICMP error about a packet between the host and endpoint `{name}`")
        }
        Reason::WrongRole if direction == Direction::Out => format!(
            "endpoint `{name}` has the role `{role}`, of which no reference point lets the host use `{service}`"
        ),
        Reason::NoService if direction == Direction::Out => {
            "no reference point lets the host use this protocol and port of anyone".to_owned()
        }
        Reason::Unprotected if direction == Direction::Out => {
            "the source is not a protected address".to_owned()
        }
        Reason::WrongRole => format!(
            "endpoint `{name}` has the role `{role}`, which no reference point lets use `{service}`"
        ),
        Reason::WrongMac => format!("endpoint `{name}` is bound to another MAC address"),
        Reason::WrongVlan => format!("endpoint `{name}` is bound to other VLAN tags"),
        Reason::WrongInterface => format!("endpoint `{name}` is bound to another interface"),
        Reason::NoLease => format!(
            "endpoint `{name}` has not proven who it is, or its proof was ended: `manoward join` on its side proves it"
        ),
        Reason::LeaseExpired => format!("the lease of endpoint `{name}` has expired"),
        Reason::RateLimited => {
            format!("endpoint `{name}` sends more than it takes to prove who it is")
        }
        Reason::Fragment => format!(
            "it is a later fragment of a datagram of endpoint `{name}`, whose first one passed or may yet"
        ),
        other => general(other).to_owned(),
    }
}

/// Under which permission a flow was opened.
fn permitted_by(outcome: Outcome, point: &str, service: &str) -> String {
    if outcome.rule() == 0 {
        return String::new();
    }
    format!(" at {point} for `{service}`")
}

/// What a reason means that names no rule.
const fn general(reason: Reason) -> &'static str {
    match reason {
        Reason::Unprotected => "the destination is not a protected address",
        Reason::NotIp => "it is neither IPv4 nor IPv6: address resolution and link protocols pass",
        Reason::NeighbourDiscovery => "it is neighbour or router discovery from this link",
        Reason::GroupMembership => "it tells which groups somebody on this link listens to",
        Reason::Answer => {
            "it answers a peer that an audit let in, or that asked a group, and opens no connection"
        }
        Reason::BreakGlass => {
            "the policy refuses it, and a break-glass exemption lets it pass: `manoward break-glass status` lists these"
        }
        Reason::NoService => {
            "no reference point offers this protocol and port at a protected address"
        }
        Reason::EthernetTruncated => "the frame ends within the Ethernet header",
        Reason::VlanTruncated => "the frame ends within a VLAN tag",
        Reason::VlanDepth => "the frame has more than two VLAN tags",
        Reason::Ipv4Truncated => "the frame ends within the IPv4 header",
        Reason::Ipv4Header => "the lengths or the version in the IPv4 header contradict each other",
        Reason::Ipv6Truncated => "the frame ends within the IPv6 header",
        Reason::Ipv6Header => "the version in the IPv6 header is not 6",
        Reason::ExtensionTruncated => "the packet ends within an IPv6 extension header",
        Reason::ExtensionDepth => "it has more IPv6 extension headers than are followed",
        Reason::RoutingHeader => "its IPv6 routing header has segments left",
        Reason::TransportTruncated => "the packet ends within the transport header",
        Reason::FragmentTiny => "the first fragment is too short for the transport header",
        Reason::FragmentOverlap => "it is a fragment that would overwrite the transport header",
        Reason::FragmentUnpermitted => {
            "it is a later fragment of a peer without permissions, and its first one is not known"
        }
        Reason::HopLimit => "it is neighbour or listener discovery that has crossed a router",
        Reason::TcpFlags => "no segment of TCP, or of an open connection, has such flags",
        Reason::OutOfWindow => "its TCP sequence number is far from what the connection expects",
        Reason::FlowTableFull => {
            "the table of flows is full: raise `flows` in agent.yaml and restart the agent"
        }
        Reason::IcmpUnrelated => {
            "it is an ICMP error about no packet of a flow or between the host and a permitted peer"
        }
        Reason::IcmpRedirect => "it is an ICMP redirect, and routes are not changed from outside",
        Reason::SourceRoute => "its IPv4 options prescribe a route, which no peer may",
        Reason::DiscoveryFragmented => "it is neighbour or router discovery in a fragment",
        Reason::LoopbackAddress => {
            "it is for an address of the loopback interface, and comes from outside"
        }
        Reason::NotInitial => {
            "it belongs to no session of enrolment, and does not begin one: that takes an Initial packet of QUIC version 1 of 1,200 bytes or more"
        }
        Reason::DiscoveryInvalid => "it breaks the rules of neighbour or listener discovery",
        _ => "there is no policy in the kernel",
    }
}
