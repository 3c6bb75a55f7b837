//! Which flows are asked for, and those that were found.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use manoward_api::{FlowEntry, FlowList, FlowQuery, FlowsCut, Way};
use thiserror::Error;
use verdict::state::flow::State;

use crate::{
    enforcer::{self, NamedFlow},
    policy::{Direction, protocol},
};

/// Why a query cannot be read.
#[derive(Debug, Error)]
pub enum QueryError {
    /// No such protocol.
    #[error("`{0}` is no protocol: write tcp, udp, sctp, icmp, icmpv6, another name, or a number")]
    Protocol(String),
    /// No such state.
    #[error("`{found}` is no state of a flow: they are {}", states())]
    State {
        /// What was asked for.
        found: String,
    },
    /// No MAC address.
    #[error(
        "`{0}` is no MAC address: write six pairs of hexadecimal digits, such as 52:54:00:aa:bb:01"
    )]
    Mac(String),
    /// No address.
    #[error("`{0}` is neither an IP address nor a prefix")]
    Address(String),
}

fn states() -> String {
    let names: Vec<&str> = State::ALL.iter().map(|state| state.name()).collect();
    names.join(", ")
}

/// Reads a query.
///
/// # Errors
///
/// [`QueryError`].
pub fn query(query: FlowQuery) -> Result<enforcer::FlowQuery, QueryError> {
    let protocol = query
        .protocol
        .map(|named| protocol::number(&named).ok_or(QueryError::Protocol(named)));
    let state = query
        .state
        .map(|named| State::from_name(&named).ok_or(QueryError::State { found: named }));
    let address = query.address.map(|written| {
        let address = written.parse::<IpAddr>().map(IpNet::from);
        address
            .or_else(|_| written.parse())
            .map_err(|_| QueryError::Address(written))
    });
    Ok(enforcer::FlowQuery {
        endpoint: query.endpoint,
        role: query.role,
        reference_point: query.reference_point,
        service: query.service,
        protocol: protocol.transpose()?,
        state: state.transpose()?,
        address: address.transpose()?,
        port: query.port,
        direction: query.direction.map(|way| match way {
            Way::In => Direction::Inbound,
            Way::Out => Direction::Outbound,
        }),
        limit: query.limit,
    })
}

/// The flows of a query.
pub fn list(list: &enforcer::FlowList<'_>) -> FlowList {
    FlowList {
        flows: list.flows.iter().map(entry).collect(),
        matching: list.matching,
        open: list.open,
        capacity: list.capacity,
    }
}

fn entry(named: &NamedFlow<'_>) -> FlowEntry {
    let NamedFlow { flow, .. } = named;
    let owned = |name: Option<&str>| name.map(str::to_owned);
    FlowEntry {
        direction: match flow.direction {
            Direction::Inbound => Way::In,
            Direction::Outbound => Way::Out,
        },
        protocol: protocol::name(flow.key.protocol()),
        local: named.local,
        local_port: flow.key.local_port(),
        remote: named.remote,
        remote_port: flow.key.remote_port(),
        state: flow.state.name().to_owned(),
        endpoint: owned(named.endpoint),
        role: named.roles.map(ToString::to_string),
        reference_point: owned(named.reference_point),
        service: owned(named.service),
        age_s: flow.age.map(seconds),
        idle_s: flow.idle.map(seconds),
        expires_s: flow.expires.map(seconds),
        sent_bytes: flow.bytes.map(|[sent, _]| sent),
        received_bytes: flow.bytes.map(|[_, received]| received),
    }
}

/// What was cut.
pub fn cut(cut: &enforcer::FlowsCut<'_>) -> FlowsCut {
    FlowsCut {
        cut: cut.cut.iter().map(entry).collect(),
        left: cut.left.iter().map(entry).collect(),
    }
}

/// Seconds, in tenths.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
