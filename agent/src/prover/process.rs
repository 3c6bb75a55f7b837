//! The process that strangers talk to: it speaks QUIC and TLS, and looks at certificates.
//!
//! It is the same program, started by the agent, with a socket to it as standard input. It gets the UDP sockets
//! and the contents of the files over that, confines itself, and only then reads anything of a stranger.

use std::{
    collections::HashMap,
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::{fd::AsFd as _, fd::OwnedFd, unix::net},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    net::{UnixStream, unix::OwnedReadHalf},
    sync::{mpsc, oneshot},
};

use super::{
    agent::SOCKETS,
    message::{self, Chain, FromProcess, LONGEST_OF_AGENT, ToProcess},
    sandbox,
};
use crate::{
    enrolment::{
        Claim, Config, End, FileContents, Files, Grant, Later, Reason, Refusal, Registrar, Server,
        SessionId, pki::Contents,
    },
    logging,
};

/// Messages that wait to be taken by the agent.
const WAITING: usize = 1024;
/// Time between two looks at how the files are.
const LOOK: Duration = Duration::from_secs(5);

/// Serves until the agent says that it ends, or has ended.
///
/// # Errors
///
/// If it cannot begin.
pub async fn run() -> anyhow::Result<()> {
    logging::init();
    let agent: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let agent = net::UnixStream::from(agent);
    let sockets = receive(&agent).context("cannot receive sockets")?;
    agent.set_nonblocking(true)?;
    let (mut from, mut to) = UnixStream::from_std(agent)?.into_split();
    let (say, mut said) = mpsc::channel(WAITING);
    let Some(ToProcess::Begin { mark, most }) = next(&mut from).await? else {
        bail!("the agent does not begin");
    };
    let contents = match next(&mut from).await? {
        Some(ToProcess::Files(names)) => files(names, &mut from).await?,
        _ => bail!("the agent sends no files"),
    };
    let proxy = Arc::new(Proxy {
        say: say.clone(),
        asked: Mutex::default(),
        chains: Mutex::default(),
    });
    let [max_sessions, max_handshakes, max_handshakes_per_source] = most;
    let config = Config {
        mark,
        max_sessions,
        max_handshakes,
        max_handshakes_per_source,
        ..Config::new(Files::default())
    };
    let (hand, handed) = mpsc::channel(1);
    let registrar = Arc::clone(&proxy) as _;
    let started = Server::start_with(sockets, config, &contents, handed, registrar);
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            message::write(&mut to, &FromProcess::Read(Err(error.to_string()))).await?;
            return Ok(());
        }
    };
    // No task of the server has run until now, as nothing was waited for since it was made.
    sandbox::enter()?;
    message::write(&mut to, &FromProcess::Read(Ok(()))).await?;
    let writing = tokio::spawn(async move {
        while let Some(message) = said.recv().await {
            if message::write(&mut to, &message).await.is_err() {
                break;
            }
        }
    });
    let (hear, mut heard) = mpsc::channel(WAITING);
    tokio::spawn(listen(from, hear));
    let mut looking = tokio::time::interval(LOOK);
    let mut told = Vec::new();
    loop {
        let heard = tokio::select! {
            heard = heard.recv() => heard,
            () = server.lost() => bail!("a part of it has ended by itself"),
            _ = looking.tick() => {
                let problems = server.problems();
                if problems != told {
                    proxy.say(FromProcess::Problems(problems.clone())).await;
                    told = problems;
                }
                continue;
            }
        };
        match heard {
            Some(Heard::Files(contents)) => {
                let _ = hand.send(Some(contents)).await;
            }
            Some(Heard::Verify(chains)) => {
                *proxy.chains() = chains;
                let _ = hand.send(None).await;
            }
            Some(Heard::Answer(session, answer)) => proxy.answer(session, answer),
            Some(Heard::Close(session, end)) => drop(server.close(session, end)),
            Some(Heard::Shutdown) => {
                server.shutdown().await;
                drop(proxy);
                drop(say);
                let _ = writing.await;
                return Ok(());
            }
            // The agent is gone. Sessions are not told: the next agent's process tells them.
            None => std::process::exit(0),
        }
    }
}

/// What the agent has said.
enum Heard {
    Files(FileContents),
    Verify(Vec<Chain>),
    Answer(SessionId, Result<Grant, Refusal>),
    Close(SessionId, End),
    Shutdown,
}

