//! The client of the control API: one connection to the agent's socket for each request, so that
//! a client outlives a restart of the agent.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use manoward_api::{
    Applied, BreakGlass, Cancelled, Candidate, Claim, Confirmed, Detached, Difference, DoorOrder,
    DoorsClosed, EndpointList, Explanation, Failure, FlowList, FlowQuery, FlowsCut, History,
    HistoryQuery, LeaseList, OpenDoor, Patch, PolicyQuery, PolicyText, Promotion, Question, Report,
    Revocation, Revoked, RollBack, ShadowReport, Stats, Status, StoppedTrying, Tried,
};
use nix::unistd::{Gid, Group};
use serde::{Serialize, de::DeserializeOwned};
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;
use tokio::net::UnixStream;

/// How long an answer that only reads may take.
const READING: Duration = Duration::from_secs(10);
/// How long an answer may take for which a policy of a million addresses may have to be compiled.
const WORKING: Duration = Duration::from_mins(5);

/// Why the agent did not do what was asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nothing is at the socket's path.
    #[error(
        "there is no socket at {socket}. Is the agent running? Start it with `systemctl start manoward`, or name its socket with --socket"
    )]
    Missing {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket is left over, or is none.
    #[error(
        "nobody listens at {socket}: the agent has ended. Start it with `systemctl start manoward`"
    )]
    Refused {
        /// The socket.
        socket: PathBuf,
    },
    /// The caller may not open the socket.
    #[error("you may not open {socket}: {remedy}")]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// Who may, and how to become one of them.
        remedy: String,
    },
    /// Too many others want to connect.
    #[error(
        "too many others connect to {socket}, or the agent does not go on. See which: `ss -xp src {socket}`, `journalctl -u manoward`"
    )]
    Crowded {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket cannot be reached for another reason.
    #[error("cannot connect to {socket}: {source}")]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No answer came.
    #[error(
        "the agent has not answered {request} within {} s. See what it does: `journalctl -u manoward`", .after.as_secs()
    )]
    Silent {
        /// Method and path.
        request: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer was complete.
    #[error(
        "the agent closed the connection during {request} ({source}). See why: `journalctl -u manoward`"
    )]
    Broken {
        /// Method and path.
        request: String,
        /// Why.
        source: hyper::Error,
    },
    /// The answer is none of this version's API.
    #[error(
        "the answer to {request} cannot be read ({reason}). Use the `manoward` that the agent is from"
    )]
    Unintelligible {
        /// Method and path.
        request: String,
        /// Why.
        reason: String,
    },
    /// The agent says why not.
    #[error("{}", .0.message)]
    Failed(Box<Failure>),
}

impl ClientError {
    /// Whether no agent is there, as opposed to one that does not do what was asked.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Refused { .. })
    }

    /// The agent's own words, if it answered.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

