//! A host and a peer, each a network namespace, with real drivers at both ends of three cables.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::net::station::{HOST, INTRUDER, VIM};
use harness::{Namespace, Outcome};

/// Number of cables. The emulator gives both ends of the cable N a MAC address that ends in N.
const CABLES: u8 = 3;

/// What the emulator's MAC addresses begin with, at the host's end and at the peer's.
const HOST_MACS: &str = "52:54:00:00:01";
const PEER_MACS: &str = "52:54:00:00:02";

/// SSH, which the policy lets the VIM use.
const SSH: u16 = 22;
/// AMQP, which it lets the host use at the VIM.
const AMQPS: u16 = 5671;

/// How long the link may take to come up.
const LINK_PATIENCE: Duration = Duration::from_secs(40);
const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(1500);

/// Both machines.
#[derive(Debug)]
pub struct Scene {
    /// The protected host.
    pub host: Namespace,
    /// VIM and intruder: two addresses of one machine.
    pub peer: Namespace,
}

impl Scene {
    /// Plugs `nic1` to `nic3` of both machines.
    pub fn new() -> Result<Self> {
        let scene = Self {
            host: Namespace::new("host")?,
            peer: Namespace::new("peer")?,
        };
        for number in 1..=CABLES {
            plug(&scene.host, HOST_MACS, number)?;
            plug(&scene.peer, PEER_MACS, number)?;
        }
        Ok(scene)
    }

    /// Runs the same lines of `ip` on both machines, and gives `device` their addresses.
    pub fn build(&self, lines: &str, device: &str) -> Result<()> {
        let addressed = |address: Ipv4Addr| format!("address add {address}/24 dev {device}\n");
        let ip = ["ip", "-batch", "-"];
        self.host
            .feed(&ip, &format!("{lines}{}", addressed(HOST.v4)))?;
        let peers = [addressed(VIM.v4), addressed(INTRUDER.v4)].concat();
        self.peer.feed(&ip, &format!("{lines}{peers}"))?;
        Ok(())
    }

    /// Undoes what [`Self::build`] did, as far as it was done.
    pub fn clear(&self) -> Result<()> {
        let mut lines = String::new();
        for device in ["bond0.17", "nic1.17", "nic3.17", "bond0", "br-mgmt"] {
            let _ = writeln!(lines, "link delete {device}");
        }
        for number in 1..=CABLES {
            let _ = writeln!(
                lines,
                "link set nic{number} down\n\
                 link set nic{number} mtu 1500\n\
                 address flush dev nic{number}"
            );
        }
        for machine in [&self.host, &self.peer] {
            // Most of these devices do not exist.
            let ip = harness::machine::namespace::argv(&["ip", "-force", "-batch", "-"])?;
            machine.spawn_fed(&ip, &lines)?.finish(PATIENCE)?;
        }
        Ok(())
    }

    /// Waits until the intruder gets through, as nothing is enforced yet.
    pub fn await_link(&self) -> Result<()> {
        let _ssh = self.host.tcp_listener((HOST.v4, SSH))?;
        let deadline = Instant::now() + LINK_PATIENCE;
        while !self.enters(INTRUDER.v4, SHORT) {
            ensure!(
                Instant::now() < deadline,
                "the machines do not reach each other"
            );
        }
        Ok(())
    }

    /// Checks that the VIM reaches the host and the intruder does not, and that the host reaches
    /// the VIM and not the intruder.
    pub fn expect_enforced(&self) -> Result<()> {
        let _ssh = self.host.tcp_listener((HOST.v4, SSH))?;
        ensure!(self.enters(VIM.v4, PATIENCE), "the VIM does not get in");
        ensure!(!self.enters(INTRUDER.v4, SHORT), "the intruder gets in");
        let _bus = self.peer.tcp_listener((VIM.v4, AMQPS))?;
        let _fake = self.peer.tcp_listener((INTRUDER.v4, AMQPS))?;
        let out = |to, patience| self.host.tcp_connect((to, AMQPS), patience);
        ensure!(
            out(VIM.v4, PATIENCE)? == Outcome::Connected,
            "the host does not reach the VIM"
        );
        ensure!(
            out(INTRUDER.v4, SHORT)? != Outcome::Connected,
            "the host reaches the intruder"
        );
        Ok(())
    }

    /// Whether a connection from this address of the peer's is accepted in time.
    fn enters(&self, from: Ipv4Addr, patience: Duration) -> bool {
        let to = SocketAddr::from((HOST.v4, SSH));
        // Before the link is up there is no route at all.
        let begun = self.peer.tcp_begin((from, 0), to, patience);
        begun.is_ok_and(|mut stream| stream.write_all(b"SSH-2.0-guest\r\n").is_ok())
    }

    /// Sends `bytes` bytes from the VIM to the host in one connection; returns how many arrive.
    pub fn transfer(&self, bytes: usize) -> Result<usize> {
        let listener = self.host.tcp_listener((HOST.v4, SSH))?;
        let to = SocketAddr::from((HOST.v4, SSH));
        let mut sender = self.peer.tcp_begin((VIM.v4, 0), to, PATIENCE)?;
        let sending = std::thread::spawn(move || sender.write_all(&vec![0; bytes]));
        let (mut receiver, _) = listener.accept().context("accepting")?;
        receiver
            .set_read_timeout(Some(PATIENCE))
            .context("setting a timeout")?;
        let mut text = Vec::new();
        // After a timeout, what has arrived counts.
        let _ = receiver.read_to_end(&mut text);
        let _ = sending.join();
        Ok(text.len())
    }
}

/// Gives an interface of the emulator's to a machine, as `nicN`.
fn plug(machine: &Namespace, macs: &str, number: u8) -> Result<()> {
    let mac = format!("{macs}:{number:02x}");
    let name = named(&mac)?.with_context(|| format!("there is no interface {mac}"))?;
    let path = machine.path();
    let nic = format!("nic{number}");
    let status = Command::new("ip")
        .args(["link", "set", &name, "name", &nic, "netns"])
        .arg(path)
        .status()
        .context("starting ip")?;
    ensure!(status.success(), "{name} cannot be given away");
    Ok(())
}

fn named(mac: &str) -> Result<Option<String>> {
    for entry in fs::read_dir("/sys/class/net").context("listing interfaces")? {
        let entry = entry.context("listing interfaces")?;
        let address = fs::read_to_string(entry.path().join("address")).unwrap_or_default();
        if address.trim() == mac {
            return Ok(Some(entry.file_name().to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
