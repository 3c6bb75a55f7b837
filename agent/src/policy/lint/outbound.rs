//! Remarks on connections that the host opens: to whom, and their timeout.

use verdict::state::flow::State;

use super::{Code, Lint};
use crate::policy::{Direction, Mode, Object, Outbound, Policy, timeouts::Timeout};

/// Least timeout of an established TCP connection, seconds: keepalive is sent after 2 hours, and
/// its answer may take 4 minutes (RFC 5382, REQ-5).
const TCP_IDLE_SECONDS: u32 = (2 * 60 + 4) * 60;

pub(super) fn connections(policy: &Policy, lints: &mut Vec<Lint>) {
    let mut points = policy.reference_points.iter();
    let names_peers = points.any(|point| point.direction == Direction::Outbound);
    let (code, message, remedy) = match (policy.outbound, policy.mode) {
        (Outbound::Enforce, _) if !names_peers => (
            Code::NothingOutbound,
            "no reference point has `to`: the host can open no connection, not even to name and \
             time servers",
            "Add reference points with `to`, or begin with `outbound: audit`.",
        ),
        (Outbound::Enforce, Mode::Audit) => (
            Code::OutboundEnforced,
            "the policy's mode is audit, but connections that the host opens to services \
             that no `to` names are dropped: outbound is enforce",
            "Write `outbound: audit` to see first what would be dropped.",
        ),
        (Outbound::Enforce, Mode::Enforce) => return,
        (Outbound::Audit, _) => (
            Code::NotEnforced,
            "connections that the host opens to services that no `to` names are not dropped: \
             outbound is audit",
            "Write `outbound: enforce` once the reports show nothing legitimate.",
        ),
        (Outbound::Any, _) => (
            Code::OutboundAny,
            "the host may open connections to anyone, as outbound is any: packets from a wrong \
             peer are dropped only if they belong to no connection that the host opened",
            "Write `outbound: audit`, and name in `to` what it reports.",
        ),
    };
    let subject = (Object::Policy, &*policy.name);
    lints.push(Lint::new(code, subject, message.to_owned(), remedy));
}

pub(super) fn timeouts(policy: &Policy, lints: &mut Vec<Lint>) {
    let state = State::TcpEstablished;
    let seconds = policy.flow_timeouts.seconds(state);
    if seconds >= TCP_IDLE_SECONDS {
        return;
    }
    let (name, timeout) = (state.name(), Timeout(seconds));
    let message = format!(
        "`{name}` is {timeout}: the flows of idle TCP connections would expire before TCP \
         keepalive, which begins after 2 hours, renews them"
    );
    let remedy = format!(
        "Write at least {}, 2 hours and 4 minutes (RFC 5382).",
        Timeout(TCP_IDLE_SECONDS)
    );
    let subject = (Object::FlowTimeout, name);
    lints.push(Lint::new(Code::ShortTimeout, subject, message, &remedy));
}
