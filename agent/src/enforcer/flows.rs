//! The connections that are open, with the names that the policy has for them, and their end.
//!
//! Those that the host has begun are in the table of flows. Those that peers have begun are the kernel's
//! sockets ([`inbound`]), and what is remembered of them.

mod inbound;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use ipnet::IpNet;
use thiserror::Error;
use tracing::warn;
use verdict::state::flow::{Key, State, table};

use super::{Current, Observer};
use crate::{
    datapath::{
        flows::{self, FlowError, Snapshot, duration},
        sockets::{self, SocketError, TcpSocket},
    },
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
    /// Who has begun it.
    pub direction: Option<Direction>,
    /// Most flows that are listed; those of which the last packet is most recent.
    pub limit: Option<usize>,
}

impl FlowQuery {
    /// Whether `flow` is asked for, by what is known of it without the policy.
    fn takes(&self, flow: &OpenFlow) -> bool {
        let key = &flow.key;
        let ports = [key.local_port(), key.remote_port()];
        let [local, remote] = addresses(key);
        self.protocol
            .is_none_or(|protocol| key.protocol() == protocol)
            && self.state.is_none_or(|state| state == flow.state)
            && self
                .direction
                .is_none_or(|direction| direction == flow.direction)
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

/// A connection that is open.
#[derive(Clone, Copy, Debug)]
pub struct OpenFlow {
    /// Its five-tuple.
    pub key: Key,
    /// Who has begun it: outbound ones the host.
    pub direction: Direction,
    /// How far it has come.
    pub state: State,
    /// Time since the first packet, if that was seen.
    pub age: Option<Duration>,
    /// Time since the last packet, if that is known.
    pub idle: Option<Duration>,
    /// Time until a flow ends without another packet.
    pub expires: Option<Duration>,
    /// Bytes that the local and the remote side have sent, if that is known.
    pub bytes: Option<[u64; 2]>,
}

/// A connection, with the names that the policy has for it.
#[derive(Clone, Debug)]
pub struct NamedFlow<'a> {
    /// What is known of it without the policy.
    pub flow: OpenFlow,
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
}

/// Connections that were to be cut.
#[derive(Clone, Debug)]
pub struct FlowsCut<'a> {
    /// Those that were ended.
    pub cut: Vec<NamedFlow<'a>>,
    /// Those that could not be.
    pub left: Vec<NamedFlow<'a>>,
}

/// Why connections cannot be listed or cut.
#[derive(Debug, Error)]
pub enum ListError {
    /// The table of flows cannot be read.
    #[error(transparent)]
    Flows(#[from] FlowError),
    /// The kernel's sockets cannot be read.
    #[error(transparent)]
    Sockets(#[from] SocketError),
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
    ) -> Result<FlowList<'a>, ListError> {
        let snapshot = Snapshot::read(&self.pins)?;
        let all = open(&snapshot, current, &sockets::tcp()?);
        let count = all.len();
        let mut found: Vec<OpenFlow> = all.into_iter().filter(|flow| query.takes(flow)).collect();
        found.sort_by_key(|flow| (flow.idle, flow.key.to_words()));
        let limit = query.limit.unwrap_or(usize::MAX);
        let named = |&flow: &OpenFlow| named(flow, current);
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
            open: count,
            capacity: snapshot.capacity() / 4,
        })
    }

    /// Ends the connections that `query` asks for: the kernel resets TCP connections of this host's sockets,
    /// and what the host has begun loses its flow, so that the peer's packets are no answers any more.
    ///
    /// # Errors
    ///
    /// Tables that the kernel does not give.
    pub fn cut<'a>(
        &self,
        current: &'a Current,
        query: &FlowQuery,
    ) -> Result<FlowsCut<'a>, ListError> {
        let sockets = sockets::tcp()?;
        let wanted = self.flows(current, query)?.flows;
        let mut flows = BTreeSet::new();
        let (mut cut, mut left) = (Vec::new(), Vec::new());
        for found in wanted {
            let key = found.flow.key;
            let is_its = |socket: &&TcpSocket| inbound::key(socket) == Some(key);
            let ended = match sockets.iter().find(is_its).map(TcpSocket::destroy) {
                Some(Ok(())) => true,
                Some(Err(error)) => {
                    warn!(%error, ?key, "a connection cannot be reset");
                    false
                }
                None => false,
            };
            let is_flow = found.flow.direction == Direction::Outbound;
            if is_flow {
                flows.insert(key.to_words());
            }
            if ended || is_flow {
                cut.push(found);
            } else {
                left.push(found);
            }
        }
        // The host has said by then that it resets them.
        if !flows.is_empty() {
            flows::remove(&self.pins, &flows)?;
        }
        Ok(FlowsCut { cut, left })
    }
}

/// Every connection that is open.
fn open(snapshot: &Snapshot, current: &Current, sockets: &[TcpSocket]) -> Vec<OpenFlow> {
    let mut open: Vec<OpenFlow> = snapshot
        .alive(&current.image)
        .map(|(flow, idle)| {
            let lasts = table::timeout(&current.image, flow.state.code()).unwrap_or(0);
            OpenFlow {
                key: flow.key,
                direction: Direction::Outbound,
                state: flow.state,
                age: Some(duration(snapshot.since(flow.opened))),
                idle: Some(duration(idle)),
                expires: Some(duration(lasts.saturating_sub(idle))),
                bytes: Some([flow.sent.bytes(), flow.received.bytes()]),
            }
        })
        .collect();
    let begun: BTreeSet<_> = open.iter().map(|flow| flow.key.to_words()).collect();
    let inbound = inbound::connections(snapshot, current, sockets);
    open.extend(inbound.filter(|flow| !begun.contains(&flow.key.to_words())));
    open
}

/// Local and remote address of a key.
fn addresses(key: &Key) -> [IpAddr; 2] {
    [key.local(), key.remote()].map(|[high, low]| {
        if key.is_ipv6() {
            Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
        } else {
            Ipv4Addr::from_bits(low as u32).into()
        }
    })
}

fn named(flow: OpenFlow, current: &Current) -> NamedFlow<'_> {
    let policy = current.policy();
    let [local, remote] = addresses(&flow.key);
    let found = covering(policy, remote);
    let endpoint = found.map(|found| found.endpoint);
    let point = reference_point(policy, &flow, endpoint);
    NamedFlow {
        flow,
        local,
        remote,
        endpoint: found.map(|found| found.name),
        roles: endpoint.map(|endpoint| &endpoint.roles),
        reference_point: point.map(|(point, _)| point.name.as_str()),
        service: point.map(|(_, service)| service),
    }
}

/// The reference point that permits `flow` to this endpoint, or to a group, and the service.
fn reference_point<'a>(
    policy: &'a Policy,
    flow: &OpenFlow,
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
        .filter(|point| point.direction == flow.direction)
        .filter(|point| endpoint.is_none() || point.names(endpoint))
        .find_map(|point| Some((point, point.services.iter().find(serves)?.as_str())))
}

/// Whether `service` is what `flow` uses, at the side that has not begun it.
fn carries(service: &Service, flow: &OpenFlow) -> bool {
    let number = flow.key.protocol();
    let port = match flow.direction {
        Direction::Outbound => flow.key.remote_port(),
        Direction::Inbound => flow.key.local_port(),
    };
    service.matches.iter().any(|matched| {
        let (protocol, first, last) = matched.range();
        // The flow of an echo has an identifier, and no type.
        let is_icmp = matches!(matched, ServiceMatch::Icmp { .. });
        protocol == number && (is_icmp || (first..=last).contains(&port))
    })
}
