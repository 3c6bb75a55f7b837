//! Enrolment in network namespaces: a host with its agent, endpoints and intruders.

mod admitted;
mod floods;
mod inherited;
mod intruders;
mod log;
mod relayed;
mod sessions;
mod stalled;

use std::time::Duration;

use anyhow::Result;
use harness::net::packet::{Ethernet, Ipv4, Packet, Tcp};
use harness::net::station::{HOST, Mac};
use harness::{Namespace, Outcome};

/// How long to wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait where no answer is expected.
const SHORT: Duration = Duration::from_millis(300);
/// Longer than the idle timeout of a session.
const SILENCE: Duration = Duration::from_secs(25);
/// Longer than the lifetime of a lease.
const LEASE: Duration = Duration::from_secs(21);
/// How long `manoward join --once` may take.
const ONCE: Duration = Duration::from_secs(20);
/// Port of the service under test.
const PORT: u16 = 7000;

/// Whether the service answers.
fn connects(from: &Namespace) -> Result<bool> {
    Ok(from.tcp_connect((HOST.v4, PORT), SHORT)? == Outcome::Connected)
}

/// A SYN from the VIM's address, out of an interface with this MAC address.
fn syn(mac: Mac) -> Vec<u8> {
    let ethernet = Ethernet {
        source: mac,
        ..Ethernet::default()
    };
    let packet = Packet::new().with(ethernet).with(Ipv4::default());
    packet.with(Tcp::syn(PORT)).build()
}
