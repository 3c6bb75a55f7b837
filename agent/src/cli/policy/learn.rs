//! `manoward policy learn`

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::fd::AsRawFd as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use manoward::{
    datapath::interface::Interfaces,
    explain::capture::{Capture, Captured},
    learn::{Host, Learner},
};
use nix::{
    errno::Errno,
    sys::socket::{LinkAddr, recvfrom},
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::cli::{Exit, output, progress, quantity};

/// Every protocol (`ETH_P_ALL`), in network byte order.
const EVERY: u16 = 3u16.to_be();
/// Most bytes of a frame that are looked at.
const FRAME: usize = 2048;
/// Memory for frames that arrive faster than they are read, bytes.
const BUFFER: usize = 8 << 20;
/// How long to wait for a frame before the time is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Watch what this host is used for, and write a draft of a policy.
///
/// The draft has the peers that were really seen, with MAC address, VLAN and interface, and the services
/// that they used or that the host used of them, where somebody answered. It says DECIDE where a person has
/// to: about roles above all. Ctrl-C ends earlier.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo manoward policy learn --for 10m > draft.yaml
  sudo manoward policy learn --for 1d --interface bond0 --group > draft.yaml
  sudo manoward policy learn --capture traffic.pcap > draft.yaml")]
pub struct Learn {
    /// How long to watch, such as 10m or 1d
    #[arg(
        long = "for",
        value_name = "TIME",
        required_unless_present = "capture",
        value_parser = quantity::parse_time
    )]
    time: Option<Duration>,

    /// Interface to watch [default: every one]; may be repeated
    #[arg(long, value_name = "NAME")]
    interface: Vec<String>,

    /// Put neighbouring peers that are used for the same into one endpoint
    #[arg(long)]
    group: bool,

    /// Learn from a capture of this host instead
    #[arg(long, value_name = "FILE", conflicts_with = "time")]
    capture: Option<PathBuf>,
}

pub async fn run(args: Learn) -> anyhow::Result<Exit> {
    let interfaces = Interfaces::read().await?;
    let mut learner = Learner::new(interfaces.addresses());
    let watched = if let Some(file) = &args.capture {
        for captured in Capture::open(file)? {
            if let Captured::Frame { bytes, .. } = captured? {
                learner.see(&bytes, "the capture");
            }
        }
        format!("in {}", file.display())
    } else {
        let time = args.time.unwrap_or_default();
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                flag.store(true, Ordering::Relaxed);
            }
        });
        let socket = open()?;
        let names = interfaces.clone();
        let only: BTreeSet<String> = args.interface.iter().cloned().collect();
        let watching = tokio::task::spawn_blocking(move || {
            watch(&socket, time, &ended, &names, &only, &mut learner)?;
            anyhow::Ok(learner)
        });
        let watching = async { watching.await? };
        learner = progress::during("watching", watching).await?;
        format!(
            "within {} s until {}",
            time.as_secs(),
            jiff::Timestamp::now()
        )
    };
    let draft = learner.draft();
    let names = interfaces
        .entrances()
        .map(|(interface, _)| interface.name.clone());
    let host = Host {
        name: fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "host".to_owned(), |name| name.trim().to_owned()),
        interfaces: if args.interface.is_empty() {
            names.collect()
        } else {
            args.interface
        },
        links: interfaces.prefixes().collect(),
        watched,
        grouped: args.group,
    };
    output::stdout().write_all(draft.text(&host).as_bytes())?;
    Ok(Exit::Success)
}

/// A socket that sees every frame of every interface.
fn open() -> anyhow::Result<Socket> {
    let protocol = Protocol::from(i32::from(EVERY));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol));
    let socket = socket.context("cannot watch packets (it takes root, or CAP_NET_RAW)")?;
    socket.set_read_timeout(Some(POLL))?;
    // As much as the kernel allows.
    let _ = socket.set_recv_buffer_size(BUFFER);
    Ok(socket)
}

fn watch(
    socket: &Socket,
    time: Duration,
    ended: &AtomicBool,
    interfaces: &Interfaces,
    only: &BTreeSet<String>,
    learner: &mut Learner,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + time;
    let mut frame = vec![0; FRAME];
    while Instant::now() < deadline && !ended.load(Ordering::Relaxed) {
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame) {
            Ok((length, from)) => {
                let index = from.map_or(0, |from| from.ifindex());
                let name = u32::try_from(index)
                    .ok()
                    .and_then(|index| interfaces.get(index));
                let name = name.map_or("", |interface| &interface.name);
                if only.is_empty() || only.contains(name) {
                    learner.see(&frame[..length], name);
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot watch packets"),
        }
    }
    Ok(())
}
