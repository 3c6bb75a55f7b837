//! The state of every host.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::sync::Notify;

use super::{Certificate, Failure, Host, connect::Granted, failure::seconds};

/// State of the enrolment at a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The first attempt is in progress.
    Connecting,
    /// It has admitted this endpoint.
    Granted,
    /// It has refused this endpoint.
    Refused,
    /// It cannot be reached, or its certificate is not trusted.
    Failed,
}

/// Status of a host.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HostStatus {
    /// Name and port.
    pub host: String,
    /// Its state.
    pub state: State,
    /// Since when it has this state, RFC 3339.
    pub since: String,
    /// Address and port at which it was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Name of this endpoint in the host's policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Its role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Attempts that failed since the last success.
    pub failures: u64,
    /// Why the last attempt failed: the reason's stable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the last attempt failed, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
}

/// Status of all hosts at one time.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// When this was written, RFC 3339.
    pub time: String,
    /// This endpoint's certificate.
    pub certificate: CertificateStatus,
    /// Hosts that have admitted this endpoint.
    pub granted: usize,
    /// Status of each host, sorted by name.
    pub hosts: Vec<HostStatus>,
}

/// A certificate in the status.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CertificateStatus {
    /// URIs and DNS names.
    pub identities: Vec<String>,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// When it expires, RFC 3339.
    pub not_after: String,
}

impl From<&Certificate> for CertificateStatus {
    fn from(certificate: &Certificate) -> Self {
        Self {
            identities: certificate
                .identities
                .iter()
                .map(ToString::to_string)
                .collect(),
            serial: certificate.facts.serial.clone(),
            not_after: certificate.facts.not_after.to_string(),
        }
    }
}

/// Called on every change.
pub type Report = dyn Fn(&HostStatus) + Send + Sync;

/// Holds the status of every host.
pub(super) struct Board {
    hosts: Mutex<BTreeMap<Arc<Host>, HostStatus>>,
    report: Box<Report>,
    /// Notified on every change.
    pub(super) changed: Notify,
}

impl Board {
    pub(super) fn new(report: Box<Report>) -> Self {
        Self {
            hosts: Mutex::default(),
            report,
            changed: Notify::new(),
        }
    }

    /// Adds a host.
    pub(super) fn add(&self, host: &Arc<Host>) {
        let status = HostStatus {
            host: host.to_string(),
            state: State::Connecting,
            since: now(),
            address: None,
            endpoint: None,
            role: None,
            failures: 0,
            reason: None,
            sentence: None,
        };
        self.hosts().insert(Arc::clone(host), status);
        self.changed.notify_one();
    }

    /// Removes a host.
    pub(super) fn remove(&self, host: &Arc<Host>) {
        self.hosts().remove(host);
        self.changed.notify_one();
    }

    pub(super) fn granted(&self, host: &Arc<Host>, granted: &Granted) {
        self.change(host, |status| {
            status.state = State::Granted;
            status.address = Some(granted.address);
            status.endpoint = Some(granted.endpoint.clone());
            status.role = Some(granted.role.clone());
            status.failures = 0;
            status.reason = None;
            status.sentence = None;
        });
    }

    /// An attempt failed or a session ended.
    pub(super) fn failed(&self, host: &Arc<Host>, failure: &Failure) {
        self.change(host, |status| {
            status.state = if failure.is_refusal() {
                State::Refused
            } else {
                State::Failed
            };
            status.failures += 1;
            status.reason = Some(failure.reason().to_owned());
            status.sentence = Some(failure.to_string());
        });
    }

    /// A host that has admitted this endpoint does not accept its new certificate.
    pub(super) fn not_renewed(&self, host: &Arc<Host>, failure: &Failure) {
        self.change(host, |status| {
            status.failures += 1;
            status.reason = Some(failure.reason().to_owned());
            status.sentence = Some(failure.to_string());
        });
    }

    /// Number of hosts, and of those that have admitted this endpoint.
    pub(super) fn count(&self) -> (usize, usize) {
        let hosts = self.hosts();
        let granted = hosts.values().filter(|host| host.state == State::Granted);
        (hosts.len(), granted.count())
    }

    pub(super) fn status(&self, certificate: &Certificate) -> Status {
        let hosts: Vec<_> = self.hosts().values().cloned().collect();
        let granted = hosts.iter().filter(|host| host.state == State::Granted);
        Status {
            time: now(),
            certificate: certificate.into(),
            granted: granted.count(),
            hosts,
        }
    }

    /// Changes a status, and reports it if state, reason or endpoint differ: the same failure is
    /// not reported again.
    fn change(&self, host: &Arc<Host>, change: impl FnOnce(&mut HostStatus)) {
        let changed = {
            let mut hosts = self.hosts();
            let Some(status) = hosts.get_mut(host) else {
                return;
            };
            let before = status.clone();
            change(status);
            if status.state != before.state {
                status.since = now();
            }
            let differs = (status.state, &status.reason, &status.endpoint)
                != (before.state, &before.reason, &before.endpoint);
            differs.then(|| status.clone())
        };
        self.changed.notify_one();
        if let Some(status) = changed {
            (self.report)(&status);
        }
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<Arc<Host>, HostStatus>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> String {
    seconds(Timestamp::now()).to_string()
}

/// Writes `status` atomically: readers see the old file or the new one. Everybody may read it (mode
/// 0644); it contains no secrets.
pub(super) fn write(status: &Status, file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let readable = std::fs::Permissions::from_mode(0o644);
    let mut new = tempfile::Builder::new()
        .permissions(readable)
        .tempfile_in(directory)?;
    fill(&mut new, status)?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn fill(file: &mut NamedTempFile, status: &Status) -> io::Result<()> {
    let mut buffered = io::BufWriter::new(file);
    serde_json::to_writer_pretty(&mut buffered, status)?;
    buffered.write_all(b"\n")?;
    buffered.flush()
}
