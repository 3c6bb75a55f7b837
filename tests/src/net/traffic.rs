//! Background traffic: floods of frames, and TCP connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::machine::namespace::Namespace;
use crate::net::wire::Wire;

/// Time between two frames of a flood, so that no queue on the way overflows.
const GAP: Duration = Duration::from_micros(100);

/// Time between two rounds of a stream.
const PACE: Duration = Duration::from_millis(1);

/// After this long without an answer a stream has been interrupted.
const SILENCE: Duration = Duration::from_secs(3);

/// A thread that repeats and counts a step until it is stopped.
#[derive(Debug)]
struct Work {
    ended: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Work {
    fn start(mut step: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let ended = Arc::<AtomicBool>::default();
        let done = Arc::<AtomicU64>::default();
        let (is_ended, count) = (Arc::clone(&ended), Arc::clone(&done));
        let thread = thread::spawn(move || {
            while !is_ended.load(Ordering::Relaxed) {
                step()?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self {
            ended,
            done,
            thread: Some(thread),
        }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn stop(&mut self) -> Result<u64> {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow!("traffic panicked"))??;
        }
        Ok(self.done())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Sends the same frames over and over.
#[derive(Debug)]
pub struct Flood {
    work: Work,
    /// Frames of a step.
    burst: u64,
}

impl Flood {
    /// Begins.
    #[must_use]
    pub fn start(wire: Wire, frames: Vec<Vec<u8>>) -> Self {
        Self::in_bursts(wire, frames, 1, GAP)
    }

    /// Begins, and sends so many frames at once, and then none for a `pause`.
    #[must_use]
    pub fn in_bursts(mut wire: Wire, frames: Vec<Vec<u8>>, burst: usize, pause: Duration) -> Self {
        let mut next = 0;
        let step = move || {
            for _ in 0..burst {
                wire.send(&frames[next % frames.len()])?;
                next += 1;
            }
            thread::sleep(pause);
            Ok(())
        };
        Self {
            work: Work::start(step),
            burst: burst as u64,
        }
    }

    /// Frames sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.work.done() * self.burst
    }

    /// Ends, and returns how many frames were sent.
    pub fn stop(mut self) -> Result<u64> {
        Ok(self.work.stop()? * self.burst)
    }
}

/// A TCP connection with requests and answers until it is stopped.
#[derive(Debug)]
pub struct Stream {
    work: Work,
    server: Option<JoinHandle<()>>,
}

impl Stream {
    /// Connects, and begins to send requests.
    pub fn start(client: &Namespace, server: &Namespace, address: SocketAddr) -> Result<Self> {
        let listener = server.tcp_listener(address)?;
        let mut stream = client.tcp_stream(address, SILENCE)?.context("connecting")?;
        stream.set_nodelay(true)?;
        let server = thread::spawn(move || echo(&listener));
        let mut number = 0_u64;
        let work = Work::start(move || {
            number += 1;
            ask(&mut stream, number)
                .with_context(|| format!("the stream was interrupted at round {number}"))?;
            thread::sleep(PACE);
            Ok(())
        });
        Ok(Self {
            work,
            server: Some(server),
        })
    }

    /// Answers so far.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.work.done()
    }

    /// Ends, and returns how many answers came. Fails if one did not come in time.
    pub fn stop(mut self) -> Result<u64> {
        let rounds = self.work.stop()?;
        if let Some(server) = self.server.take() {
            server.join().map_err(|_| anyhow!("the server panicked"))?;
        }
        Ok(rounds)
    }
}

fn ask(stream: &mut TcpStream, number: u64) -> std::io::Result<()> {
    let mut answer = [0; 8];
    stream.write_all(&number.to_be_bytes())?;
    stream.read_exact(&mut answer)?;
    if u64::from_be_bytes(answer) == number {
        Ok(())
    } else {
        Err(std::io::Error::other("another answer"))
    }
}

/// Echoes the data of one client, until it disconnects.
fn echo(listener: &TcpListener) {
    let Ok((mut stream, _)) = listener.accept() else {
        return;
    };
    let mut buffer = [0; 64];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

/// Segments that a machine has sent again because no answer came.
pub fn retransmissions(namespace: &Namespace) -> Result<u64> {
    let table = namespace.run(&["cat", "/proc/net/snmp"])?;
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = lines.next().zip(lines.next()).context("no TCP counters")?;
    let mut pairs = names.split(' ').zip(values.split(' '));
    let (_, value) = pairs
        .find(|(name, _)| *name == "RetransSegs")
        .context("no RetransSegs")?;
    value
        .parse()
        .with_context(|| format!("{value} is no number"))
}