/// Reads what the agent says, until it is gone.
async fn listen(mut from: OwnedReadHalf, hear: mpsc::Sender<Heard>) {
    while let Ok(Some(message)) = next(&mut from).await {
        let heard = match message {
            ToProcess::Begin { .. } => continue,
            ToProcess::Files(names) => match files(names, &mut from).await {
                Ok(contents) => Heard::Files(contents),
                Err(_) => return,
            },
            ToProcess::Verify(chains) => Heard::Verify(chains),
            ToProcess::Answer { session, answer } => {
                Heard::Answer(SessionId(session), answer.map(Grant::from))
            }
            ToProcess::Close { session, end } => Heard::Close(SessionId(session), end),
            ToProcess::Shutdown => Heard::Shutdown,
        };
        if hear.send(heard).await.is_err() {
            return;
        }
    }
}

async fn next(from: &mut OwnedReadHalf) -> io::Result<Option<ToProcess>> {
    message::read(from, LONGEST_OF_AGENT).await
}

/// The contents of the files of these names, which follow.
async fn files(names: Vec<String>, from: &mut OwnedReadHalf) -> anyhow::Result<FileContents> {
    let mut read = Vec::new();
    for name in names {
        let bytes = message::read_bytes(from, LONGEST_OF_AGENT).await?;
        let bytes = bytes.context("a file is missing")?;
        read.push(Contents {
            file: name.into(),
            bytes,
        });
    }
    let crls = read.split_off(read.len().min(3));
    let [certificate, key, ca] = <[Contents; 3]>::try_from(read)
        .map_err(|_| anyhow!("certificate, key or authorities are missing"))?;
    Ok(FileContents {
        certificate,
        key,
        ca,
        crls,
    })
}

/// The sockets that the agent hands over.
fn receive(agent: &net::UnixStream) -> anyhow::Result<Vec<UdpSocket>> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    recvmsg(agent, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors.map(UdpSocket::from));
        }
    }
    Ok(sockets)
}

/// Asks the agent about claims, and tells it of sessions.
struct Proxy {
    say: mpsc::Sender<FromProcess>,
    /// Claims that wait for an answer.
    asked: Mutex<HashMap<SessionId, oneshot::Sender<Result<Grant, Refusal>>>>,
    /// Chains that no session of this process has shown.
    chains: Mutex<Vec<Chain>>,
}

impl Proxy {
    async fn say(&self, message: FromProcess) {
        // Nobody listens any more only when the agent is gone, and this process soon.
        let _ = self.say.send(message).await;
    }

    /// Says it if the agent keeps up: what is lost is told again, or only counted.
    fn mention(&self, message: FromProcess) {
        let _ = self.say.try_send(message);
    }

    fn chains(&self) -> std::sync::MutexGuard<'_, Vec<Chain>> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, session: SessionId, answer: Result<Grant, Refusal>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waits) = asked.remove(&session) {
            let _ = waits.send(answer);
        }
    }
}

impl Registrar for Proxy {
    fn admit<'a>(&'a self, claim: &'a Claim) -> Later<'a, Result<Grant, Refusal>> {
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.insert(claim.session, tell);
            }
            let identities = claim.identities.iter().map(ToString::to_string);
            self.say(FromProcess::Claim {
                session: claim.session.0,
                remote: claim.remote,
                local: claim.local,
                identities: identities.collect(),
                certificate: claim.certificate.clone(),
                chain: claim.chain.to_string(),
                until: claim.until,
                program: claim.program.clone(),
                stated: claim.stated,
            })
            .await;
            let gone = |_| Refusal::new(Reason::Other, "the agent is gone");
            told.await.map_err(gone)?
        })
    }

    fn renew(&self, session: SessionId, until: Timestamp) {
        self.mention(FromProcess::Renew {
            session: session.0,
            until,
        });
    }

    fn end<'a>(&'a self, session: SessionId, why: &'a End) -> Later<'a, ()> {
        Box::pin(self.say(FromProcess::Ended {
            session: session.0,
            end: why.clone(),
        }))
    }

    fn verify(&self, verify: &dyn Fn(&[CertificateDer<'_>]) -> Result<Timestamp, Refusal>) {
        for chain in self.chains().clone() {
            let read: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(chain.chain.as_bytes()).collect();
            let verified = match read {
                Ok(ders) => verify(&ders),
                Err(error) => Err(Refusal::new(Reason::InvalidChain, error.to_string())),
            };
            self.mention(FromProcess::Verified {
                number: chain.number,
                address: chain.address,
                refused: verified.err(),
            });
        }
    }

    fn refused(&self, from: SocketAddr, refusal: &Refusal) {
        self.mention(FromProcess::Refused {
            from,
            reason: refusal.reason,
        });
    }
}
