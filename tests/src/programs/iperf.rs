//! iperf3: bulk traffic over TCP and UDP, in both directions.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::machine::namespace::{Namespace, argv};
use crate::machine::process::Process;

/// The port of iperf3.
pub const PORT: u16 = 5201;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    _process: Process,
}

impl Server {
    /// Starts one on all addresses.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let mut process = namespace.spawn(&argv(&["iperf3", "--server", "--forceflush"])?)?;
        process.wait_for("Server listening on", START_TIMEOUT)?;
        Ok(Self { _process: process })
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// A TCP connection at full speed.
    Tcp,
    /// The same for longer.
    Bulk,
    /// Datagrams at a rate that no queue on the way overflows at.
    Udp,
}

impl Load {
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["--bytes", "2M"],
            Self::Bulk => &["--bytes", "200M"],
            Self::Udp => &["--udp", "--bitrate", "40M", "--bytes", "500K"],
        }
    }
}

/// In which direction it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client sends.
    Upload,
    /// The server sends.
    Download,
}

/// Sends a load between a client and a server, and returns how many bytes (TCP) or datagrams (UDP)
/// arrived; `None` if there was no connection.
pub fn send(
    from: &Namespace,
    to: IpAddr,
    load: Load,
    direction: Direction,
    patience: Duration,
) -> Result<Option<u64>> {
    let (to, patience) = (to.to_string(), patience.as_millis().to_string());
    let mut words = vec!["iperf3", "--json", "--connect-timeout", &patience];
    words.extend(["--client", &to]);
    words.extend(load.options());
    if direction == Direction::Download {
        words.push("--reverse");
    }
    let output = from.output(&argv(&words)?)?;
    let report: Value = serde_json::from_str(&output.stdout)
        .with_context(|| format!("reading iperf3: {}{}", output.stdout, output.stderr))?;
    if let Some(error) = report["error"].as_str() {
        ensure!(error.contains("unable to connect"), "iperf3: {error}");
        return Ok(None);
    }
    let arrived = match load {
        Load::Tcp | Load::Bulk => report["end"]["sum_received"]["bytes"].as_u64(),
        Load::Udp => datagrams(&report["end"]["sum"]),
    };
    arrived
        .map(Some)
        .with_context(|| format!("iperf3 reports no result: {report}"))
}

fn datagrams(sum: &Value) -> Option<u64> {
    let (sent, lost) = (sum["packets"].as_u64()?, sum["lost_packets"].as_u64()?);
    sent.checked_sub(lost)
}
