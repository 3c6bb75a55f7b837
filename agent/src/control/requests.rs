//! What somebody asks of the agent, read from HTTP.
//!
//! | request | body | answer | who |
//! | --- | --- | --- | --- |
//! | `GET /v1/status` | | [`Status`] | |
//! | `GET /v1/stats` | | [`Stats`] | |
//! | `GET /v1/endpoints` | | [`EndpointList`] | |
//! | `GET /v1/flows` | [`FlowQuery`] as its query | [`FlowList`] | |
//! | `POST /v1/flows/cut` | [`FlowQuery`] | [`FlowsCut`] | root |
//! | `GET /v1/leases` | | [`LeaseList`] | |
//! | `POST /v1/leases/revoke` | [`Revocation`] | [`Revoked`] | root |
//! | `GET /v1/policy` | [`PolicyQuery`] as its query | [`PolicyText`] | |
//! | `GET /v1/policy/history` | [`HistoryQuery`] as its query | [`History`] | |
//! | `POST /v1/policy/check` | [`Candidate`] | [`Report`] | |
//! | `POST /v1/policy/diff` | [`Candidate`] | [`Difference`] | |
//! | `POST /v1/policy/apply` | [`Candidate`] | [`Applied`] | root |
//! | `POST /v1/policy/confirm` | [`Claim`] | [`Confirmed`] | root |
//! | `POST /v1/policy/cancel` | [`Claim`] | [`Cancelled`] | root |
//! | `POST /v1/policy/rollback` | [`RollBack`] | [`Applied`] | root |
//! | `POST /v1/policy/patch` | [`Patch`] | [`Applied`] | root |
//! | `GET /v1/policy/try` | | [`ShadowReport`] | |
//! | `POST /v1/policy/try` | [`Candidate`] | [`Tried`] | root |
//! | `POST /v1/policy/try/stop` | | [`StoppedTrying`] | root |
//! | `POST /v1/policy/promote` | [`Promotion`] | [`Applied`] | root |
//! | `GET /v1/break-glass` | | [`BreakGlass`] | |
//! | `POST /v1/break-glass/open` | [`DoorOrder`] | [`OpenDoor`] | root |
//! | `POST /v1/break-glass/close` | [`Claim`] | [`DoorsClosed`] | root |
//! | `POST /v1/explain` | [`Question`] | [`Explanation`] | |
//! | `POST /v1/detach` | | [`Detached`] | root |
//!
//! Whoever may open the socket may read. A request that fails is answered with a [`Failure`]:
//!
//! | status | code | why |
//! | --- | --- | --- |
//! | 400 | `invalid-policy` | the policy has mistakes, or does not fit this host |
//! | 400 | `bad-request` | what is asked about does not exist, or cannot be read |
//! | 403 | `not-allowed` | the caller may only read |
//! | 404 | `bad-request` | there is no such path |
//! | 404 | `no-such-endpoint` | the policy has no such endpoint that shows a certificate |
//! | 404 | `no-such-serial` | no policy with this serial is kept, or none was in force before |
//! | 408 | `too-slow` | the request was not complete in time |
//! | 413 | `too-large` | the request has more bytes than its sender may send: 1 MiB, root 128 MiB |
//! | 503 | `busy` | the sender, or all readers, have too many connections |
//! | 409 | `no-policy` | there is no policy yet |
//! | 409 | `no-enrolment` | the agent gives no leases, or on another port than the policy says |
//! | 409 | `unsigned` | no key that the agent trusts has signed the policy |
//! | 409 | `stale-serial` | a policy with this serial, or a higher one, is in force |
//! | 409 | `cuts-session` | the policy would cut the session that it is applied from |
//! | 409 | `nothing-on-trial` | no policy waits to be confirmed |
//! | 409 | `nothing-tried` | no candidate judges beside the policy in force |
//! | 409 | `unproven` | the confirmation has not come through the policy that it is about |
//! | 409 | `not-at-console` | a break-glass door is opened from the console of the host only |
//! | 409 | `cannot-attach` | an interface does not take the programs |
//! | 409 | `uncovered` | no program looks at packets on the interface that is asked about |
//! | 500 | `disagreement` | host and kernel judge a packet differently: a defect |
//! | 500 | `internal` | the kernel or the disk failed, or there is a defect |
//!
//! What is no request at all (another method, JSON that cannot be read) is answered in plain text,
//! with 405, 400, 415 or 422.
//!
//! Who may only read has 16 connections, all readers 48, and root 128 of its own. A header has to come within
//! 5 seconds, what follows within 10; a reader's connection lasts a minute. All but `status` is answered one
//! request after the other for each reader, and for two readers at once.
//!
//! [`Status`]: manoward_api::Status
//! [`Stats`]: manoward_api::Stats
//! [`EndpointList`]: manoward_api::EndpointList
//! [`FlowList`]: manoward_api::FlowList
//! [`FlowsCut`]: manoward_api::FlowsCut
//! [`LeaseList`]: manoward_api::LeaseList
//! [`Revoked`]: manoward_api::Revoked
//! [`PolicyText`]: manoward_api::PolicyText
//! [`History`]: manoward_api::History
//! [`Report`]: manoward_api::Report
//! [`Difference`]: manoward_api::Difference
//! [`Applied`]: manoward_api::Applied
//! [`Confirmed`]: manoward_api::Confirmed
//! [`Cancelled`]: manoward_api::Cancelled
//! [`ShadowReport`]: manoward_api::ShadowReport
//! [`Tried`]: manoward_api::Tried
//! [`StoppedTrying`]: manoward_api::StoppedTrying
//! [`Explanation`]: manoward_api::Explanation
//! [`BreakGlass`]: manoward_api::BreakGlass
//! [`OpenDoor`]: manoward_api::OpenDoor
//! [`DoorsClosed`]: manoward_api::DoorsClosed
//! [`Detached`]: manoward_api::Detached
//! [`Failure`]: manoward_api::Failure

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Query, State},
    http::Method,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use manoward_api::{
    Candidate, Claim, DoorOrder, FlowQuery, HistoryQuery, Patch, PolicyQuery, Promotion, Question,
    Revocation, RollBack,
};
use nix::unistd::Uid;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::answers::Failed;

