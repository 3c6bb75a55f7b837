//! The flows that are open, with the names that the policy has for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use thiserror::Error;
use verdict::state::flow::{Flow, State, table};

use super::{Current, Enforcer};
use crate::{
    control::api::{FlowEntry, FlowList, FlowQuery},
    datapath::flows::{FlowError, Snapshot, duration},
    explain::covering,
    policy::{Direction, Policy, ReferencePoint, Service, protocol},
};

/// Why no flows are listed.
#[derive(Debug, Error)]
pub enum FlowQueryError {
    /// There is no policy.
    #[error("there is no policy yet. Apply one with `manoward policy apply`")]
    NoPolicy,
    /// The kernel does not give them.
    #[error(transparent)]
    Flows(#[from] FlowError),
    /// No such protocol.
    #[error("`{0}` is no protocol: write tcp, udp, sctp, icmp, icmpv6, another name, or a number")]
    Protocol(String),
    /// No such state.
    #[error("`{found}` is no state of a flow: they are {}", states())]
    State {
        /// What was asked for.
        found: String,
    },
    /// No address.
    #[error("`{0}` is neither an IP address nor a prefix")]
    Address(String),
}

fn states() -> String {
    let names: Vec<&str> = State::ALL.iter().map(|state| state.name()).collect();
    names.join(", ")
}

/// A query that has been read.
pub struct Filter<'a> {
    query: &'a FlowQuery,
    protocol: Option<u8>,
    state: Option<State>,
    address: Option<IpNet>,
}

impl<'a> Filter<'a> {
    /// Reads `query`.
    pub fn read(query: &'a FlowQuery) -> Result<Self, FlowQueryError> {
        let protocol = query.protocol.as_ref().map(|named| {
            protocol::number(named).ok_or_else(|| FlowQueryError::Protocol(named.clone()))
        });
        let state = query.state.as_ref().map(|named| {
            State::from_name(named).ok_or_else(|| FlowQueryError::State {
                found: named.clone(),
            })
        });
        let address = query.address.as_ref().map(|written| {
            let address = written.parse::<IpAddr>().map(IpNet::from);
            address
                .or_else(|_| written.parse())
                .map_err(|_| FlowQueryError::Address(written.clone()))
        });
        Ok(Self {
            query,
            protocol: protocol.transpose()?,
            state: state.transpose()?,
            address: address.transpose()?,
        })
    }

    /// Whether the query asks for `flow`, by what the table tells of it.
    fn takes(&self, flow: &Flow) -> bool {
        let key = &flow.key;
        let of = |protocol| key.protocol() == protocol;
        let ports = [key.local_port(), key.remote_port()];
        let [local, remote] = addresses(flow);
        self.protocol.is_none_or(of)
            && self.state.is_none_or(|state| state == flow.state)
            && self.query.port.is_none_or(|port| ports.contains(&port))
            && self
                .address
                .is_none_or(|prefix| prefix.contains(&local) || prefix.contains(&remote))
    }

    /// Whether the query asks for a flow by its names.
    fn names(&self, entry: &FlowEntry) -> bool {
        let query = self.query;
        let matches = |wanted: &Option<String>, found: &Option<String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| found.as_ref() == Some(wanted))
        };
        matches(&query.endpoint, &entry.endpoint)
            && matches(&query.role, &entry.role)
            && matches(&query.reference_point, &entry.reference_point)
            && matches(&query.service, &entry.service)
    }

    /// Whether the query asks for names at all.
    const fn asks_names(&self) -> bool {
        self.query.endpoint.is_some()
            || self.query.role.is_some()
            || self.query.reference_point.is_some()
            || self.query.service.is_some()
    }
}

impl Enforcer {
    /// The flows that `query` asks for.
    pub fn flows(&self, query: &FlowQuery) -> Result<FlowList, FlowQueryError> {
        let current = self.current.as_ref().ok_or(FlowQueryError::NoPolicy)?;
        let filter = Filter::read(query)?;
        let snapshot = Snapshot::read(self.datapath.pins())?;
        let mut open = 0;
        let mut found: Vec<(Flow, u32)> = snapshot
            .alive(&current.image)
            .inspect(|_| open += 1)
            .filter(|(flow, _)| filter.takes(flow))
            .collect();
        found.sort_by_key(|&(flow, idle)| (idle, flow.key.to_words()));
        let limit = query.limit.unwrap_or(usize::MAX);
        let entry = |&(flow, idle): &(Flow, u32)| entry(&flow, idle, &snapshot, current);
        let (matching, flows) = if filter.asks_names() {
            let mut flows: Vec<_> = found
                .iter()
                .map(entry)
                .filter(|e| filter.names(e))
                .collect();
            let matching = flows.len();
            flows.truncate(limit);
            (matching, flows)
        } else {
            (found.len(), found.iter().take(limit).map(entry).collect())
        };
        Ok(FlowList {
            flows,
            matching,
            open,
            capacity: snapshot.capacity() / 4,
        })
    }
}

/// Local and remote address of `flow`.
fn addresses(flow: &Flow) -> [IpAddr; 2] {
    let key = &flow.key;
    [key.local(), key.remote()].map(|[high, low]| {
        if key.is_ipv6() {
            Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
        } else {
            Ipv4Addr::from_bits(low as u32).into()
        }
    })
}

fn entry(flow: &Flow, idle: u32, snapshot: &Snapshot, current: &Current) -> FlowEntry {
    let policy = &current.validated.policy;
    let [local, remote] = addresses(flow);
    let found = covering(policy, remote);
    let number = flow.key.protocol();
    let point = reference_point(
        policy,
        flow,
        found.map(|found| found.endpoint.role.as_str()),
    );
    let lasts = table::timeout(&current.image, flow.state.code()).unwrap_or(0);
    FlowEntry {
        protocol: protocol::name(number),
        local,
        local_port: flow.key.local_port(),
        remote,
        remote_port: flow.key.remote_port(),
        state: flow.state.name().to_owned(),
        endpoint: found.map(|found| found.name.to_owned()),
        role: found.map(|found| found.endpoint.role.clone()),
        reference_point: point.map(|(point, _)| point.name.clone()),
        service: point.map(|(_, service)| service.to_owned()),
        age_s: seconds(snapshot.age(flow)),
        idle_s: seconds(idle),
        expires_s: seconds(lasts.saturating_sub(idle)),
        sent_bytes: flow.sent.bytes(),
        received_bytes: flow.received.bytes(),
    }
}

/// The reference point that permits `flow` to a peer of this role, and the service.
fn reference_point<'a>(
    policy: &'a Policy,
    flow: &Flow,
    role: Option<&str>,
) -> Option<(&'a ReferencePoint, &'a str)> {
    let serves = |service: &&String| {
        policy
            .services
            .get(*service)
            .is_some_and(|service| carries(service, flow))
    };
    policy
        .reference_points
        .iter()
        .filter(|point| point.direction == Direction::Outbound)
        .filter(|point| role.is_none_or(|role| point.roles.iter().any(|named| named == role)))
        .find_map(|point| Some((point, point.services.iter().find(serves)?.as_str())))
}

/// Whether `service` is what `flow` uses at its remote side.
fn carries(service: &Service, flow: &Flow) -> bool {
    let (number, port) = (flow.key.protocol(), flow.key.remote_port());
    service.matches.iter().any(|matched| {
        let (protocol, first, last) = matched.range();
        protocol == number && (first..=last).contains(&port)
    })
}

/// Ticks as seconds, in tenths.
fn seconds(ticks: u32) -> f64 {
    (duration(ticks).as_secs_f64() * 10.0).round() / 10.0
}
