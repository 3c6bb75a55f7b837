//! Tenants' traffic through the same NIC: it must not be affected.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use harness::net::station::GUEST;

use crate::scene::Scene;
use crate::stage::Stage;

/// Where the guest listens.
const PORT: u16 = 5001;

/// How long a stream is sent; the best of several counts, as the machine may be busy.
const STREAM: Duration = Duration::from_millis(700);
const STREAMS: u32 = 3;

/// Timeout of connecting, and of reading.
const PATIENCE: Duration = Duration::from_secs(5);

/// Echo requests.
const PINGS: &str = "20";

/// The throughput may be this many times lower than before. A veth with any XDP program copies
/// every packet that it would otherwise pass on without a copy; a NIC does not.
const MAX_SLOWDOWN: u64 = 5;

/// Measures the undisturbed throughput, in bits per second.
pub fn play_before(stage: &mut Stage, scene: &Scene) -> u64 {
    let mut measured = 0;
    stage.step("the tenant pings the guest behind the host", || ping(scene));
    stage.step("the tenant sends to the guest", || {
        measured = throughput(scene)?;
        Ok(gigabits(measured))
    });
    measured
}

/// Measures again, and compares with the throughput before.
pub fn play_after(stage: &mut Stage, scene: &Scene, before: u64) {
    stage.step("the tenant pings the guest behind the host", || ping(scene));
    stage.step("the tenant sends to the guest", || {
        let after = throughput(scene)?;
        let both = format!("{}, {} before", gigabits(after), gigabits(before));
        ensure!(after * MAX_SLOWDOWN > before, "{both}");
        Ok(both)
    });
}

fn ping(scene: &Scene) -> Result<String> {
    let guest = GUEST.v4.to_string();
    let words = [
        "ping", "-n", "-q", "-i", "0.01", "-c", PINGS, "-W", "1", &guest,
    ];
    let said = scene.topology.tenant.run(&words)?;
    let summary = said.lines().find(|line| line.contains("packet loss"));
    let summary = summary.context("ping has no summary")?;
    ensure!(summary.contains(" 0% packet loss"), "{summary}");
    Ok(format!("{PINGS} of {PINGS} answered"))
}

/// The best stream, in bits per second, as the guest received it.
fn throughput(scene: &Scene) -> Result<u64> {
    let listener = scene.topology.guest.tcp_listener((GUEST.v4, PORT))?;
    let mut best = 0;
    for _ in 0..STREAMS {
        best = best.max(stream(scene, &listener)?);
    }
    Ok(best)
}

fn stream(scene: &Scene, listener: &TcpListener) -> Result<u64> {
    let mut tenant = scene
        .topology
        .tenant
        .tcp_stream((GUEST.v4, PORT), PATIENCE)?
        .context("connecting to the guest")?;
    let (mut guest, _) = listener.accept().context("accepting the tenant")?;
    guest.set_read_timeout(Some(PATIENCE))?;
    let drained = thread::spawn(move || drain(&mut guest));
    let started = Instant::now();
    let block = vec![0; 1 << 16];
    while started.elapsed() < STREAM {
        tenant.write_all(&block).context("sending to the guest")?;
    }
    drop(tenant);
    let drained = drained.join().map_err(|_| anyhow!("the guest panicked"))?;
    let micros = started.elapsed().as_micros().max(1);
    Ok((u128::from(drained?) * 8 * 1_000_000 / micros) as u64)
}

fn drain(guest: &mut impl Read) -> Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        match guest.read(&mut buffer) {
            Ok(0) => return Ok(received),
            Ok(bytes) => received += bytes as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("receiving from the tenant"),
        }
    }
}

fn gigabits(bits: u64) -> String {
    let hundredths = bits / 10_000_000;
    format!("{}.{:02} Gbit/s", hundredths / 100, hundredths % 100)
}
