//! What somebody asks of the agent, read from HTTP.

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Query, State, connect_info::Connected},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, get, on, post},
    serve::IncomingStream,
};
use nix::unistd::Uid;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

use super::{
    answers::Failed,
    api::{Candidate, FlowQuery, Question, Revocation},
};

/// Longest request: a policy with two million addresses is 40 MiB.
const MAX_BODY_BYTES: usize = 256 << 20;

/// A request of the [API](super::api).
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
    /// `GET /v1/leases`
    Leases,
    /// `POST /v1/leases/revoke`
    Revoke(Revocation),
    /// `GET /v1/policy`
    Policy,
    /// `POST /v1/policy/check`
    Check(Candidate),
    /// `POST /v1/policy/diff`
    Diff(Candidate),
    /// `POST /v1/policy/apply`
    Apply(Candidate),
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
}

impl Peer {
    /// Whether it may change anything.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid == Some(Uid::from_raw(0).as_raw())
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self {
            uid: stream
                .io()
                .peer_cred()
                .ok()
                .map(|credentials| credentials.uid()),
        }
    }
}

/// Who answers requests.
pub trait Agent: Clone + Send + Sync + 'static {
    /// Answers `request`, which `peer` sent.
    fn answer(&self, peer: Peer, request: Request) -> impl Future<Output = Response> + Send;
}

/// The paths of the API, over which `agent` is asked. Each request needs to come with its [`Peer`].
pub fn routes<A: Agent>(agent: A) -> Router {
    Router::new()
        .route("/v1/status", gets(|| Request::Status))
        .route("/v1/stats", gets(|| Request::Stats))
        .route("/v1/endpoints", gets(|| Request::Endpoints))
        .route("/v1/flows", queries(Request::Flows))
        .route("/v1/leases", gets(|| Request::Leases))
        .route("/v1/leases/revoke", posts(Request::Revoke))
        .route("/v1/policy", gets(|| Request::Policy))
        .route("/v1/policy/check", posts(Request::Check))
        .route("/v1/policy/diff", posts(Request::Diff))
        .route("/v1/policy/apply", posts(Request::Apply))
        .route("/v1/explain", posts(Request::Explain))
        .route("/v1/detach", orders(|| Request::Detach))
        .fallback(|| async { Failed::unknown_path().into_response() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(agent)
}

type From = ConnectInfo<Peer>;

/// Reads a request that is nothing but its path.
fn gets<A: Agent>(request: fn() -> Request) -> MethodRouter<A> {
    bare(MethodFilter::GET, request)
}

/// The same where the request changes something.
fn orders<A: Agent>(request: fn() -> Request) -> MethodRouter<A> {
    bare(MethodFilter::POST, request)
}

fn bare<A: Agent>(method: MethodFilter, request: fn() -> Request) -> MethodRouter<A> {
    on(
        method,
        async move |ConnectInfo(peer): From, State(agent): State<A>| {
            agent.answer(peer, request()).await
        },
    )
}

/// Reads a request from the query of its URI.
fn queries<A: Agent, Q>(request: fn(Q) -> Request) -> MethodRouter<A>
where
    Q: DeserializeOwned + Send + 'static,
{
    get(
        async move |ConnectInfo(peer): From, State(agent): State<A>, Query(query): Query<Q>| {
            agent.answer(peer, request(query)).await
        },
    )
}

/// Reads a request from JSON.
fn posts<A: Agent, B>(request: fn(B) -> Request) -> MethodRouter<A>
where
    B: DeserializeOwned + Send + 'static,
{
    post(
        async move |ConnectInfo(peer): From, State(agent): State<A>, Json(body): Json<B>| {
            agent.answer(peer, request(body)).await
        },
    )
}
