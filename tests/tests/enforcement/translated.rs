//! Addresses that the host itself translates, where only its sockets are protected: a cluster's service
//! addresses, and masquerading.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::agent::Hook;
use harness::net::station::GUEST;
use harness::{Agent, Namespace, Outcome, Policy, Topology};

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);

/// The API and the names of a cluster, and where they really are: at the guest.
const API_V4: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
const API_V6: Ipv6Addr = Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1);
const API: u16 = 6443;
const NAMES: u16 = 5353;

/// An address of the host that leaves it only masqueraded.
const HIDDEN: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// As kube-proxy has them.
const RULES: &str = "
    table ip cluster {
      chain output {
        type nat hook output priority -100
        ip daddr 10.96.0.1 tcp dport 443 dnat to 203.0.113.10:6443
        ip daddr 10.96.0.1 tcp dport 22 dnat to 203.0.113.10:22
        ip daddr 10.96.0.1 udp dport 53 dnat to 203.0.113.10:5353
      }
      chain postrouting {
        type nat hook postrouting priority 100
        ip saddr 10.244.0.1 masquerade random
      }
    }
    table ip6 cluster {
      chain output {
        type nat hook output priority -100
        ip6 daddr fd96::1 tcp dport 443 dnat to [2001:db8:0:113::10]:6443
        ip6 daddr fd96::1 udp dport 53 dnat to [2001:db8:0:113::10]:5353
      }
    }";

/// A host that translates what it sends to its guest, over an interface that nobody named.
fn translating() -> Result<Topology> {
    let scene = Topology::new()?;
    let host = &scene.host;
    host.run(&["ip", "address", "add", "10.244.0.1/32", "dev", "lo"])?;
    host.run(&["ip", "route", "add", "10.96.0.0/16", "dev", "vnet0"])?;
    host.run(&["ip", "route", "add", "fd96::/64", "dev", "vnet0"])?;
    host.feed(&["nft", "-f", "-"], RULES)?;
    Ok(scene)
}

/// The host may use the API and the names at the guest, and nothing else.
fn policy(endpoints: &str) -> Policy<'_> {
    Policy {
        endpoints,
        reference_points: "{ out: { to: [vim], services: [api, names] } }",
        services: "{ api: { protocol: tcp, ports: [6443] }, names: { protocol: udp, ports: [5353] } }",
        more: "outbound: enforce",
        ..Policy::default()
    }
}

fn endpoints() -> String {
    format!(
        "{{ cluster: {{ role: vim, addresses: [{}, \"{}\"] }} }}",
        GUEST.v4, GUEST.v6
    )
}

/// Says a word over a connection, in both directions.
fn talks(host: &Namespace, at: &TcpListener, to: SocketAddr) -> Result<()> {
    let mut near = host.tcp_stream(to, PATIENCE)?.context("connecting")?;
    let (mut far, _) = at.accept()?;
    far.set_read_timeout(Some(PATIENCE))?;
    let mut word = [0; 4];
    for _ in 0..3 {
        near.write_all(b"ask?")?;
        far.read_exact(&mut word)?;
        far.write_all(b"yes!")?;
        near.read_exact(&mut word).context("reading the answer")?;
    }
    Ok(())
}

/// Whether what `server` answers to a datagram that it has received reaches `socket`.
fn is_answered(server: &UdpSocket, socket: &UdpSocket) -> Result<bool> {
    let (_, from) = server.recv_from(&mut [0; 64]).context("the question")?;
    server.send_to(b"answer", from)?;
    received(socket)
}

fn received(socket: &UdpSocket) -> Result<bool> {
    match socket.recv_from(&mut [0; 64]) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

#[test]
fn what_the_host_opens_through_a_clusters_addresses_goes_on_working() -> Result<()> {
    let scene = translating()?;
    let (host, guest) = (&scene.host, &scene.guest);
    let endpoints = endpoints();
    let policy = policy(&endpoints).to_string();
    let agent = Agent::start_with(host, &policy, Hook::Xdp, "door: enforce\n")?;
    let pairs: [(IpAddr, IpAddr); 2] = [
        (API_V4.into(), GUEST.v4.into()),
        (API_V6.into(), GUEST.v6.into()),
    ];
    for (seen, real) in pairs {
        let api = guest.tcp_listener((real, API))?;
        talks(host, &api, (seen, 443).into()).with_context(|| format!("{seen}"))?;

        let names = guest.udp((real, NAMES), PATIENCE)?;
        let any: IpAddr = if seen.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = host.udp((any, 0), SHORT)?;
        host.enter(|| socket.connect((seen, 53)))??;
        for _ in 0..2 {
            socket.send(b"question")?;
            assert!(is_answered(&names, &socket)?, "{seen}");
        }
    }
    let counters = agent.counters()?;
    assert!(counters.at_door("established") > 0 && counters.at_door("outbound") > 0);

    // What the policy does not name is refused there, as anywhere.
    let _ssh = guest.tcp_listener((GUEST.v4, 22))?;
    let outcome = host.tcp_connect((API_V4, 22), SHORT)?;
    assert_eq!(outcome, Outcome::TimedOut);
    Ok(())
}

#[test]
fn what_is_masqueraded_goes_on_working() -> Result<()> {
    let scene = translating()?;
    let (host, guest) = (&scene.host, &scene.guest);
    let endpoints = endpoints();
    let masqueraded = policy(&endpoints);
    // Where the address in front of the other is not protected, neither is what is for it.
    let listed = Policy {
        protect: "[192.0.2.17, 10.244.0.1]",
        ..masqueraded.clone()
    };
    for policy in [masqueraded, listed] {
        let agent = Agent::start_with(host, &policy.to_string(), Hook::Xdp, "door: enforce\n")?;
        let api = guest.tcp_listener((GUEST.v4, API))?;
        let mut near = host.tcp_begin((HIDDEN, 0), (GUEST.v4, API), PATIENCE)?;
        near.write_all(b"ask?").context(policy.protect.to_owned())?;
        drop((near, api));

        // One socket asks two servers, without a connection.
        let socket = host.udp((HIDDEN, 0), SHORT)?;
        let servers = [
            guest.udp((GUEST.v4, NAMES), PATIENCE)?,
            guest.udp((GUEST.v4, NAMES + 1), PATIENCE)?,
        ];
        host.enter(|| socket.send_to(b"question", (GUEST.v4, NAMES)))??;
        let (_, from) = servers[0].recv_from(&mut [0; 64])?;
        assert_ne!(from, socket.local_addr()?, "it is masqueraded");
        // A stranger's word to the same port reaches nobody.
        servers[1].send_to(b"unasked", from)?;
        assert!(!received(&socket)?, "{}", policy.protect);
        servers[0].send_to(b"answer", from)?;
        assert!(received(&socket)?, "{}", policy.protect);
        drop(agent);
    }
    Ok(())
}
