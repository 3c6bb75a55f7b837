//! Measures sessions: handshakes per second and core, memory per session, CPU time of keep-alives.
//!
//!     cargo run --release --package manoward-bench --example handshakes -- [SESSIONS]
//!
//! The host runs as a second process. It listens on many ports and loopback addresses, which the
//! endpoint takes for as many hosts. Times are CPU times of the processes, kernel time included, so
//! other load on the machine does not count.

use std::{
    fs,
    future::ready,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use manoward::{
    enrolment::{
        Claim, Config, End, Files, Grant, Later, Refusal, Registrar, Server, SessionId, StaleCrl,
        Timestamp,
    },
    join::{self, Host, Join, Options, Source},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

/// Addresses of the host, each in its certificate.
const ADDRESSES: u8 = 100;
/// How long idle sessions, with keep-alives only, are measured.
const QUIET: Duration = Duration::from_secs(20);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match arguments.as_slice() {
        [mode, directory, ports] if mode == "host" => {
            runtime.block_on(host(Path::new(directory), ports.parse()?))
        }
        [sessions] => runtime.block_on(measure(sessions.parse()?)),
        _ => runtime.block_on(measure(1000)),
    }
}

/// Grants every claim.
struct All;

impl Registrar for All {
    fn admit<'a>(&'a self, _: &'a Claim) -> Later<'a, Result<Grant, Refusal>> {
        Box::pin(ready(Ok(Grant {
            endpoint: "vim-1".into(),
            role: "vim".into(),
            expires_in: Duration::from_secs(15),
        })))
    }

    fn renew(&self, _: SessionId, _: Timestamp) {}

    fn end<'a>(&'a self, _: SessionId, _: &'a End) -> Later<'a, ()> {
        Box::pin(ready(()))
    }

    fn refused(&self, _: SocketAddr, refusal: &Refusal) {
        eprintln!("refused: {refusal}");
    }
}

/// The host: prints its ports, and ends when its standard input ends.
async fn host(directory: &Path, ports: usize) -> anyhow::Result<()> {
    let mut config = Config::new(Files {
        certificate: directory.join("host.pem"),
        key: directory.join("host.key"),
        ca: directory.join("ca.pem"),
        crls: Vec::new(),
        stale_crl: StaleCrl::Refuse,
    });
    config.listen = vec![(Ipv4Addr::UNSPECIFIED, 0).into(); ports];
    config.max_sessions = usize::MAX >> 8;
    config.max_handshakes = 4096;
    config.max_handshakes_per_source = 4096;
    let server = Server::start(config, Arc::new(All))?;
    let ports = server.addresses().into_iter().map(|a| a.port().to_string());
    println!("{}", ports.collect::<Vec<_>>().join(" "));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    ended.await??;
    Ok(())
}

async fn measure(sessions: u32) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    certificates(directory.path())?;
    let needed = sessions.div_ceil(ADDRESSES.into()) as usize;
    let all = sessions as usize;
    let (mut child, ports) = start(directory.path(), needed)?;
    let hosts = (1..=ADDRESSES).flat_map(|last| {
        ports.iter().map(move |&port| Host {
            name: Ipv4Addr::new(127, 0, 0, last).to_string(),
            port,
        })
    });
    let options = Options {
        hosts: Source::List(hosts.take(all).collect()),
        files: join::Files {
            certificate: directory.path().join("vim.pem"),
            key: directory.path().join("vim.key"),
            ca: directory.path().join("ca.pem"),
        },
        bind: None,
    };
    let processes = [("host", child.id()), ("endpoint", std::process::id())];
    let before = processes.map(|(_, id)| Usage::of(id));
    let began = Instant::now();
    let join = Join::start(options, |_| {})?;
    while join.count().1 < all {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "{sessions} sessions after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let joined = processes.map(|(_, id)| Usage::of(id));
    tokio::time::sleep(QUIET).await;
    let quiet = processes.map(|(_, id)| Usage::of(id));
    anyhow::ensure!(join.count().1 == all, "sessions were lost");
    for (index, (name, _)) in processes.into_iter().enumerate() {
        let (before, joined, quiet) = (&before[index], &joined[index], &quiet[index]);
        let busy = joined.cpu.saturating_sub(before.cpu).as_secs_f64();
        let idle = quiet.cpu.saturating_sub(joined.cpu).as_secs_f64() / QUIET.as_secs_f64();
        println!(
            "{name}: {:.0} handshakes per second of one core; {:.1} KiB for each session, {:.0} MiB in all; {:.2} % of a core for keep-alives",
            f64::from(sessions) / busy,
            f64::from(quiet.memory.saturating_sub(before.memory)) / f64::from(sessions),
            f64::from(quiet.memory) / 1024.0,
            idle * 100.0
        );
    }
    let leaving = Instant::now();
    join.shutdown().await;
    println!("left after {:.1} s", leaving.elapsed().as_secs_f64());
    child.stdin.take().context("no pipe")?.write_all(b"\n")?;
    child.wait()?;
    Ok(())
}

fn start(directory: &Path, ports: usize) -> anyhow::Result<(Child, Vec<u16>)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("host")
        .arg(directory)
        .arg(ports.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
    let ports = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok((child, ports))
}

/// Writes an authority and two certificates, with ECDSA keys on P-256.
fn certificates(directory: &Path) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    fs::write(directory.join("ca.pem"), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let addresses = (1..=ADDRESSES).map(|last| SanType::IpAddress([127, 0, 0, last].into()));
    let vim = SanType::URI("spiffe://operator.example/vim/1".try_into()?);
    for (name, sans) in [("host", addresses.collect()), ("vim", vec![vim])] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans;
        let certificate = params.signed_by(&key, &issuer)?;
        fs::write(directory.join(format!("{name}.pem")), certificate.pem())?;
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

/// CPU time and memory of a process.
#[derive(Default)]
struct Usage {
    cpu: Duration,
    /// Resident memory, KiB.
    memory: u32,
}

impl Usage {
    /// Zero if the process has ended.
    fn of(process: u32) -> Self {
        Self::read(process).unwrap_or_default()
    }

    fn read(process: u32) -> Option<Self> {
        let process = procfs::process::Process::new(process.cast_signed()).ok()?;
        let stat = process.stat().ok()?;
        let ticks = stat.utime + stat.stime;
        Some(Self {
            cpu: Duration::from_millis(ticks * 1000 / procfs::ticks_per_second()),
            memory: (process.statm().ok()?.resident * procfs::page_size() / 1024) as u32,
        })
    }
}
