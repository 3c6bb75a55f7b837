//! Connections in each direction, over which one side speaks all the time.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harness::machine::process::Process;
use harness::net::link;
use harness::net::station::{HOST, HOST_GUESTS, HOST_OPERATIONS, VIM};
use harness::programs::sctp;
use harness::{Namespace, Topology};

use crate::{PATIENCE, addresses, connection};

/// Time between two messages.
const EVERY: Duration = Duration::from_millis(20);

/// What SCTP sends, and its length with the end of the line.
const LINE: &str = "a line of an association";

/// All connections.
pub struct Streams {
    all: Vec<Stream>,
    association: Association,
    done: Arc<AtomicBool>,
}

/// A connection over which one side speaks.
struct Stream {
    name: String,
    heard: Arc<Heard>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// When the other side heard something last, and its longest silence.
struct Heard {
    since: Instant,
    last: AtomicU64,
    longest: AtomicU64,
}

impl Heard {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            since: Instant::now(),
            last: AtomicU64::new(0),
            longest: AtomicU64::new(0),
        })
    }

    /// Notes that something was heard, or, before that, that it is silent still.
    fn note(&self, heard: bool) {
        let now = self.since.elapsed().as_millis() as u64;
        let silence = now.saturating_sub(self.last.load(Ordering::Relaxed));
        self.longest.fetch_max(silence, Ordering::Relaxed);
        if heard {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    fn longest(&self) -> Duration {
        self.note(false);
        Duration::from_millis(self.longest.load(Ordering::Relaxed))
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug)]
enum Speaker {
    Client,
    Server,
}

impl Streams {
    /// Opens them, between the host and the VIM.
    pub fn start(scene: &Topology) -> Result<Self> {
        let done = Arc::new(AtomicBool::new(false));
        let mut all = Vec::new();
        let mut port = 7000;
        for (index, ends) in [
            [(&scene.host, HOST), (&scene.vim, VIM)],
            [(&scene.vim, VIM), (&scene.host, HOST)],
        ]
        .into_iter()
        .enumerate()
        {
            let [(client, _), (server, station)] = ends;
            let way = ["out", "in"][index];
            for address in addresses(station) {
                for speaker in [Speaker::Client, Speaker::Server] {
                    port += 1;
                    let to = (address, port);
                    let name = |protocol| format!("{protocol} {way} to {address}, {speaker:?}");
                    all.push(tcp(name("tcp"), (client, server, to), speaker, &done)?);
                    all.push(udp(name("udp"), (client, server, to), speaker, &done)?);
                }
            }
        }
        let association = Association::start(scene, &done)?;
        Ok(Self {
            all,
            association,
            done,
        })
    }

    /// Those over which nothing was heard for so long, now or before.
    pub fn stalled(&self, time: Duration) -> Vec<String> {
        let each = self.each().map(|(name, heard)| (name, heard.longest()));
        let stalled = each.filter(|(_, longest)| *longest >= time);
        stalled
            .map(|(name, longest)| format!("{name}: {longest:?}"))
            .collect()
    }

    /// Ends them; the longest silence, and whose it was.
    pub fn finish(self) -> Result<(Duration, String)> {
        let each = self.each();
        let longest = each.map(|(name, heard)| (heard.longest(), name.to_owned()));
        let longest = longest.max();
        self.done.store(true, Ordering::Relaxed);
        for stream in self.all {
            for thread in stream.threads {
                let ended = thread.join();
                let Ok(ended) = ended else {
                    bail!("{}: a thread panicked", stream.name);
                };
                ended.with_context(|| stream.name.clone())?;
            }
        }
        self.association.finish()?;
        longest.context("no connection")
    }

    fn each(&self) -> impl Iterator<Item = (&str, &Heard)> {
        let all = self.all.iter();
        let all = all.map(|stream| (stream.name.as_str(), stream.heard.as_ref()));
        all.chain([("sctp out", self.association.heard.as_ref())])
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.each().map(|(name, _)| name))
            .finish()
    }
}

type Ends<'a> = (&'a Namespace, &'a Namespace, (IpAddr, u16));

