//! A watch over a host while something happens to its agent: all the time an intruder tries SSH,
//! and the VIM exchanges data with a service.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::machine::wait;
use crate::net::packet::{Ethernet, Ipv4, Packet, Tcp};
use crate::net::socket::Outcome;
use crate::net::stack_counter::StackCounter;
use crate::net::station::{HOST, INTRUDER, NIC};
use crate::net::traffic::{Flood, Stream};
use crate::net::wire::Wire;
use crate::programs::openssh;
use crate::scene::topology::Topology;

/// Where the VIM talks to the host: the service `control` of the policy that most tests begin with.
pub const STREAM: SocketAddr = SocketAddr::new(IpAddr::V4(HOST.v4), 7000);

const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait where no answer is expected.
const SHORT: Duration = Duration::from_millis(300);

/// A SYN from the intruder to the host's SSH.
#[must_use]
pub fn intruder_syn() -> Vec<u8> {
    Packet::new()
        .with(Ethernet {
            source: INTRUDER.mac,
            ..Ethernet::default()
        })
        .with(Ipv4::between(INTRUDER.v4, HOST.v4))
        .with(Tcp::syn(openssh::PORT))
        .build()
}

/// Waits until 100 more frames of the flood and 10 more rounds of the stream have passed.
pub fn await_traffic(flood: &Flood, stream: &Stream) -> Result<()> {
    let (sent, rounds) = (flood.sent() + 100, stream.rounds() + 10);
    wait::until(&true, PATIENCE, || {
        Ok(flood.sent() > sent && stream.rounds() > rounds)
    })
}

/// Checks that a new connection of the intruder's is dropped, and one of the VIM's is accepted.
pub fn enforced(scene: &Topology) -> Result<()> {
    let _ssh = scene.host.tcp_listener((HOST.v4, openssh::PORT))?;
    let outcomes = (
        openssh::connect(&scene.intruder, SHORT)?,
        openssh::connect(&scene.vim, PATIENCE)?,
    );
    ensure!(
        outcomes == (Outcome::TimedOut, Outcome::Connected),
        "the intruder and the VIM: {outcomes:?}"
    );
    Ok(())
}

/// A watch that goes on until it is ended.
#[derive(Debug)]
pub struct Watch<'a> {
    scene: &'a Topology,
    seen: StackCounter<'a>,
    flood: Flood,
    stream: Stream,
    ssh: TcpListener,
}

impl<'a> Watch<'a> {
    /// Begins.
    pub fn begin(scene: &'a Topology) -> Result<Self> {
        let watch = Self {
            scene,
            seen: StackCounter::of(&scene.host, INTRUDER.v4)?,
            flood: Flood::start(Wire::open(&scene.intruder, NIC)?, vec![intruder_syn()]),
            stream: Stream::start(&scene.vim, &scene.host, STREAM)?,
            ssh: scene.host.tcp_listener((HOST.v4, openssh::PORT))?,
        };
        await_traffic(&watch.flood, &watch.stream)?;
        Ok(watch)
    }

    /// Waits for more traffic: nothing of the intruder's may arrive, and the VIM must get answers.
    pub fn check(&self) -> Result<()> {
        await_traffic(&self.flood, &self.stream)?;
        let seen = self.seen.packets()?;
        ensure!(seen == 0, "{seen} packets of the intruder's have arrived");
        Ok(())
    }

    /// Ends. Nothing of the intruder's may have arrived, the VIM must not have been interrupted,
    /// and new connections must be decided in the same way.
    pub fn end(self) -> Result<()> {
        self.check()?;
        self.stream.stop()?;
        let sent = self.flood.stop()?;
        let seen = self.seen.packets()?;
        ensure!(seen == 0, "{seen} of {sent} packets have arrived");
        drop(self.ssh);
        enforced(self.scene)
    }
}