/// The path that is answered without waiting for others.
pub const STATUS: &str = "/v1/status";

/// A request of the API.
#[derive(Clone, Debug)]
pub enum Request {
    /// `GET /v1/status`
    Status,
    /// `GET /v1/stats`
    Stats,
    /// `GET /v1/endpoints`
    Endpoints,
    /// `GET /v1/flows`
    Flows(FlowQuery),
    /// `POST /v1/flows/cut`
    Cut(FlowQuery),
    /// `GET /v1/leases`
    Leases,
    /// `POST /v1/leases/revoke`
    Revoke(Revocation),
    /// `GET /v1/policy`
    Policy(PolicyQuery),
    /// `GET /v1/policy/history`
    History(HistoryQuery),
    /// `POST /v1/policy/check`
    Check(Candidate),
    /// `POST /v1/policy/diff`
    Diff(Candidate),
    /// `POST /v1/policy/apply`
    Apply(Candidate),
    /// `POST /v1/policy/confirm`
    Confirm(Claim),
    /// `POST /v1/policy/cancel`
    Cancel(Claim),
    /// `POST /v1/policy/rollback`
    RollBack(RollBack),
    /// `POST /v1/policy/patch`
    Patch(Patch),
    /// `GET /v1/policy/try`
    Trying,
    /// `POST /v1/policy/try`
    Try(Candidate),
    /// `POST /v1/policy/try/stop`
    StopTrying,
    /// `POST /v1/policy/promote`
    Promote(Promotion),
    /// `GET /v1/break-glass`
    BreakGlass,
    /// `POST /v1/break-glass/open`
    OpenDoor(DoorOrder),
    /// `POST /v1/break-glass/close`
    CloseDoors(Claim),
    /// `POST /v1/explain`
    Explain(Question),
    /// `POST /v1/detach`
    Detach,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// User id, if the kernel told.
    pub uid: Option<u32>,
    /// Process id, if the kernel told.
    pub pid: Option<u32>,
}

impl Peer {
    /// Who is at the other end of `stream`, as the kernel tells.
    #[must_use]
    pub fn of(stream: &UnixStream) -> Self {
        let credentials = stream.peer_cred().ok();
        Self {
            uid: credentials.map(|credentials| credentials.uid()),
            pid: credentials
                .and_then(|credentials| credentials.pid())
                .map(i32::cast_unsigned),
        }
    }

    /// Whether it may change anything.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid == Some(Uid::from_raw(0).as_raw())
    }
}

/// Who answers requests.
pub trait Agent: Clone + Send + Sync + 'static {
    /// Answers `request`, which `peer` sent.
    fn answer(&self, peer: Peer, request: Request) -> impl Future<Output = Response> + Send;
}

/// The paths of the API, over which `agent` is asked. Each request needs to come with its [`Peer`].
pub fn routes<A: Agent>(agent: A) -> Router {
    let paths = paths().into_iter();
    paths
        .fold(Router::new(), |router, path| {
            router.route(path.name, path.handler)
        })
        .fallback(|| async { Failed::unknown_path().into_response() })
        // Who gives requests to the router has read them within limits.
        .layer(DefaultBodyLimit::disable())
        .with_state(agent)
}

