//! Connections between sockets: round-trip time and throughput.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use harness::machine::namespace::argv;
use harness::programs::iperf;
use nix::unistd::Pid;
use serde_json::Value;

use super::scene::{RECEIVER_V4, ROUND_TRIP_PORT, Scene};
use crate::machine::{last_core, pin};

/// Requests, one after the other.
const REQUESTS: u32 = 10_000;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long iperf3 sends, seconds.
const SECONDS: &str = "1";

/// Mean time from a request of one byte to its answer over one TCP connection, µs. Both ends run on
/// one core: waking another core would take longer than what is measured.
pub fn round_trip(scene: &Scene) -> Result<f64> {
    let listen = || TcpListener::bind((RECEIVER_V4, ROUND_TRIP_PORT));
    let listener = scene.receiver.enter(listen)?.context("listening")?;
    let connect = || TcpStream::connect((RECEIVER_V4, ROUND_TRIP_PORT));
    let client = scene.sender.enter(connect)?.context("connecting")?;
    let (server, _) = listener.accept().context("accepting")?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    thread::scope(|scope| {
        let answering = scope.spawn(|| answer(server));
        let asking = scope.spawn(|| ask(client));
        let panicked = |_| anyhow!("a thread panicked");
        let elapsed = asking.join().map_err(panicked)??;
        answering.join().map_err(panicked)??;
        Ok(elapsed.as_secs_f64() * 1e6 / f64::from(REQUESTS))
    })
}

/// Keeps this thread on the core that both ends share.
fn pin_to_shared_core() -> Result<()> {
    pin(Pid::from_raw(0), last_core()?)
}

fn ask(mut stream: TcpStream) -> Result<Duration> {
    pin_to_shared_core()?;
    let start = Instant::now();
    for _ in 0..REQUESTS {
        stream.write_all(&[1])?;
        stream.read_exact(&mut [0]).context("no answer")?;
    }
    Ok(start.elapsed())
}

fn answer(mut stream: TcpStream) -> Result<()> {
    pin_to_shared_core()?;
    for _ in 0..REQUESTS {
        stream.read_exact(&mut [0]).context("no request")?;
        stream.write_all(&[1])?;
    }
    Ok(())
}

/// Gbit/s that arrive through one TCP connection.
pub fn throughput(scene: &Scene) -> Result<f64> {
    let _server = iperf::Server::start(&scene.receiver)?;
    let to = RECEIVER_V4.to_string();
    let words = ["iperf3", "--json", "--client", &to, "--time", SECONDS];
    let output = scene.sender.output(&argv(&words)?)?;
    let report: Value = serde_json::from_str(&output.stdout)
        .with_context(|| format!("reading iperf3: {}{}", output.stdout, output.stderr))?;
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    Ok(rate.with_context(|| format!("iperf3 reports no rate: {report}"))? / 1e9)
}
