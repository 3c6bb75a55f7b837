//! Connections to the control socket: how much each may send, and how long it may take.
//!
//! What a peer sends is read to its end, within bounds of size and time, before anybody looks at it.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    response::{IntoResponse as _, Response},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};
use tower_service::Service as _;
use tracing::warn;

use super::{
    answers::Failed,
    limits::{Limits, Place, Turn},
    requests::{Agent, Peer, STATUS, routes},
};
use crate::pulse::Pulse;

/// How long the header of a request may take, also until a connection is used.
const HEADER: Duration = Duration::from_secs(5);
/// How long the rest of a request may take.
const BODY: Duration = Duration::from_secs(10);
/// How long a connection of a reader may last, and how long after that its last answer may take.
const READERS: Duration = Duration::from_mins(1);
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// Longest header of a request, in bytes.
const HEADER_BYTES: usize = 16 << 10;
/// How long to wait where connections cannot be accepted.
const PAUSE: Duration = Duration::from_millis(500);
/// Connections that are refused without a breath, and how long that is: who connects as fast as it can waits for
/// it, and leaves a processor to others.
const REFUSED: u32 = 8;
const BREATH: Duration = Duration::from_millis(1);

/// Answers who connects to `listener` by `agent`, until `end` is notified.
pub async fn serve(listener: UnixListener, agent: impl Agent, end: Arc<Notify>, pulse: Pulse) {
    let router = routes(agent);
    let limits = Arc::new(Limits::default());
    let (ending, ended) = watch::channel(());
    let mut open = JoinSet::new();
    let told = end.notified();
    tokio::pin!(told);
    let mut beat = tokio::time::interval(Pulse::BEAT);
    let mut refused = 0u32;
    loop {
        let stream = tokio::select! {
            () = &mut told => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept connections to the control socket, trying again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            Some(_) = open.join_next() => continue,
            _ = beat.tick() => {
                pulse.beat();
                continue;
            }
        };
        if let Some(place) = limits.enter(Peer::of(&stream)) {
            open.spawn(talk(stream, place.into(), router.clone(), ended.clone()));
            continue;
        }
        refuse(&stream);
        refused += 1;
        if refused.is_multiple_of(REFUSED) {
            refused = 0;
            tokio::time::sleep(BREATH).await;
        }
    }
    drop(listener);
    drop(ending);
    while open.join_next().await.is_some() {}
}

/// Tells a peer that there are too many connections. It is not waited for.
fn refuse(stream: &UnixStream) {
    let body = Failed::busy().to_json();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}

/// Answers the requests of one connection.
async fn talk(
    stream: UnixStream,
    place: Arc<Place>,
    router: Router,
    mut ended: watch::Receiver<()>,
) {
    let is_root = place.peer().is_root();
    let service = service_fn(|request| answer(request, Arc::clone(&place), router.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let too_long = async {
        if is_root {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(READERS).await;
    };
    // How a connection failed is its peer's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ended.changed() => {}
        () = too_long => {}
    }
    connection.as_mut().graceful_shutdown();
    if is_root {
        let _ = connection.await;
    } else {
        let _ = timeout(LAST_ANSWER, connection).await;
    }
}

/// Reads a request to its end, waits for its turn, and has it answered.
async fn answer(
    request: hyper::Request<Incoming>,
    place: Arc<Place>,
    mut router: Router,
) -> Result<Response, Infallible> {
    let (mut parts, body) = request.into_parts();
    let body = match read(body, &place).await {
        Ok(body) => body,
        Err(failed) => return Ok(failed.into_response()),
    };
    let turn = if parts.uri.path() == STATUS {
        None
    } else {
        place.turn().await
    };
    parts.extensions.insert(ConnectInfo(place.peer()));
    let request = Request::from_parts(parts, Body::from(body));
    let response = router.call(request).await?;
    Ok(response.map(|body| Body::new(Held { body, _turn: turn })))
}

async fn read(body: Incoming, place: &Place) -> Result<Bytes, Failed> {
    let most = place.most_bytes();
    let too_large = || Failed::too_large(most, place.peer().is_root());
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match timeout(BODY, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Failed::unread(&error.to_string())),
        Err(_) => Err(Failed::too_slow(BODY)),
    }
}

/// An answer whose turn ends once it is sent, so that answers that nobody reads do not add up.
struct Held {
    body: Body,
    _turn: Option<Turn>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
