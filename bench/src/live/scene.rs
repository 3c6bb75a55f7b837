//! A sender and a receiver with a filter: two network namespaces, joined by a veth.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use harness::machine::namespace::Namespace;
use harness::net::link::{Port, veth};
use harness::net::station::{HOST, Mac, VIM};

use super::contender::Contender;

/// Where everything is sent.
pub const RECEIVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 17);
/// First of the allowed addresses; the sender has it.
const ALLOWED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// First of the addresses that are not allowed.
const UNKNOWN: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);

/// UDP port of floods.
pub const FLOOD_PORT: u16 = 9999;
/// TCP port of requests and responses.
pub const ROUND_TRIP_PORT: u16 = 7000;
/// TCP port of iperf3.
pub const IPERF_PORT: u16 = 5201;

/// The sender's interface.
const SENDER: &str = "send0";

/// The allowed address of this number.
pub fn source(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(ALLOWED.to_bits() + number)
}

/// The first address of a flood.
pub const fn first_source(allowed: bool) -> u32 {
    if allowed {
        ALLOWED.to_bits()
    } else {
        UNKNOWN.to_bits()
    }
}

/// The two machines.
pub struct Scene {
    /// The filter on the receiver.
    pub contender: Contender,
    /// The sender.
    pub sender: Namespace,
    /// The receiver.
    pub receiver: Namespace,
    /// The receiver's interface.
    pub interface: &'static str,
}

impl Scene {
    /// Builds it, without a filter yet.
    pub fn new(contender: Contender) -> Result<Self> {
        // Different names, as the kernel's NAPI threads are named after them.
        let interface = match contender {
            Contender::Unfiltered => "open0",
            Contender::BareDrop => "drop0",
            Contender::ParseOnly => "parse0",
            Contender::BarePass => "pass0",
            Contender::Manoward => "mw0",
            Contender::ManowardNoDoor => "mwnd0",
            Contender::XdpFilter => "xdpf0",
            Contender::NftNetdev => "netdev0",
            Contender::NftInput => "inet0",
        };
        let scene = Self {
            contender,
            sender: Namespace::new("sender")?,
            receiver: Namespace::new("receiver")?,
            interface,
        };
        let near = Port {
            namespace: &scene.sender,
            name: SENDER,
            mac: VIM.mac,
            addresses: &[&format!("{}/8", source(0))],
        };
        let far = Port {
            namespace: &scene.receiver,
            name: interface,
            mac: HOST.mac,
            addresses: &[&format!("{RECEIVER_V4}/24")],
        };
        veth(&near, &far)?;
        scene.route(&scene.sender, "192.0.2.0/24", SENDER)?;
        scene.route(&scene.receiver, "10.0.0.0/8", interface)?;
        // xdp-filter drops ARP, too, when it denies by default.
        scene.neighbour(&scene.sender, RECEIVER_V4, HOST.mac, SENDER)?;
        scene.neighbour(&scene.receiver, source(0), VIM.mac, interface)?;
        // No route leads back to the sources of a flood.
        for of in ["all", interface] {
            scene
                .receiver
                .sysctl(&format!("net/ipv4/conf/{of}/rp_filter"), "0")?;
        }
        if !contender.is_xdp() {
            // Live frames arrive only at a veth that polls: one with XDP, or with GRO.
            let words = ["ethtool", "-K", interface, "gro", "on"];
            scene.receiver.run(&words)?;
        }
        Ok(scene)
    }

    fn route(&self, namespace: &Namespace, to: &str, by: &str) -> Result<()> {
        namespace
            .run(&["ip", "route", "replace", to, "dev", by])
            .with_context(|| format!("{}: a route to {to}", self.contender.name()))
            .map(drop)
    }

    fn neighbour(&self, namespace: &Namespace, of: Ipv4Addr, mac: Mac, by: &str) -> Result<()> {
        let (of, mac) = (of.to_string(), mac.to_string());
        let words = ["ip", "neighbour", "replace", &of, "lladdr", &mac];
        namespace
            .run(&[&words[..], &["dev", by, "nud", "permanent"]].concat())
            .with_context(|| format!("{}: the neighbour {of}", self.contender.name()))
            .map(drop)
    }

    /// The index of the sender's interface.
    pub fn exit(&self) -> Result<u32> {
        let path = format!("/sys/class/net/{SENDER}/ifindex");
        let text = self.sender.enter(|| fs::read_to_string(&path))?;
        let text = text.with_context(|| format!("reading {path}"))?;
        text.trim().parse().context("an index")
    }

    /// Packets that the receiver's interface has taken.
    pub fn taken(&self) -> Result<u64> {
        let path = format!("/sys/class/net/{}/statistics/rx_packets", self.interface);
        let text = self.receiver.enter(|| fs::read_to_string(&path))?;
        let text = text.with_context(|| format!("reading {path}"))?;
        text.trim().parse().context("a count")
    }

    /// Datagrams that reached a socket, whether or not its buffer had room.
    pub fn delivered(&self) -> Result<u64> {
        let path = "/proc/thread-self/net/snmp";
        let text = self.receiver.enter(|| fs::read_to_string(path))??;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = lines.next().zip(lines.next()).context("no counts of UDP")?;
        names
            .split(' ')
            .zip(values.split(' '))
            .filter(|(name, _)| ["InDatagrams", "InErrors"].contains(name))
            .map(|(_, value)| value.parse::<u64>().context("a count"))
            .sum()
    }

    /// Receives packets in a kernel thread (threaded NAPI), or, as usual, in softirqs.
    pub fn receive_in_thread(&self, threaded: bool) -> Result<()> {
        let path = format!("/sys/class/net/{}/threaded", self.interface);
        let value = if threaded { "1" } else { "0" };
        self.receiver
            .enter(|| fs::write(&path, value))?
            .with_context(|| format!("writing {path}"))
    }
}
