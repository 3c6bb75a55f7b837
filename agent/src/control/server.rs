//! The server of the control API.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Query, connect_info::Connected},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use nix::unistd::{Group, Uid, chown};
use thiserror::Error;
use tokio::{
    net::UnixListener,
    sync::{Mutex, Notify},
};
use tracing::{info, warn};

use super::{
    answers::{Answer, Failed, not_allowed},
    api::{Candidate, Detached, FlowQuery, Question, Revocation, Revoked},
};
use crate::{datapath::interface::Interfaces, enforcer::Enforcer};

/// Longest request: a policy with two million addresses is 40 MiB.
const MAX_BODY_BYTES: usize = 256 << 20;
/// Owner and group may connect.
const SOCKET_MODE: u32 = 0o660;

/// Why the API cannot be served.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Another agent is there.
    #[error(
        "{path} is already served by a live agent. Stop it first (`systemctl stop manoward`), or give this one a `socket` of its own in agent.yaml"
    )]
    Served {
        /// The socket.
        path: PathBuf,
    },
    /// The group does not exist.
    #[error(
        "this host has no group `{0}`. Create it (`groupadd --system {0}`) or correct `group` in agent.yaml"
    )]
    NoGroup(String),
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Opens the socket at `path`; members of `group` may connect to it.
pub fn listen(path: &Path, group: Option<&str>) -> Result<UnixListener, ServerError> {
    let failed = |operation| {
        move |source| ServerError::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    };
    if UnixStream::connect(path).is_ok() {
        return Err(ServerError::Served {
            path: path.to_owned(),
        });
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed("create the directory of"))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace")(error));
        }
        _ => {}
    }
    let group = group.map(find_group).transpose()?;
    let listener = UnixListener::bind(path).map_err(failed("listen at"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))
        .map_err(failed("set the mode of"))?;
    if let Some(group) = group {
        chown(path, None, Some(group.gid))
            .map_err(|error| failed("set the group of")(error.into()))?;
    }
    Ok(listener)
}

