//! A host, a registrar that records its calls, and endpoints.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use manoward::{
    enrolment::{
        Claim, Config, End, Files, Grant, Identity, Reason, Refusal, Registrar, Server, SessionId,
        Timestamp, pki::Contents,
    },
    files::Owner,
    join::{self, Host, HostStatus, Join, Options, Source, State},
};
use tempfile::TempDir;

use super::authority::{Authority, Issued, Profile};

/// The identity that the registrar knows.
pub const VIM: &str = "spiffe://operator.example/vim/1";

/// What is in the file at `path`.
pub fn contents(path: &Path) -> Contents {
    Contents::read(path, Owner::Trusted).unwrap()
}

/// A call of the registrar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    Admitted(Box<Claim>),
    Renewed(SessionId),
    Ended(SessionId, End),
    Refused(Refusal),
}

/// A registrar that knows one identity and records all calls.
#[derive(Default)]
pub struct Recorder {
    entries: Mutex<Vec<Entry>>,
}

impl Recorder {
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    fn write(&self, entry: Entry) {
        self.entries.lock().unwrap().push(entry);
    }

    /// Claims that were granted.
    pub fn claims(&self) -> Vec<Claim> {
        let admitted = |entry| match entry {
            Entry::Admitted(claim) => Some(*claim),
            _ => None,
        };
        self.entries().into_iter().filter_map(admitted).collect()
    }

    /// Reasons of refusals.
    pub fn refusals(&self) -> Vec<Reason> {
        let refused = |entry| match entry {
            Entry::Refused(refusal) => Some(refusal.reason),
            _ => None,
        };
        self.entries().into_iter().filter_map(refused).collect()
    }

    /// What refusals say.
    pub fn sentences(&self) -> Vec<String> {
        let refused = |entry| match entry {
            Entry::Refused(refusal) => Some(refusal.sentence),
            _ => None,
        };
        self.entries().into_iter().filter_map(refused).collect()
    }

    /// Forgets all calls.
    pub fn forget(&self) {
        self.entries.lock().unwrap().clear();
    }

    /// Why sessions ended.
    pub fn ends(&self) -> Vec<End> {
        let ended = |entry| match entry {
            Entry::Ended(_, end) => Some(end),
            _ => None,
        };
        self.entries().into_iter().filter_map(ended).collect()
    }

    /// The fewest open sessions after the first was granted.
    pub fn fewest(&self) -> usize {
        let (mut open, mut fewest) = (0, usize::MAX);
        for entry in self.entries() {
            match entry {
                Entry::Admitted(_) => open += 1,
                Entry::Ended(..) => open -= 1,
                _ => continue,
            }
            fewest = fewest.min(open);
        }
        fewest
    }
}

impl Registrar for Recorder {
    fn admit(&self, claim: &Claim) -> Result<Grant, Refusal> {
        let known = [Identity::uri(VIM), Identity::dns("vim.example")];
        if !claim
            .identities
            .iter()
            .any(|id| known.contains(&Some(id.clone())))
        {
            let sentence = "no endpoint of the policy has one of the certificate's identities";
            return Err(Refusal::new(Reason::NoMatchingIdentity, sentence));
        }
        self.write(Entry::Admitted(Box::new(claim.clone())));
        Ok(Grant {
            endpoint: "vim-1".into(),
            role: "vim".into(),
            expires_in: Duration::from_secs(15),
        })
    }

    fn renew(&self, session: SessionId, _: Timestamp) {
        self.write(Entry::Renewed(session));
    }

    fn end(&self, session: SessionId, why: &End) {
        self.write(Entry::Ended(session, why.clone()));
    }

    fn refused(&self, _: SocketAddr, refusal: &Refusal) {
        self.write(Entry::Refused(refusal.clone()));
    }
}

/// One host and its authority.
pub struct Testbed {
    pub directory: TempDir,
    pub authority: Authority,
    pub config: Config,
    pub recorder: Arc<Recorder>,
    pub server: Option<Server>,
    pub address: SocketAddr,
}

impl Testbed {
    pub fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// A host whose settings are changed before it starts.
    pub fn with(change: impl FnOnce(&Authority, &mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path(), "operator");
        let host = authority.issue("host", &Profile::host());
        let mut config = Config::new(Files {
            certificate: host.certificate,
            key: host.key,
            ca: authority.file.clone(),
            crls: Vec::new(),
            stale_crl: manoward::enrolment::StaleCrl::Refuse,
        });
        config.listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
        config.keepalive = Duration::from_millis(200);
        config.idle_timeout = Duration::from_secs(1);
        change(&authority, &mut config);
        let recorder = Arc::new(Recorder::default());
        let server = Server::start(config.clone(), Arc::clone(&recorder) as _).unwrap();
        let address = server.addresses()[0];
        config.listen = vec![address];
        Self {
            directory,
            authority,
            config,
            recorder,
            server: Some(server),
            address,
        }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Options of an endpoint with this certificate that joins this host.
    pub fn options(&self, issued: &Issued) -> Options {
        Options {
            hosts: Source::List(vec![Host {
                name: self.address.ip().to_string(),
                port: self.address.port(),
            }]),
            files: join::Files {
                certificate: issued.certificate.clone(),
                key: issued.key.clone(),
                ca: self.authority.file.clone(),
            },
            bind: None,
        }
    }

    /// Enrols once; returns the host's status.
    pub async fn once(&self, issued: &Issued) -> HostStatus {
        once(&self.options(issued)).await
    }

    /// An endpoint that the registrar knows.
    pub fn vim(&self) -> Issued {
        self.authority.issue("vim", &Profile::endpoint(VIM))
    }

    /// Joins and waits until the session is there.
    pub async fn join(&self, issued: &Issued) -> Join {
        let join = Join::start(self.options(issued), |_| {}).unwrap();
        until("the session begins", || {
            self.server().counts().sessions == 1
        })
        .await;
        join
    }

    /// Starts the host again at the same address.
    pub fn start(&mut self) {
        let server = Server::start(self.config.clone(), Arc::clone(&self.recorder) as _).unwrap();
        self.server = Some(server);
    }
}

/// Enrols once at a single host; returns its status.
pub async fn once(options: &Options) -> HostStatus {
    let mut status = join::once(options, |_| {}).await.unwrap();
    assert_eq!(status.hosts.len(), 1);
    status.hosts.remove(0)
}

/// Asserts that an endpoint was refused for this reason, here and at the host.
pub fn assert_refused(bed: &Testbed, status: &HostStatus, reason: Reason) {
    assert_eq!(status.state, State::Refused, "{status:?}");
    assert_eq!(status.reason.as_deref(), Some(reason.name()), "{status:?}");
    assert_eq!(bed.recorder.refusals(), [reason]);
    assert!(bed.recorder.claims().is_empty());
    assert_eq!(bed.server().counts().sessions, 0);
}

/// Waits until a condition holds, at most 20 s.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not in 20 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