/// A path, and who reads what is sent there.
struct Path<A> {
    #[cfg_attr(not(test), expect(dead_code, reason = "the handler knows its method"))]
    method: Method,
    name: &'static str,
    handler: MethodRouter<A>,
}

/// Every path; the table above lists them.
fn paths<A: Agent>() -> [Path<A>; 25] {
    [
        gets(STATUS, || Request::Status),
        gets("/v1/stats", || Request::Stats),
        gets("/v1/endpoints", || Request::Endpoints),
        queries("/v1/flows", Request::Flows),
        posts("/v1/flows/cut", Request::Cut),
        gets("/v1/leases", || Request::Leases),
        posts("/v1/leases/revoke", Request::Revoke),
        queries("/v1/policy", Request::Policy),
        queries("/v1/policy/history", Request::History),
        posts("/v1/policy/check", Request::Check),
        posts("/v1/policy/diff", Request::Diff),
        posts("/v1/policy/apply", Request::Apply),
        posts("/v1/policy/confirm", Request::Confirm),
        posts("/v1/policy/cancel", Request::Cancel),
        posts("/v1/policy/rollback", Request::RollBack),
        posts("/v1/policy/patch", Request::Patch),
        gets("/v1/policy/try", || Request::Trying),
        posts("/v1/policy/try", Request::Try),
        orders("/v1/policy/try/stop", || Request::StopTrying),
        posts("/v1/policy/promote", Request::Promote),
        gets("/v1/break-glass", || Request::BreakGlass),
        posts("/v1/break-glass/open", Request::OpenDoor),
        posts("/v1/break-glass/close", Request::CloseDoors),
        posts("/v1/explain", Request::Explain),
        orders("/v1/detach", || Request::Detach),
    ]
}

type From = ConnectInfo<Peer>;

/// Reads a request that is nothing but its path.
fn gets<A: Agent>(name: &'static str, request: fn() -> Request) -> Path<A> {
    Path {
        method: Method::GET,
        name,
        handler: get(
            async move |ConnectInfo(peer): From, State(agent): State<A>| {
                agent.answer(peer, request()).await
            },
        ),
    }
}

/// Reads a request that is nothing but its path, and changes something.
fn orders<A: Agent>(name: &'static str, request: fn() -> Request) -> Path<A> {
    Path {
        method: Method::POST,
        name,
        handler: post(
            async move |ConnectInfo(peer): From, State(agent): State<A>| {
                agent.answer(peer, request()).await
            },
        ),
    }
}

/// Reads a request from the query of its URI.
fn queries<A: Agent, Q>(name: &'static str, request: fn(Q) -> Request) -> Path<A>
where
    Q: DeserializeOwned + Send + 'static,
{
    Path {
        method: Method::GET,
        name,
        handler: get(
            async move |ConnectInfo(peer): From, State(agent): State<A>, Query(query): Query<Q>| {
                agent.answer(peer, request(query)).await
            },
        ),
    }
}

/// Reads a request from JSON.
fn posts<A: Agent, B>(name: &'static str, request: fn(B) -> Request) -> Path<A>
where
    B: DeserializeOwned + Send + 'static,
{
    Path {
        method: Method::POST,
        name,
        handler: post(
            async move |ConnectInfo(peer): From, State(agent): State<A>, Json(body): Json<B>| {
                agent.answer(peer, request(body)).await
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIS: &str = include_str!("requests.rs");

    /// The rows of the tables in the documentation of this module, as their cells.
    fn rows() -> impl Iterator<Item = Vec<&'static str>> {
        THIS.lines()
            .filter_map(|line| line.strip_prefix("//! | "))
            .map(|row| row.split('|').map(str::trim).collect())
    }

    #[derive(Clone)]
    struct Nobody;

    impl Agent for Nobody {
        async fn answer(&self, _: Peer, _: Request) -> Response {
            ().into_response()
        }
    }

    #[test]
    fn the_documentation_lists_every_path() {
        let paths = paths::<Nobody>();
        let paths = paths.map(|path| format!("`{} {}`", path.method, path.name));
        let documented: Vec<&str> = rows()
            .map(|row| row[0])
            .filter(|cell| cell.contains("/v1/"))
            .collect();
        assert_eq!(documented, paths);
    }

    #[test]
    fn the_documentation_lists_every_failure() {
        let mut failures: Vec<String> = Failed::all()
            .iter()
            .map(|(code, status)| format!("{} `{code}`", status.as_u16()))
            .collect();
        failures.sort();
        let mut documented: Vec<String> = rows()
            .filter(|row| row[0].parse::<u16>().is_ok())
            .map(|row| format!("{} {}", row[0], row[1]))
            .collect();
        documented.sort();
        assert_eq!(documented, failures);
    }
}