fn find_group(name: &str) -> Result<Group, ServerError> {
    Group::from_name(name)
        .ok()
        .flatten()
        .ok_or_else(|| ServerError::NoGroup(name.to_owned()))
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
struct Peer {
    /// User id, if the kernel told.
    uid: Option<u32>,
}

impl Peer {
    fn is_root(self) -> bool {
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

/// What handlers share.
#[derive(Clone)]
struct Shared {
    enforcer: Arc<Mutex<Enforcer>>,
    /// Told when the agent is to end.
    end: Arc<Notify>,
}

/// Serves the API until `end` is notified.
pub async fn serve(
    listener: UnixListener,
    enforcer: Arc<Mutex<Enforcer>>,
    end: Arc<Notify>,
) -> io::Result<()> {
    let shared = Shared {
        enforcer,
        end: Arc::clone(&end),
    };
    let routes = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/stats", get(stats))
        .route("/v1/endpoints", get(endpoints))
        .route("/v1/flows", get(flows))
        .route("/v1/leases", get(leases))
        .route("/v1/leases/revoke", post(revoke))
        .route("/v1/policy", get(policy))
        .route("/v1/policy/check", post(check))
        .route("/v1/policy/diff", post(diff))
        .route("/v1/policy/apply", post(apply))
        .route("/v1/explain", post(explain))
        .route("/v1/detach", post(detach))
        .fallback(|| async { Failed::unknown_path().into_response() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(Extension(shared));
    axum::serve(
        listener,
        routes.into_make_service_with_connect_info::<Peer>(),
    )
    .with_graceful_shutdown(async move { end.notified().await })
    .await
}

type Caller = ConnectInfo<Peer>;
type State = Extension<Shared>;

async fn status(Extension(shared): State) -> Response {
    Json(shared.enforcer.lock().await.status()).into_response()
}

async fn stats(Extension(shared): State) -> Response {
    blocking(shared, |enforcer| Ok(enforcer.stats()?)).await
}

async fn endpoints(Extension(shared): State) -> Response {
    blocking(shared, |enforcer| Ok(enforcer.endpoints()?)).await
}

async fn flows(Extension(shared): State, Query(query): Query<FlowQuery>) -> Response {
    blocking(shared, move |enforcer| Ok(enforcer.flows(&query)?)).await
}

async fn leases(Extension(shared): State) -> Response {
    blocking(shared, |enforcer| {
        enforcer.leases().ok_or_else(Failed::no_enrolment)
    })
    .await
}

async fn revoke(
    ConnectInfo(peer): Caller,
    Extension(shared): State,
    Json(revocation): Json<Revocation>,
) -> Response {
    if !peer.is_root() {
        return not_allowed("revoke leases").into_response();
    }
    blocking(shared, move |enforcer| {
        let registry = enforcer.registry().ok_or_else(Failed::no_enrolment)?;
        let name = &revocation.endpoint;
        if !registry.knows(name) {
            return Err(Failed::no_such_endpoint(name));
        }
        let barred = Duration::from_secs(revocation.barred_seconds);
        let leases = registry.revoke(name, barred);
        info!(endpoint = name, leases, "leases revoked by request");
        Ok(Revoked { leases })
    })
    .await
}

async fn policy(Extension(shared): State) -> Response {
    match shared.enforcer.lock().await.policy_text() {
        Some(text) => Json(text).into_response(),
        None => Failed::no_policy().into_response(),
    }
}

async fn check(Extension(shared): State, Json(candidate): Json<Candidate>) -> Response {
    with_interfaces(shared, move |enforcer, interfaces| {
        Ok(enforcer.check(&candidate, &interfaces))
    })
    .await
}

async fn diff(Extension(shared): State, Json(candidate): Json<Candidate>) -> Response {
    blocking(shared, move |enforcer| Ok(enforcer.difference(&candidate)?)).await
}

async fn apply(
    ConnectInfo(peer): Caller,
    Extension(shared): State,
    Json(candidate): Json<Candidate>,
) -> Response {
    if !peer.is_root() {
        return not_allowed("apply a policy").into_response();
    }
    with_interfaces(shared, move |enforcer, interfaces| {
        let session = candidate.session.filter(|_| !candidate.force);
        Ok(enforcer.apply(&candidate.text, &candidate.file, session, interfaces)?)
    })
    .await
}

async fn explain(Extension(shared): State, Json(question): Json<Question>) -> Response {
    blocking(shared, move |enforcer| Ok(enforcer.explain(&question)?)).await
}

async fn detach(ConnectInfo(peer): Caller, Extension(shared): State) -> Response {
    if !peer.is_root() {
        return not_allowed("detach").into_response();
    }
    let end = Arc::clone(&shared.end);
    let response = blocking(shared, |enforcer| {
        let interfaces = enforcer.detach()?;
        info!(?interfaces, "detached by request, ending");
        Ok(Detached { interfaces })
    })
    .await;
    if response.status() == StatusCode::OK {
        // One waits for signals, one serves: both are told.
        end.notify_waiters();
    }
    response
}

/// Runs what takes the kernel's or the CPU's time beside the other tasks.
async fn blocking<T: serde::Serialize + Send + 'static>(
    shared: Shared,
    work: impl FnOnce(&mut Enforcer) -> Answer<T> + Send + 'static,
) -> Response {
    let mut enforcer = shared.enforcer.lock_owned().await;
    match tokio::task::spawn_blocking(move || work(&mut enforcer)).await {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(failed)) => failed.into_response(),
        Err(error) => {
            warn!(%error, "a request ended in a panic");
            Failed::internal(&error.to_string()).into_response()
        }
    }
}

/// Like [`blocking`], with the host's interfaces as they are now.
async fn with_interfaces<T: serde::Serialize + Send + 'static>(
    shared: Shared,
    work: impl FnOnce(&mut Enforcer, Interfaces) -> Answer<T> + Send + 'static,
) -> Response {
    match Interfaces::read().await {
        Ok(interfaces) => blocking(shared, |enforcer| work(enforcer, interfaces)).await,
        Err(error) => Failed::internal(&error.to_string()).into_response(),
    }
}