/// A client of the agent at one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the agent that listens at `socket`; nothing is connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// What the agent does.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// Exact counts since the programs were first attached.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.get("/v1/stats").await
    }

    /// The endpoints of the policy in force.
    pub async fn endpoints(&self) -> Result<EndpointList, ClientError> {
        self.get("/v1/endpoints").await
    }

    /// The leases in force.
    pub async fn leases(&self) -> Result<LeaseList, ClientError> {
        self.get("/v1/leases").await
    }

    /// Ends leases.
    pub async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, ClientError> {
        self.post("/v1/leases/revoke", revocation).await
    }

    /// The text of a policy.
    pub async fn policy(&self, query: &PolicyQuery) -> Result<PolicyText, ClientError> {
        self.query("/v1/policy", query).await
    }

    /// What was done to the policy in force.
    pub async fn history(&self, query: &HistoryQuery) -> Result<History, ClientError> {
        self.query("/v1/policy/history", query).await
    }

    /// Applies a policy that was in force before.
    pub async fn roll_back(&self, wanted: &RollBack) -> Result<Applied, ClientError> {
        self.post("/v1/policy/rollback", wanted).await
    }

    /// What is wrong with a policy.
    pub async fn check(&self, candidate: &Candidate) -> Result<Report, ClientError> {
        self.post("/v1/policy/check", candidate).await
    }

    /// How a policy differs from the one in force.
    pub async fn diff(&self, candidate: &Candidate) -> Result<Difference, ClientError> {
        self.post("/v1/policy/diff", candidate).await
    }

    /// The flows that `query` asks for.
    pub async fn flows(&self, query: &FlowQuery) -> Result<FlowList, ClientError> {
        self.query("/v1/flows", query).await
    }

    /// Ends the connections that `query` asks for.
    pub async fn cut(&self, query: &FlowQuery) -> Result<FlowsCut, ClientError> {
        self.post("/v1/flows/cut", query).await
    }

    /// Applies a policy.
    pub async fn apply(&self, candidate: &Candidate) -> Result<Applied, ClientError> {
        self.post("/v1/policy/apply", candidate).await
    }

    /// Changes addresses of the policy in force.
    pub async fn patch(&self, patch: &Patch) -> Result<Applied, ClientError> {
        self.post("/v1/policy/patch", patch).await
    }

    /// Confirms the policy on trial.
    pub async fn confirm(&self, claim: &Claim) -> Result<Confirmed, ClientError> {
        self.post("/v1/policy/confirm", claim).await
    }

    /// Takes back the policy on trial.
    pub async fn cancel(&self, claim: &Claim) -> Result<Cancelled, ClientError> {
        self.post("/v1/policy/cancel", claim).await
    }

    /// What the candidate that is tried would do otherwise.
    pub async fn trying(&self) -> Result<ShadowReport, ClientError> {
        self.get("/v1/policy/try").await
    }

    /// Has a candidate judge beside the policy in force.
    pub async fn try_beside(&self, candidate: &Candidate) -> Result<Tried, ClientError> {
        self.post("/v1/policy/try", candidate).await
    }

    /// Ends the candidate.
    pub async fn stop_trying(&self) -> Result<StoppedTrying, ClientError> {
        self.request(Method::POST, "/v1/policy/try/stop", Bytes::new(), WORKING)
            .await
    }

    /// Puts the candidate in force.
    pub async fn promote(&self, wanted: &Promotion) -> Result<Applied, ClientError> {
        self.post("/v1/policy/promote", wanted).await
    }

    /// Who gets in whatever the policy says.
    pub async fn break_glass(&self) -> Result<BreakGlass, ClientError> {
        self.get("/v1/break-glass").await
    }

    /// Opens a door for a time.
    pub async fn open_door(&self, order: &DoorOrder) -> Result<OpenDoor, ClientError> {
        self.post("/v1/break-glass/open", order).await
    }

    /// Closes every door.
    pub async fn close_doors(&self, claim: &Claim) -> Result<DoorsClosed, ClientError> {
        self.post("/v1/break-glass/close", claim).await
    }

    /// What the policy in force decides about a packet, and why.
    pub async fn explain(&self, question: &Question) -> Result<Explanation, ClientError> {
        self.post("/v1/explain", question).await
    }

    /// Ends enforcement.
    pub async fn detach(&self) -> Result<Detached, ClientError> {
        self.request(Method::POST, "/v1/detach", Bytes::new(), WORKING)
            .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.request(Method::GET, path, Bytes::new(), READING).await
    }

    async fn query<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        let query =
            serde_urlencoded::to_string(query).map_err(|error| ClientError::Unintelligible {
                request: format!("GET {path}"),
                reason: error.to_string(),
            })?;
        self.get(&format!("{path}?{query}")).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Unintelligible {
            request: format!("POST {path}"),
            reason: error.to_string(),
        })?;
        self.request(Method::POST, path, body.into(), WORKING).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<T, ClientError> {
        let name = format!("{method} {path}");
        let socket = self.socket.clone();
        let exchange = async {
            let stream = connect(socket, patience).await;
            let stream = stream.map_err(|source| self.unreachable(source))?;
            exchange(stream, &name, method, path, body).await
        };
        match tokio::time::timeout(patience, exchange).await {
            Ok(answer) => {
                let (status, body) = answer?;
                read(status, &body, name)
            }
            Err(_) => Err(ClientError::Silent {
                request: name,
                after: patience,
            }),
        }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            io::ErrorKind::NotFound => ClientError::Missing { socket },
            io::ErrorKind::ConnectionRefused => ClientError::Refused { socket },
            io::ErrorKind::WouldBlock => ClientError::Crowded { socket },
            io::ErrorKind::PermissionDenied => {
                let remedy = entitled(&socket);
                ClientError::Denied { socket, remedy }
            }
            _ => ClientError::Connect { socket, source },
        }
    }
}

/// Connects; where many others do, it waits for its turn, as only a socket that blocks does.
async fn connect(path: PathBuf, patience: Duration) -> io::Result<UnixStream> {
    let connecting = move || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_write_timeout(Some(patience))?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_nonblocking(true)?;
        io::Result::Ok(socket.into())
    };
    UnixStream::from_std(tokio::task::spawn_blocking(connecting).await??)
}

/// Sends one request and reads the whole answer.
async fn exchange(
    stream: UnixStream,
    name: &str,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), ClientError> {
    let broken = |source| ClientError::Broken {
        request: name.to_owned(),
        source,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "manoward");
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request
        .body(Full::new(body))
        .expect("method, path and headers are constant and valid");
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(broken)?;
    connection.abort();
    Ok((status, body.to_bytes()))
}

/// Reads an answer as what was asked for, or as the reason why not.
fn read<T: DeserializeOwned>(
    status: StatusCode,
    body: &[u8],
    request: String,
) -> Result<T, ClientError> {
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|error| ClientError::Unintelligible {
            request,
            reason: error.to_string(),
        });
    }
    match serde_json::from_slice::<Failure>(body) {
        Ok(failure) => Err(ClientError::Failed(Box::new(failure))),
        Err(_) => Err(ClientError::Unintelligible {
            request,
            reason: match String::from_utf8_lossy(body).trim() {
                "" => format!("status {status}"),
                text => format!("status {status}: {text}"),
            },
        }),
    }
}

/// Who may open `socket`, and how to become one of them.
fn entitled(socket: &Path) -> String {
    let group = socket
        .metadata()
        .ok()
        .filter(|socket| socket.mode() & 0o060 == 0o060 && socket.gid() != 0)
        .and_then(|socket| Group::from_gid(Gid::from_raw(socket.gid())).ok().flatten());
    match group {
        Some(group) => format!(
            "you are not in the group `{0}`. Use sudo, or `usermod -aG {0} USER` and log in again",
            group.name
        ),
        None => "only root may. Use sudo".to_owned(),
    }
}

#[cfg(test)]
mod tests;