fn tcp(name: String, ends: Ends<'_>, speaker: Speaker, done: &Arc<AtomicBool>) -> Result<Stream> {
    let (client, server, to) = ends;
    let [near, far] = connection(client, server, to).with_context(|| name.clone())?;
    let (mut speaks, mut listens) = match speaker {
        Speaker::Client => (near, far),
        Speaker::Server => (far, near),
    };
    listens.set_read_timeout(Some(EVERY))?;
    let speak = move || speaks.write_all(b"word");
    Ok(stream(name, done, speak, move || {
        let heard = listens.read(&mut [0; 4096])?;
        if heard == 0 {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }))
}

fn udp(name: String, ends: Ends<'_>, speaker: Speaker, done: &Arc<AtomicBool>) -> Result<Stream> {
    let (client, server, to) = ends;
    let any = if to.0.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let far = server.udp(to, PATIENCE)?;
    let near = client.udp(any.parse::<SocketAddr>()?, PATIENCE)?;
    near.connect(to)?;
    near.send(b"question")?;
    let (_, from) = far.recv_from(&mut [0; 16]).with_context(|| name.clone())?;
    far.connect(from)?;
    let (speaks, listens) = match speaker {
        Speaker::Client => (near, far),
        Speaker::Server => (far, near),
    };
    listens.set_read_timeout(Some(EVERY))?;
    let speak = move || speaks.send(b"word").map(|_| ());
    Ok(stream(name, done, speak, move || {
        listens.recv(&mut [0; 16]).map(|_| ())
    }))
}

fn stream(
    name: String,
    done: &Arc<AtomicBool>,
    mut speak: impl FnMut() -> io::Result<()> + Send + 'static,
    mut hear: impl FnMut() -> io::Result<()> + Send + 'static,
) -> Stream {
    let heard = Heard::new();
    let speaking = {
        let done = Arc::clone(done);
        move || -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                speak()?;
                thread::sleep(EVERY);
            }
            Ok(())
        }
    };
    let hearing = {
        let (heard, done) = (Arc::clone(&heard), Arc::clone(done));
        move || -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                match hear() {
                    Ok(()) => heard.note(true),
                    Err(_) if done.load(Ordering::Relaxed) => {}
                    Err(error)
                        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        }
    };
    let threads = vec![thread::spawn(speaking), thread::spawn(hearing)];
    Stream {
        name,
        heard,
        threads,
    }
}

/// An SCTP association of the host's.
struct Association {
    heard: Arc<Heard>,
    client: Process,
    hearing: JoinHandle<()>,
}

impl Association {
    fn start(scene: &Topology, done: &Arc<AtomicBool>) -> Result<Self> {
        // The client chooses itself which of the host's addresses it speaks from.
        let of_host = [HOST, HOST_GUESTS, HOST_OPERATIONS].map(|station| station.v4);
        for network in ["203.0.113.0/24", "198.51.100.0/24"] {
            link::route(&scene.vim, network, &HOST.v4.to_string())?;
        }
        let server = sctp::Server::start(&scene.vim)?;
        let client = sctp::speak(&scene.host, VIM.v4.into(), LINE, EVERY)?;
        let messages = move || -> usize {
            let each = of_host.map(|from| server.messages(from.into(), LINE.len() + 1));
            each.into_iter().sum()
        };
        let begin = Instant::now();
        while messages() == 0 {
            ensure!(
                begin.elapsed() < PATIENCE,
                "no association: {}",
                client.stderr()
            );
            thread::sleep(EVERY);
        }
        let heard = Heard::new();
        let (noting, done) = (Arc::clone(&heard), Arc::clone(done));
        let hearing = thread::spawn(move || {
            let mut before = 0;
            while !done.load(Ordering::Relaxed) {
                let now = messages();
                noting.note(now > before);
                before = now;
                thread::sleep(5 * EVERY);
            }
        });
        Ok(Self {
            heard,
            client,
            hearing,
        })
    }

    fn finish(mut self) -> Result<()> {
        ensure!(self.hearing.join().is_ok(), "a thread panicked");
        ensure!(self.client.is_running(), "the association ended");
        Ok(())
    }
}
