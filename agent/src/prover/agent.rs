//! The agent's side: starts the process, starts it anew when it ends, and believes nothing that it says before
//! it was checked.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    net::{SocketAddr, UdpSocket},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net,
    },
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use thiserror::Error;
use tokio::{
    net::{UnixStream, unix::OwnedWriteHalf},
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, timeout},
};
use tracing::{error, info, warn};

use super::claim::checked;
use super::message::{self, Chain, FromProcess, Granted, LONGEST, ToProcess};
use crate::enrolment::{
    End, FileContents, Files, MarkKey, Refusal, Registrar, ServerError, SessionId, bind,
    pki::{PkiError, Stamps},
    wire,
};

/// The program itself, also if another lies at its path by now.
const ITSELF: &str = "/proc/self/exe";
/// The command by which it is that process.
pub const COMMAND: &str = "enrolment-process";
/// Variables that it keeps: how to log, and where.
const ENVIRONMENT: [&str; 3] = ["MANOWARD_LOG", "JOURNAL_STREAM", "RUST_BACKTRACE"];

/// Time between two looks at whether files have changed.
const LOOK: Duration = Duration::from_secs(2);
/// How long sessions are waited for when the agent ends.
const GOODBYE: Duration = Duration::from_secs(3);
/// Messages that wait to be heard.
const WAITING: usize = 64;
/// Most sockets.
pub(super) const SOCKETS: usize = 8;
/// Time before files or sockets that cannot be used are tried again, and before a process that has ended is
/// started anew.
const RETRY: Duration = Duration::from_secs(5);
const RESTART: Duration = Duration::from_millis(100);
/// Most sentences about files.
const PROBLEMS: usize = 64;
/// Most claims that may be under way, and sessions.
const SESSIONS: usize = 1 << 20;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program that is the process, with [`COMMAND`].
    pub program: PathBuf,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Certificates and key.
    pub files: Files,
    /// Key of the marks in tokens.
    pub mark: MarkKey,
    /// Sessions, and handshakes in all and of one address, that may be open.
    pub most: [usize; 3],
}

impl Settings {
    /// The default settings.
    #[must_use]
    pub fn new(listen: Vec<SocketAddr>, files: Files, mark: MarkKey) -> Self {
        Self {
            program: ITSELF.into(),
            listen,
            files,
            mark,
            most: [4096, 256, 64],
        }
    }
}

