//! The filters that are compared, and how each is configured.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::programs::{Xdp, XdpMode};
use harness::agent::{Agent, Hook};
use serde::{Deserialize, Serialize};

use super::scene::{FLOOD_PORT, IPERF_PORT, RECEIVER_V4, ROUND_TRIP_PORT, Scene, source};
use super::{ADDRESSES, Fate};
use crate::packets::open;

/// A filter that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// No filter.
    Unfiltered,
    /// A program that only returns `XDP_DROP`.
    BareDrop,
    /// A program that reads the headers, and drops.
    ParseOnly,
    /// A program that only returns `XDP_PASS`.
    BarePass,
    /// The agent, with a policy.
    Manoward,
    /// The same without programs at the sockets.
    ManowardNoDoor,
    /// xdp-filter of xdp-tools, configured to deny by default.
    XdpFilter,
    /// nftables at the netdev ingress hook, with a set.
    NftNetdev,
    /// nftables at the input hook of the family inet, with a set.
    NftInput,
}

impl Contender {
    /// All that take part.
    pub fn all(peers: bool) -> Vec<Self> {
        let mut all = vec![
            Self::Unfiltered,
            Self::BareDrop,
            Self::ParseOnly,
            Self::BarePass,
            Self::Manoward,
            Self::ManowardNoDoor,
        ];
        if peers {
            all.extend([Self::XdpFilter, Self::NftNetdev, Self::NftInput]);
        }
        all
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unfiltered => "no filter",
            Self::BareDrop => "bare XDP_DROP",
            Self::ParseOnly => "headers read, XDP_DROP",
            Self::BarePass => "bare XDP_PASS",
            Self::Manoward => "manoward",
            Self::ManowardNoDoor => "manoward, no inner door",
            Self::XdpFilter => "xdp-filter",
            Self::NftNetdev => "nftables, netdev ingress",
            Self::NftInput => "nftables, inet input",
        }
    }

    /// The floods that it is measured with.
    pub const fn fates(self) -> &'static [Fate] {
        match self {
            Self::Unfiltered | Self::BarePass => &[Fate::Passed],
            Self::BareDrop | Self::ParseOnly => &[Fate::Dropped],
            _ => &[Fate::Dropped, Fate::Passed],
        }
    }

    /// Whether it is a baseline, not a filter.
    pub const fn is_floor(self) -> bool {
        matches!(
            self,
            Self::Unfiltered | Self::BareDrop | Self::ParseOnly | Self::BarePass
        )
    }

    /// Whether connections get through.
    pub const fn connects(self) -> bool {
        !matches!(self, Self::BareDrop | Self::ParseOnly)
    }

    /// Whether it uses XDP.
    pub const fn is_xdp(self) -> bool {
        matches!(
            self,
            Self::BareDrop
                | Self::ParseOnly
                | Self::BarePass
                | Self::Manoward
                | Self::ManowardNoDoor
                | Self::XdpFilter
        )
    }
}

/// A running filter; it ends when this is dropped.
pub enum Guard<'a> {
    /// No filter, or one that ends with its namespace.
    None,
    /// A program that is attached by its link.
    Program { _ebpf: Ebpf },
    /// The agent.
    Agent { _agent: Agent<'a> },
}

impl<'a> Guard<'a> {
    /// Starts filtering in a scene.
    pub fn start(scene: &'a Scene, driver: &Path) -> Result<Self> {
        match scene.contender {
            Contender::Unfiltered => {}
            Contender::BareDrop => return attach(scene, driver, "bare_single"),
            Contender::ParseOnly => return attach(scene, driver, "parse_frags"),
            Contender::BarePass => return attach(scene, driver, "bare_pass"),
            Contender::Manoward => return agent(scene, "door: enforce\n"),
            Contender::ManowardNoDoor => return agent(scene, "door: off\n"),
            Contender::XdpFilter => xdp_filter(scene)?,
            Contender::NftNetdev => nft(scene, &netdev(scene.interface))?,
            Contender::NftInput => nft(scene, &input())?,
        }
        Ok(Self::None)
    }
}

fn agent<'a>(scene: &'a Scene, door: &str) -> Result<Guard<'a>> {
    let policy = policy(scene.interface);
    let agent = Agent::start_with(&scene.receiver, &policy, Hook::Xdp, door)?;
    Ok(Guard::Agent { _agent: agent })
}

fn attach<'a>(scene: &Scene, driver: &Path, name: &str) -> Result<Guard<'a>> {
    let load = || -> Result<Ebpf> {
        let mut ebpf = open(driver)?;
        let program = ebpf.program_mut(name);
        let program: &mut Xdp = program.context("no such program")?.try_into()?;
        program.load()?;
        program.attach(scene.interface, XdpMode::Driver)?;
        Ok(ebpf)
    };
    let ebpf = scene.receiver.enter(load)??;
    Ok(Guard::Program { _ebpf: ebpf })
}

/// The allowed addresses, separated by commas.
fn addresses() -> String {
    let mut text = String::new();
    for number in 0..ADDRESSES {
        let comma = if number == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{}", source(number));
    }
    text
}

fn policy(interface: &str) -> String {
    format!(
        "apiVersion: manoward/v1\nname: bench\nserial: 1\nmode: enforce\n\
         interfaces: [{interface}]\nprotect: [{RECEIVER_V4}]\n\
         endpoints: {{ vim: {{ role: vim, addresses: [{}] }} }}\n\
         reference_points: {{ Nf-Vi: {{ from: [vim], services: [bench] }} }}\n\
         services: {{ bench: [ {{ protocol: udp, ports: [{FLOOD_PORT}] }}, \
         {{ protocol: tcp, ports: [{ROUND_TRIP_PORT}, {IPERF_PORT}] }} ] }}\n",
        addresses()
    )
}

fn xdp_filter(scene: &Scene) -> Result<()> {
    let interface = scene.interface;
    let words = ["xdp-filter", "load", "--mode", "native", "--policy", "deny"];
    let words = [&words[..], &["--features", "ipv4", interface]].concat();
    scene.receiver.run(&words)?;
    for number in 0..ADDRESSES {
        let address = source(number).to_string();
        let words = ["xdp-filter", "ip", "--mode", "src", &address];
        scene.receiver.run(&words)?;
    }
    Ok(())
}

fn nft(scene: &Scene, rules: &str) -> Result<()> {
    scene.receiver.feed(&["nft", "-f", "-"], rules).map(drop)
}

/// The nftables rules that accept packets from the allowed addresses.
fn accepted() -> String {
    format!(
        "ip saddr @allowed udp dport {FLOOD_PORT} accept\n\
         ip saddr @allowed tcp dport {{ {ROUND_TRIP_PORT}, {IPERF_PORT} }} accept\n"
    )
}

fn netdev(interface: &str) -> String {
    format!(
        "table netdev filter {{\n\
         set allowed {{ type ipv4_addr; elements = {{ {} }} }}\n\
         chain ingress {{ type filter hook ingress device {interface} priority 0; policy accept;\n\
         {}meta protocol ip drop\n}}\n}}\n",
        addresses(),
        accepted()
    )
}

fn input() -> String {
    format!(
        "table inet filter {{\n\
         set allowed {{ type ipv4_addr; elements = {{ {} }} }}\n\
         chain input {{ type filter hook input priority 0; policy drop;\n\
         {}}}\n}}\n",
        addresses(),
        accepted()
    )
}
