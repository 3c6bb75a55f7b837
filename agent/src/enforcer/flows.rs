//! The flows that are open, with the names that the policy has for them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use ipnet::IpNet;
use verdict::state::flow::{Flow, State, table};

use super::{Current, Observer};
use crate::{
    datapath::flows::{FlowError, Snapshot, duration},
    explain::covering,
    policy::{Direction, Endpoint, Policy, ReferencePoint, Roles, Service, ServiceMatch},
};

/// Which flows are asked for; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct FlowQuery {
    /// Name of the remote endpoint.
    pub endpoint: Option<String>,
    /// Role of the remote endpoint.
    pub role: Option<String>,
    /// Reference point that permits the flow.
    pub reference_point: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Protocol number.
    pub protocol: Option<u8>,
    /// Prefix that covers the local or the remote address.
    pub address: Option<IpNet>,
    /// Local or remote port.
    pub port: Option<u16>,
    /// State.
    pub state: Option<State>,
    /// Most flows that are listed; those of which the last packet is most recent.
    pub limit: Option<usize>,
}

impl FlowQuery {
    /// Whether `flow` is asked for, by what the table tells of it.
    fn takes(&self, flow: &Flow) -> bool {
        let key = &flow.key;
        let of = |protocol| key.protocol() == protocol;
        let ports = [key.local_port(), key.remote_port()];
        let [local, remote] = addresses(flow);
        self.protocol.is_none_or(of)
            && self.state.is_none_or(|state| state == flow.state)
            && self.port.is_none_or(|port| ports.contains(&port))
            && self
                .address
                .is_none_or(|prefix| prefix.contains(&local) || prefix.contains(&remote))
    }

    /// Whether a flow with these names is asked for.
    fn names(&self, flow: &NamedFlow<'_>) -> bool {
        let matches = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        matches(&self.endpoint, flow.endpoint)
            && self
                .role
                .as_ref()
                .is_none_or(|role| flow.roles.is_some_and(|roles| roles.contains(role)))
            && matches(&self.reference_point, flow.reference_point)
            && matches(&self.service, flow.service)
    }

    /// Whether names are asked for at all.
    const fn asks_names(&self) -> bool {
        self.endpoint.is_some()
            || self.role.is_some()
            || self.reference_point.is_some()
            || self.service.is_some()
    }
}

/// The flows of a query.
#[derive(Clone, Debug)]
pub struct FlowList<'a> {
    /// Those that are listed, the most recent first.
    pub flows: Vec<NamedFlow<'a>>,
    /// How many match the query.
    pub matching: usize,
    /// How many there are.
    pub open: usize,
    /// How many the table is sized for.
    pub capacity: usize,
}

/// A flow, with the names that the policy has for it.
#[derive(Clone, Debug)]
pub struct NamedFlow<'a> {
    /// What the table tells of it.
    pub flow: Flow,
    /// Address of the host, or of the guest; the unspecified one if it had none yet.
    pub local: IpAddr,
    /// Address of the peer; the unspecified one if a group was asked.
    pub remote: IpAddr,
    /// Endpoint that the remote address belongs to.
    pub endpoint: Option<&'a str>,
    /// Its roles.
    pub roles: Option<&'a Roles>,
    /// Reference point that permits the flow.
    pub reference_point: Option<&'a str>,
    /// Service.
    pub service: Option<&'a str>,
    /// Time since the first packet.
    pub age: Duration,
    /// Time since the last packet.
    pub idle: Duration,
    /// Time until the flow ends without another packet.
    pub expires: Duration,
}

impl Observer {
    /// The flows that `query` asks for, with the names of the policy in force.
    ///
    /// # Errors
    ///
    /// A table that the kernel does not give.
    pub fn flows<'a>(
        &self,
        current: &'a Current,
        query: &FlowQuery,
    ) -> Result<FlowList<'a>, FlowError> {
        let snapshot = Snapshot::read(&self.pins)?;
        let mut open = 0;
        let mut found: Vec<(Flow, u32)> = snapshot
            .alive(&current.image)
            .inspect(|_| open += 1)
            .filter(|(flow, _)| query.takes(flow))
            .collect();
        found.sort_by_key(|&(flow, idle)| (idle, flow.key.to_words()));
        let limit = query.limit.unwrap_or(usize::MAX);
        let named = |&(flow, idle): &(Flow, u32)| named(flow, idle, &snapshot, current);
        let (matching, flows) = if query.asks_names() {
            let flows = found.iter().map(named);
            let mut flows: Vec<_> = flows.filter(|flow| query.names(flow)).collect();
            let matching = flows.len();
            flows.truncate(limit);
            (matching, flows)
        } else {
            (found.len(), found.iter().take(limit).map(named).collect())
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

fn named<'a>(flow: Flow, idle: u32, snapshot: &Snapshot, current: &'a Current) -> NamedFlow<'a> {
    let policy = current.policy();
    let [local, remote] = addresses(&flow);
    let found = covering(policy, remote);
    let endpoint = found.map(|found| found.endpoint);
    let point = reference_point(policy, &flow, endpoint);
    let lasts = table::timeout(&current.image, flow.state.code()).unwrap_or(0);
    NamedFlow {
        flow,
        local,
        remote,
        endpoint: found.map(|found| found.name),
        roles: endpoint.map(|endpoint| &endpoint.roles),
        reference_point: point.map(|(point, _)| point.name.as_str()),
        service: point.map(|(_, service)| service),
        age: duration(snapshot.age(&flow)),
        idle: duration(idle),
        expires: duration(lasts.saturating_sub(idle)),
    }
}

/// The reference point that permits `flow` to this endpoint, or to a group, and the service.
fn reference_point<'a>(
    policy: &'a Policy,
    flow: &Flow,
    endpoint: Option<&Endpoint>,
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
        .filter(|point| endpoint.is_none() || point.names(endpoint))
        .find_map(|point| Some((point, point.services.iter().find(serves)?.as_str())))
}

/// Whether `service` is what `flow` uses at its remote side.
fn carries(service: &Service, flow: &Flow) -> bool {
    let (number, port) = (flow.key.protocol(), flow.key.remote_port());
    service.matches.iter().any(|matched| {
        let (protocol, first, last) = matched.range();
        // The flow of an echo has an identifier, and no type.
        let is_icmp = matches!(matched, ServiceMatch::Icmp { .. });
        protocol == number && (is_icmp || (first..=last).contains(&port))
    })
}