/// Why the process serves no longer, or not at all.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// A file cannot be read.
    #[error(transparent)]
    Files(#[from] PkiError),
    /// The sockets cannot be opened.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The files cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// It cannot be started, or talked to.
    #[error("cannot {operation}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It has ended.
    #[error("the process that looks at proofs has ended ({0})")]
    Ended(String),
    /// It says what cannot be.
    #[error("the process that looks at proofs says what cannot be: {0}")]
    Absurd(String),
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> ProcessError {
    move |source| ProcessError::Io { operation, source }
}

/// What the agent does with the leases beside what a [`Registrar`] does.
pub trait Leases: Registrar {
    /// Chains of leases that no session of this process has shown.
    fn chains(&self) -> Vec<Chain>;

    /// The chain of such a lease was verified, or `refused`.
    fn verified(&self, number: u32, address: std::net::IpAddr, refused: Option<Refusal>);

    /// The process has ended, and its sessions with it.
    fn orphan(&self);

    /// What is wrong with the files.
    fn set_problems(&self, problems: Vec<String>);
}

/// The process, as it serves.
pub struct Process {
    child: Child,
    to: OwnedWriteHalf,
    heard: mpsc::Receiver<io::Result<FromProcess>>,
    stamps: Stamps,
    settings: Settings,
    /// Sessions by the numbers of the process.
    sessions: HashMap<u64, SessionId>,
    /// What it has found wrong with the files, and why changed ones cannot be read.
    problems: Vec<String>,
    unread: Option<String>,
}

/// The UDP sockets, which outlive the process.
///
/// # Errors
///
/// [`ServerError::Listen`].
pub fn sockets(settings: &Settings) -> Result<Vec<UdpSocket>, ServerError> {
    let open = |&address| {
        let socket = bind(address).map_err(|source| ServerError::Listen { address, source })?;
        socket.set_nonblocking(true).map_err(ServerError::Socket)?;
        Ok(socket)
    };
    settings.listen.iter().map(open).collect()
}

impl Process {
    /// Starts it, with the contents of the files and these sockets.
    ///
    /// # Errors
    ///
    /// [`ProcessError`].
    pub async fn start(settings: &Settings, sockets: &[UdpSocket]) -> Result<Self, ProcessError> {
        let stamps = Stamps::of(settings.files.paths());
        let contents = settings.files.read()?;
        let (own, its) = net::UnixStream::pair().map_err(failed("make a pair of sockets"))?;
        hand_over(&own, sockets).map_err(failed("hand over sockets"))?;
        let mut command = Command::new(&settings.program);
        command.arg(COMMAND).env_clear().kill_on_drop(true);
        command.stdin(OwnedFd::from(its)).stdout(Stdio::null());
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let child = command
            .spawn()
            .map_err(failed("start the process that looks at proofs"))?;
        own.set_nonblocking(true).map_err(failed("talk to it"))?;
        let stream = UnixStream::from_std(own).map_err(failed("talk to it"))?;
        let (mut from, to) = stream.into_split();
        let (hear, heard) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let read = message::read::<FromProcess>(&mut from, LONGEST).await;
                let read =
                    read.and_then(|it| it.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
                let ends = read.is_err();
                if hear.send(read).await.is_err() || ends {
                    return;
                }
            }
        });
        let mut process = Self {
            child,
            to,
            heard,
            stamps,
            settings: settings.clone(),
            sessions: HashMap::new(),
            problems: Vec::new(),
            unread: None,
        };
        let begin = ToProcess::Begin {
            mark: settings.mark,
            most: settings.most,
        };
        process.say(&begin).await?;
        process.say_files(&contents).await?;
        match process.next().await? {
            FromProcess::Read(Ok(())) => Ok(process),
            FromProcess::Read(Err(why)) => Err(ProcessError::Unusable(wire::shortened(&why))),
            _ => Err(absurd("something before it has begun")),
        }
    }

    /// Serves until it ends, or says what cannot be. `next` is the number of the next session; sessions in
    /// `closings` are closed.
    pub async fn serve(
        &mut self,
        leases: &dyn Leases,
        closings: &mut mpsc::UnboundedReceiver<(SessionId, End)>,
        next: &mut u64,
    ) -> ProcessError {
        let mut looking = tokio::time::interval(LOOK);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let verify = ToProcess::Verify(leases.chains());
        let mut done = self.say(&verify).await;
        loop {
            if let Err(error) = done {
                return error;
            }
            done = tokio::select! {
                heard = self.next() => match heard {
                    Ok(heard) => self.hear(heard, leases, next).await,
                    Err(error) => Err(error),
                },
                Some((session, end)) = closings.recv() => self.close(session, end).await,
                _ = looking.tick() => self.look(leases).await,
            };
        }
    }

    /// Has it tell all sessions that the agent ends, and end.
    pub async fn shutdown(mut self, leases: &dyn Leases) {
        let ended = async {
            self.say(&ToProcess::Shutdown).await?;
            while let Ok(heard) = self.next().await {
                // Nothing new is granted any more.
                if !matches!(heard, FromProcess::Claim { .. }) {
                    self.hear(heard, leases, &mut 0).await?;
                }
            }
            Ok::<_, ProcessError>(())
        };
        let _ = timeout(GOODBYE, ended).await;
    }

    async fn say(&mut self, message: &ToProcess) -> Result<(), ProcessError> {
        let said = message::write(&mut self.to, message).await;
        said.map_err(failed("talk to the process that looks at proofs"))
    }

    async fn say_files(&mut self, contents: &FileContents) -> Result<(), ProcessError> {
        let all: Vec<_> = contents.all().collect();
        let names = all.iter().map(|it| it.file.display().to_string());
        self.say(&ToProcess::Files(names.collect())).await?;
        for contents in all {
            let said = message::write_bytes(&mut self.to, &contents.bytes).await;
            said.map_err(failed("hand over files"))?;
        }
        Ok(())
    }

    /// What it says next.
    async fn next(&mut self) -> Result<FromProcess, ProcessError> {
        match self.heard.recv().await {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Err(absurd(&error.to_string()))
            }
            _ => {
                let ended = timeout(GOODBYE, self.child.wait()).await;
                let how = ended
                    .ok()
                    .and_then(Result::ok)
                    .map(|it: ExitStatus| it.to_string());
                Err(ProcessError::Ended(
                    how.unwrap_or_else(|| "it hangs".into()),
                ))
            }
        }
    }

    async fn hear(
        &mut self,
        heard: FromProcess,
        leases: &dyn Leases,
        next: &mut u64,
    ) -> Result<(), ProcessError> {
        match heard {
            FromProcess::Claim { session, .. } if self.sessions.contains_key(&session) => {
                return Err(absurd("two sessions have one number"));
            }
            FromProcess::Claim { .. } if self.sessions.len() >= SESSIONS => {
                return Err(absurd("there are too many sessions"));
            }
            claim @ FromProcess::Claim { session, .. } => {
                *next += 1;
                let claim = checked(claim, SessionId(*next)).ok_or_else(|| absurd("a claim"))?;
                let granted = leases.admit(&claim).await;
                if granted.is_ok() {
                    self.sessions.insert(session, claim.session);
                }
                let answer = granted.map(Granted::from);
                self.say(&ToProcess::Answer { session, answer }).await?;
            }
            FromProcess::Renew { session, until } => leases.renew(self.known(session)?, until),
            FromProcess::Ended { session, end } => {
                leases.end(self.known(session)?, &end).await;
                self.sessions.remove(&session);
            }
            FromProcess::Refused { from, reason } => {
                leases.refused(from, &Refusal::new(reason, String::new()));
            }
            FromProcess::Verified {
                number,
                address,
                refused,
            } => leases.verified(number, address, refused),
            FromProcess::Read(_) => {}
            FromProcess::Problems(problems) => {
                let problems = problems.iter().take(PROBLEMS);
                self.problems = problems.map(|it| it.chars().take(1000).collect()).collect();
                self.report(leases);
            }
        }
        Ok(())
    }

    fn known(&self, session: u64) -> Result<SessionId, ProcessError> {
        let known = self.sessions.get(&session).copied();
        known.ok_or_else(|| absurd("something of a session that there is not"))
    }

    async fn close(&mut self, session: SessionId, end: End) -> Result<(), ProcessError> {
        let mut sessions = self.sessions.iter();
        let Some((&session, _)) = sessions.find(|&(_, &known)| known == session) else {
            return Ok(());
        };
        self.say(&ToProcess::Close { session, end }).await
    }

    /// Hands changed files over.
    async fn look(&mut self, leases: &dyn Leases) -> Result<(), ProcessError> {
        let now = Stamps::of(self.settings.files.paths());
        let changed = now != self.stamps;
        self.stamps = now;
        // After a failure, files are read again even if they seem unchanged: certificate and key are not
        // written at the same time.
        if !changed && self.unread.is_none() {
            return Ok(());
        }
        match self.settings.files.read() {
            Ok(contents) => {
                self.unread = None;
                self.say_files(&contents).await?;
            }
            Err(error) => {
                let unread = format!(
                    "changed enrolment files are not used, and those read before stay in use: {error}"
                );
                if self.unread.as_ref() != Some(&unread) {
                    warn!("{unread}");
                }
                self.unread = Some(unread);
            }
        }
        self.report(leases);
        Ok(())
    }

    fn report(&self, leases: &dyn Leases) {
        let problems = self.unread.iter().chain(&self.problems);
        leases.set_problems(problems.cloned().collect());
    }
}

