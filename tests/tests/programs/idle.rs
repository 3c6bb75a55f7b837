//! Connections that are idle for longer than a flow is remembered.

use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::net::station::VIM;
use harness::{Agent, Topology};
use socket2::{SockRef, TcpKeepalive};

use crate::{BUS_PORT, addresses, connection, outbound_with, receives};

const QUESTION_PORT: u16 = 7002;
const SERVICES: &str =
    "{ bus: { protocol: tcp, ports: [7001] }, questions: { protocol: udp, ports: [7002] } }";

/// So long an answer is waited for.
const ANSWERED: Duration = Duration::from_millis(500);

/// So long the policy remembers a flow.
const TIMEOUTS: &str =
    "flow_timeouts: { tcp-established: 5s, tcp-closing: 5s, udp-established: 5s }";

/// More than that.
const IDLE: Duration = Duration::from_secs(8);

fn keep_alive(stream: &TcpStream) -> Result<()> {
    let second = Duration::from_secs(1);
    let every_second = TcpKeepalive::new().with_time(second).with_interval(second);
    SockRef::from(stream).set_tcp_keepalive(&every_second)?;
    Ok(())
}

/// A socket's connection does not end because nobody says anything; with no agent that looks at the sockets, it
/// does, unless keepalive speaks.
#[test]
fn silence_ends_a_flow_where_no_agent_finds_its_socket() -> Result<()> {
    let scene = Topology::new()?;
    let policy = outbound_with("[bus, questions]", SERVICES, TIMEOUTS);
    let mut agent = Agent::start(&scene.host, &policy)?;
    let mut pairs = Vec::new();
    for vim in addresses(VIM) {
        let vim = SocketAddr::new(vim, BUS_PORT);
        let open = || connection(&scene.host, &scene.vim, vim);
        let (kept, mut silent, mut half_closed) = (open()?, open()?, open()?);
        keep_alive(&kept[0])?;
        for open in [&mut silent, &mut half_closed] {
            assert!(receives(open)?, "{vim}: before it is idle");
        }
        half_closed[0].shutdown(Shutdown::Write)?;
        let asked = Asked::new(&scene, vim.ip())?;
        pairs.push((vim, kept, silent, half_closed, asked));
    }
    thread::sleep(IDLE);
    for (vim, kept, silent, half_closed, asked) in &mut pairs {
        assert!(receives(kept)?, "{vim}: with keepalive");
        assert!(receives(silent)?, "{vim}: without keepalive");
        assert!(receives(half_closed)?, "{vim}: after the host's FIN");
        assert!(asked.is_answered()?, "{vim}: by a connected socket");
    }
    agent.kill9();
    thread::sleep(IDLE);
    for (vim, kept, silent, half_closed, asked) in &mut pairs {
        assert!(receives(kept)?, "{vim}: with keepalive, without an agent");
        assert!(!receives(silent)?, "{vim}: without an agent");
        assert!(
            !receives(half_closed)?,
            "{vim}: after the host's FIN, without an agent"
        );
        assert!(
            !asked.is_answered()?,
            "{vim}: by a connected socket, without an agent"
        );
    }
    Ok(())
}

/// A datagram socket of the host's that is connected to one of the peer's, and has been answered.
struct Asked {
    host: UdpSocket,
    peer: UdpSocket,
}

impl Asked {
    fn new(scene: &Topology, vim: IpAddr) -> Result<Self> {
        let any = if vim.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let host = scene.host.udp(any.parse::<SocketAddr>()?, ANSWERED)?;
        let peer = scene.vim.udp((vim, QUESTION_PORT), ANSWERED)?;
        host.connect((vim, QUESTION_PORT))?;
        host.send(b"question")?;
        let (_, from) = peer.recv_from(&mut [0; 16])?;
        peer.connect(from)?;
        let asked = Self { host, peer };
        ensure!(asked.is_answered()?, "{vim}: at once");
        Ok(asked)
    }

    /// Whether what the peer sends arrives.
    fn is_answered(&self) -> Result<bool> {
        self.peer.send(b"answer")?;
        Ok(self.host.recv(&mut [0; 16]).is_ok())
    }
}
