//! Connections that the host opens, with real programs, one file per program or behaviour: what the
//! policy permits works, and strangers receive nothing.

mod amqp;
mod asymmetric;
mod changes;
mod dhcp;
mod dns;
mod flood;
mod forged;
mod fragments;
mod idle;
mod iperf;
mod listed;
mod ntp;
mod path_mtu;
mod reuse;
mod scans;
mod sctp;
mod simultaneous;
mod super_packets;
mod taking_over;
mod unasked;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use harness::net::link::{self, Port};
use harness::net::stack_counter::StackCounter;
use harness::net::station::{HOST, NIC, Station};
use harness::{Namespace, Policy, Topology};

/// Timeout for what must succeed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Timeout for what must fail.
const SHORT: Duration = Duration::from_millis(1500);

/// The VIM under both of its addresses, from its own interface alone.
const BOUND_VIM: &str = "{ vim-1: { role: vim, mac: 52:54:00:aa:bb:01,
                                    addresses: [192.0.2.10, \"2001:db8:0:17::10\"] } }";

/// Port of a service of the VIM that the host connects to.
const BUS_PORT: u16 = 7001;

/// Definition of that service.
const BUS: &str = "{ bus: { protocol: tcp, ports: [7001] } }";

/// A policy under which the VIM may log in, and the host may use these services of the VIM, some of
/// them defined here.
fn outbound(services: &str, definitions: &str) -> String {
    outbound_with(services, definitions, "")
}

/// [`outbound`] with `more` lines.
fn outbound_with(services: &str, definitions: &str, more: &str) -> String {
    let reference_points = format!(
        "{{ Nf-Vi: {{ from: [vim], services: [ssh] }},
            Nf-Vi-out: {{ to: [vim], services: {services} }} }}"
    );
    let policy = Policy {
        endpoints: BOUND_VIM,
        reference_points: &reference_points,
        services: definitions,
        more,
        ..Policy::default()
    };
    policy.to_string()
}

/// Both addresses of a station.
fn addresses(station: Station) -> [IpAddr; 2] {
    [station.v4.into(), station.v6.into()]
}

/// A host with these addresses, and the only peer on its link.
fn pair(host_addresses: &[&str], peer: Station) -> Result<(Namespace, Namespace)> {
    let (host, other) = (Namespace::new(HOST.label)?, Namespace::new(peer.label)?);
    let addresses = [format!("{}/24", peer.v4), format!("{}/64", peer.v6)];
    link::veth(
        &Port {
            namespace: &host,
            name: NIC,
            mac: HOST.mac,
            addresses: host_addresses,
        },
        &Port {
            namespace: &other,
            name: NIC,
            mac: peer.mac,
            addresses: &addresses.each_ref().map(String::as_str),
        },
    )?;
    Ok((host, other))
}

/// Both ends of a new connection: the client's, and the server's.
fn connection(
    from: &Namespace,
    to: &Namespace,
    address: impl Into<SocketAddr>,
) -> Result<[TcpStream; 2]> {
    let address = address.into();
    let listener = to.tcp_listener(address)?;
    let near = from.tcp_stream(address, PATIENCE)??;
    let (far, _) = listener.accept()?;
    Ok([near, far])
}

/// Whether data of the far end reaches the near end.
fn receives([near, far]: &mut [TcpStream; 2]) -> Result<bool> {
    far.write_all(b"news")?;
    near.set_read_timeout(Some(SHORT))?;
    let mut heard = [0; 4];
    Ok(near.read_exact(&mut heard).is_ok() && &heard == b"news")
}

/// How many packets of the host reach a listener while `run` runs.
fn packets_from_host(listener: &Namespace, run: impl FnOnce() -> Result<()>) -> Result<u64> {
    let seen = StackCounter::of_any(listener, &addresses(HOST))?;
    run()?;
    seen.packets()
}

/// Gives the intruder the VIM's IPv4 address, under the intruder's own MAC address.
fn take_vim_address(scene: &Topology) -> Result<()> {
    let ip = |namespace: &Namespace, script| namespace.feed(&["ip", "-batch", "-"], script);
    ip(&scene.vim, "address del 192.0.2.10/24 dev eth0\n")?;
    ip(&scene.intruder, "address add 192.0.2.10/24 dev eth0\n")?;
    ip(&scene.host, "neigh flush dev eth0\n")?;
    Ok(())
}