fn absurd(what: &str) -> ProcessError {
    ProcessError::Absurd(wire::shortened(what))
}

/// Gives it the sockets, with a byte that carries them.
fn hand_over(to: &net::UnixStream, sockets: &[UdpSocket]) -> io::Result<()> {
    let descriptors: Vec<_> = sockets.iter().map(|it| it.as_fd()).collect();
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("there are too many"));
    }
    sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Serves with one process after the other, until `stopped`; what has come of the first is told to `begun`. What
/// cannot be used is tried again, as nothing else
/// depends on it; leases stay in force meanwhile.
pub async fn keep(
    settings: Settings,
    leases: Arc<dyn Leases>,
    mut closings: mpsc::UnboundedReceiver<(SessionId, End)>,
    begun: oneshot::Sender<()>,
    stopped: impl Future<Output = ()>,
) {
    let mut begun = Some(begun);
    tokio::pin!(stopped);
    let mut open: Option<Vec<UdpSocket>> = None;
    let mut next = 0;
    loop {
        let started = async {
            let sockets = match &open {
                Some(sockets) => sockets,
                None => open.insert(sockets(&settings)?),
            };
            Process::start(&settings, sockets).await
        };
        let mut pause = RETRY;
        let started = started.await;
        if let Some(begun) = begun.take() {
            // Nobody has to wait for it.
            let _ = begun.send(());
        }
        match started {
            Ok(mut process) => {
                info!(listen = ?settings.listen, "endpoints may prove who they are");
                leases.set_problems(Vec::new());
                let ended = tokio::select! {
                    () = &mut stopped => None,
                    ended = process.serve(&*leases, &mut closings, &mut next) => Some(ended),
                };
                let Some(ended) = ended else {
                    process.shutdown(&*leases).await;
                    return;
                };
                error!("{ended}; it is started anew, and leases stay in force");
                leases.orphan();
                pause = RESTART;
            }
            Err(error) => {
                warn!(%error, "endpoints cannot prove who they are; trying again");
                let problem = format!("endpoints cannot prove who they are: {error}");
                leases.set_problems(vec![problem]);
            }
        }
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
