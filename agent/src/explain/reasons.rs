//! Sentences for reasons.

use verdict::reason::{Outcome, Reason};

use super::{endpoint, rule};
use crate::{image::Numbers, policy::Policy};

/// Says in a sentence why a packet has this outcome under `policy`.
#[must_use]
pub fn because(outcome: Outcome, policy: &Policy, numbers: &Numbers) -> String {
    let sentence = sentence(outcome, policy, numbers);
    if outcome.audited() {
        return format!("{sentence}; it passes because the mode is audit");
    }
    sentence
}

fn sentence(outcome: Outcome, policy: &Policy, numbers: &Numbers) -> String {
    let named = endpoint(numbers, outcome.endpoint());
    let name = named.unwrap_or("?");
    let role = named
        .and_then(|name| policy.endpoints.get(name))
        .map_or("?", |e| e.role.as_str());
    let governing = rule(numbers, outcome.rule());
    let service = governing.map_or("?", |rule| rule.service.as_str());
    let point = governing.map_or("?", |rule| rule.reference_point.as_str());
    match outcome.reason() {
        Reason::Permitted => {
            format!("endpoint `{name}` has the role `{role}`, which may use `{service}` at {point}")
        }
        Reason::UnknownSource => {
            format!("no endpoint has the source address, and `{service}` is governed by {point}")
        }
        Reason::WrongRole => format!(
            "endpoint `{name}` has the role `{role}`, which no reference point lets use `{service}`"
        ),
        Reason::WrongMac => format!("endpoint `{name}` is bound to another MAC address"),
        Reason::WrongVlan => format!("endpoint `{name}` is bound to other VLAN tags"),
        Reason::WrongInterface => format!("endpoint `{name}` is bound to another interface"),
        Reason::Fragment => format!(
            "it is a later fragment from endpoint `{name}`, whose role `{role}` may use some service"
        ),
        other => general(other).to_owned(),
    }
}

/// What a reason means that names no rule.
const fn general(reason: Reason) -> &'static str {
    match reason {
        Reason::Unprotected => "the destination is not a protected address",
        Reason::NotIp => "it is neither IPv4 nor IPv6: address resolution and link protocols pass",
        Reason::HostOpened => {
            "it asks for no service of the host, and may answer a connection that the host opened"
        }
        Reason::NeighbourDiscovery => "it is neighbour or router discovery from this link",
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
            "it is a later fragment from a source that may use no service of the host"
        }
        Reason::HopLimit => "it is neighbour discovery that has crossed a router",
        _ => "there is no policy in the kernel",
    }
}
