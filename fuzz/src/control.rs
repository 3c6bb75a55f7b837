//! Requests to the control API: its router, and the parsers behind it.
//!
//! The first line is the method and the path with its query, the second a content type; what
//! follows is the body.

use std::sync::OnceLock;

use axum::{
    Json,
    body::Body,
    extract::connect_info::MockConnectInfo,
    http::{self, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use harness::judge::differential::policies;
use manoward::{
    control::{
        requests::{Agent, Peer, Request, routes},
        wire,
    },
    explain::{addresses, covering},
    policy::{self, Policy},
};
use manoward_api::Question;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;
use verdict::{counters::Direction, frame::ethernet, host::Frame};

/// Bytes of an answer at most; the API's own are much shorter here.
const ANSWER: usize = 1 << 20;

/// Sends the request in `data` through the router.
pub fn run(data: &[u8]) {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers");
    }
    if let Some(request) = request(data) {
        RUNTIME.with(|runtime| runtime.block_on(send(request)));
    }
}

/// The request in `data`; `None` if HTTP would not carry it.
fn request(data: &[u8]) -> Option<http::Request<Body>> {
    let mut parts = data.splitn(3, |&byte| byte == b'\n');
    let mut first = parts.next()?.splitn(2, |&byte| byte == b' ');
    let (method, path) = (first.next()?, first.next()?);
    let content_type = parts.next()?;
    http::Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, content_type)
        .body(Body::from(parts.next()?.to_vec()))
        .ok()
}

async fn send(request: http::Request<Body>) {
    let peer = Peer {
        uid: Some(0),
        pid: None,
    };
    let router = routes(Reader).layer(MockConnectInfo(peer));
    let Ok(response) = router.oneshot(request).await;
    let status = response.status();
    assert!(!status.is_server_error(), "{status}");
    let answer = axum::body::to_bytes(response.into_body(), ANSWER).await;
    assert!(answer.is_ok(), "a long answer");
}

/// Answers requests as far as possible without a kernel.
#[derive(Clone)]
struct Reader;

impl Agent for Reader {
    async fn answer(&self, _: Peer, request: Request) -> Response {
        match request {
            Request::Flows(query) => match wire::query(query) {
                Ok(_) => "read".into_response(),
                Err(error) => error.to_string().into_response(),
            },
            Request::Check(candidate) | Request::Apply(candidate) => {
                match policy::read(&candidate.text, &candidate.file) {
                    Ok(validated) => Json(validated.lint(None)).into_response(),
                    Err(error) => Json(error).into_response(),
                }
            }
            Request::Diff(candidate) => match policy::read(&candidate.text, &candidate.file) {
                Ok(validated) => {
                    let before = Some(in_force());
                    Json(policy::diff(before, &validated.policy)).into_response()
                }
                Err(error) => Json(error).into_response(),
            },
            Request::Explain(question) => explain(question).into_response(),
            other => format!("{other:?}").into_response(),
        }
    }
}

/// The policy in force.
fn in_force() -> &'static Policy {
    static IN_FORCE: OnceLock<Policy> = OnceLock::new();
    IN_FORCE.get_or_init(|| policies::bound().expect("policies of tests have no mistakes"))
}

/// Composes the frame of a question. Another parser must find the described addresses in it.
fn explain(asked: Question) -> String {
    let policy = in_force();
    let described = match asked {
        Question::Packet { from, to, .. } => Some((from, to)),
        Question::Frame { .. } => None,
    };
    let question = match wire::question(asked) {
        Ok(question) => question,
        Err(error) => return error.to_string(),
    };
    let (bytes, interface) = match question.frame(policy) {
        Ok(composed) => composed,
        Err(error) => return error.to_string(),
    };
    let found = addresses(&bytes);
    if described.is_some() {
        assert_eq!(found, described, "the addresses of the packet");
        let frame = Frame {
            bytes: &bytes,
            ifindex: 1,
            vlan: None,
        };
        assert!(ethernet::parse(&frame).is_ok());
    }
    let peer = found.map(|(source, destination)| match question.direction {
        Direction::In => source,
        Direction::Out => destination,
    });
    let covering = peer.and_then(|peer| covering(policy, peer));
    format!("{:?} {interface:?}", covering.map(|found| found.name))
}
