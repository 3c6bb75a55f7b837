//! The server of the control API.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nix::unistd::{Group, chown};
use thiserror::Error;
use tokio::{
    net::UnixListener,
    sync::{Mutex, Notify},
};
use tracing::{info, warn};

use super::{
    answers::{Answer, Failed, not_allowed},
    api::{Candidate, Detached, Revocation, Revoked},
    requests::{Agent, Peer, Request, routes},
};
use crate::{datapath::interface::Interfaces, enforcer::Enforcer};

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

/// The agent, as its API sees it.
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
    axum::serve(
        listener,
        routes(shared).into_make_service_with_connect_info::<Peer>(),
    )
    .with_graceful_shutdown(async move { end.notified().await })
    .await
}

impl Agent for Shared {
    async fn answer(&self, peer: Peer, request: Request) -> Response {
        if let Some(what) = forbidden(peer, &request) {
            return not_allowed(what).into_response();
        }
        match request {
            Request::Status => Json(self.enforcer.lock().await.status()).into_response(),
            Request::Stats => self.blocking(|enforcer| Ok(enforcer.stats()?)).await,
            Request::Endpoints => self.blocking(|enforcer| Ok(enforcer.endpoints()?)).await,
            Request::Flows(query) => {
                self.blocking(move |enforcer| Ok(enforcer.flows(&query)?))
                    .await
            }
            Request::Leases => {
                self.blocking(|enforcer| enforcer.leases().ok_or_else(Failed::no_enrolment))
                    .await
            }
            Request::Revoke(revocation) => {
                self.blocking(move |enforcer| revoke(enforcer, &revocation))
                    .await
            }
            Request::Policy => match self.enforcer.lock().await.policy_text() {
                Some(text) => Json(text).into_response(),
                None => Failed::no_policy().into_response(),
            },
            Request::Check(candidate) => {
                self.with_interfaces(move |enforcer, interfaces| {
                    Ok(enforcer.check(&candidate, &interfaces))
                })
                .await
            }
            Request::Diff(candidate) => {
                self.blocking(move |enforcer| Ok(enforcer.difference(&candidate)?))
                    .await
            }
            Request::Apply(candidate) => self.apply(candidate).await,
            Request::Explain(question) => {
                self.blocking(move |enforcer| Ok(enforcer.explain(&question)?))
                    .await
            }
            Request::Detach => self.detach().await,
        }
    }
}

/// What `peer` may not do, if `request` asks for that.
fn forbidden(peer: Peer, request: &Request) -> Option<&'static str> {
    if peer.is_root() {
        return None;
    }
    match request {
        Request::Revoke(_) => Some("revoke leases"),
        Request::Apply(_) => Some("apply a policy"),
        Request::Detach => Some("detach"),
        _ => None,
    }
}

fn revoke(enforcer: &Enforcer, revocation: &Revocation) -> Answer<Revoked> {
    let registry = enforcer.registry().ok_or_else(Failed::no_enrolment)?;
    let name = &revocation.endpoint;
    if !registry.knows(name) {
        return Err(Failed::no_such_endpoint(name));
    }
    let barred = Duration::from_secs(revocation.barred_seconds);
    let leases = registry.revoke(name, barred);
    info!(endpoint = name, leases, "leases revoked by request");
    Ok(Revoked { leases })
}

impl Shared {
    async fn apply(&self, candidate: Candidate) -> Response {
        self.with_interfaces(move |enforcer, interfaces| {
            let session = candidate.session.filter(|_| !candidate.force);
            Ok(enforcer.apply(&candidate.text, &candidate.file, session, interfaces)?)
        })
        .await
    }

    async fn detach(&self) -> Response {
        let response = self
            .blocking(|enforcer| {
                let interfaces = enforcer.detach()?;
                info!(?interfaces, "detached by request, ending");
                Ok(Detached { interfaces })
            })
            .await;
        if response.status() == StatusCode::OK {
            // One waits for signals, one serves: both are told.
            self.end.notify_waiters();
        }
        response
    }

    /// Runs what takes the kernel's or the CPU's time beside the other tasks.
    async fn blocking<T: serde::Serialize + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Enforcer) -> Answer<T> + Send + 'static,
    ) -> Response {
        let mut enforcer = Arc::clone(&self.enforcer).lock_owned().await;
        match tokio::task::spawn_blocking(move || work(&mut enforcer)).await {
            Ok(Ok(answer)) => Json(answer).into_response(),
            Ok(Err(failed)) => failed.into_response(),
            Err(error) => {
                warn!(%error, "a request ended in a panic");
                Failed::internal(&error.to_string()).into_response()
            }
        }
    }

    /// Like [`blocking`](Self::blocking), with the host's interfaces as they are now.
    async fn with_interfaces<T: serde::Serialize + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Enforcer, Interfaces) -> Answer<T> + Send + 'static,
    ) -> Response {
        match Interfaces::read().await {
            Ok(interfaces) => self.blocking(|enforcer| work(enforcer, interfaces)).await,
            Err(error) => Failed::internal(&error.to_string()).into_response(),
        }
    }
}
