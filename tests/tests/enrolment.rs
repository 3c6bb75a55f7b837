//! Endpoints that prove who they are, with real certificates over real QUIC.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use harness::agent::{self, Hook};
use harness::packet::{Ethernet, Ipv4, Packet, Tcp, Udp};
use harness::process::Process;
use harness::scratch::Scratch;
use harness::station::{HOST, INTRUDER, Mac, VIM};
use harness::topology::NIC;
use harness::wire::Wire;
use harness::{Agent, Namespace, Outcome, Policy, Topology, wait};
use manoward::enrolment::wire;
use manoward::pki::{Authority, Issued, Name, Options, Reason, Request, Which};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(3);
const SHORT: Duration = Duration::from_millis(300);
/// Longer than a session lasts in silence.
const SILENCE: Duration = Duration::from_secs(25);
const PORT: u16 = 7000;

const IDENTITY: &str = "spiffe://operator.example/vim/1";

/// An operator's authority, with the host's certificate and the VIM's.
struct Operator {
    folder: Scratch,
    authority: Authority,
    host: Issued,
    vim: Issued,
}

impl Operator {
    fn new() -> Result<Self> {
        let folder = Scratch::new("pki")?;
        let authority = Authority::create(&folder.join("ca"), &Options::default())?;
        let names = [Name::Ip(HOST.v4.into()), Name::Ip(HOST.v6.into())];
        let host = authority.issue(&Request::host("compute-17", names), folder.path())?;
        let vim = Request::endpoint("vim-1", [Name::uri(IDENTITY)?]);
        let vim = authority.issue(&vim, folder.path())?;
        Ok(Self {
            folder,
            authority,
            host,
            vim,
        })
    }

    /// A certificate of another role's.
    fn other(&self) -> Result<Issued> {
        let name = Name::uri("spiffe://operator.example/bastion/1")?;
        let request = Request::endpoint("bastion-1", [name]);
        Ok(self.authority.issue(&request, self.folder.path())?)
    }

    /// An agent that knows the authority, with the policy.
    fn agent<'a>(&self, host: &'a Namespace) -> Result<Agent<'a>> {
        Agent::start_with(host, &policy().to_string(), Hook::Xdp, &self.settings())
    }

    /// The agent's configuration.
    fn settings(&self) -> String {
        format!(
            "enrolment:\n  certificate: {}\n  key: {}\n  ca: {}\n  crls: [{}]\n  lease: 20\n",
            self.host.certificate.display(),
            self.host.key.display(),
            self.authority.bundle().display(),
            self.authority.crl().display(),
        )
    }

    /// Has an endpoint with this certificate join the host.
    fn join(&self, from: &Namespace, certificate: &Issued, words: &[&str]) -> Result<Process> {
        let mut command = Command::new(agent::binary()?);
        command
            .args(["join", "--to", &HOST.v4.to_string()])
            .arg("--cert")
            .arg(&certificate.certificate)
            .arg("--key")
            .arg(&certificate.key)
            .arg("--ca")
            .arg(self.authority.bundle())
            .args(words);
        from.spawn(&command)
    }

    fn crl(&self) -> PathBuf {
        self.authority.crl().to_owned()
    }
}

fn policy() -> Policy<'static> {
    Policy {
        endpoints: "{ vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8:0:17::10\"],
            authenticate: certificate, identity: \"spiffe://operator.example/vim/1\" } }",
        reference_points: "{ Nf-Vi: { from: [vim], services: [control] } }",
        ..Policy::default()
    }
}

fn leases(agent: &Agent<'_>) -> Result<usize> {
    let list = agent.ask_json(&["lease", "list"])?;
    Ok(list["leases"].as_array().context("a list")?.len())
}

fn await_leases(agent: &Agent<'_>, count: usize, patience: Duration) -> Result<()> {
    wait::until(&count, patience, || leases(agent))
}

fn connects(from: &Namespace) -> Result<bool> {
    Ok(from.tcp_connect((HOST.v4, PORT), SHORT)? == Outcome::Connected)
}

#[test]
fn an_endpoint_gets_in_while_it_holds_a_lease() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host)?;
    assert!(!connects(&scene.vim)?, "it has proven nothing");
    agent.await_any("Nf-Vi", "no-lease")?;

    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    await_leases(&agent, 1, PATIENCE)?;
    assert!(connects(&scene.vim)?);
    let list = agent.ask_json(&["lease", "list"])?;
    let lease = &list["leases"][0];
    assert_eq!(lease["endpoint"], "vim-1");
    assert_eq!(lease["identity"], IDENTITY);
    assert_eq!(lease["address"], VIM.v4.to_string());
    assert_eq!(lease["mac"], VIM.mac.to_string());
    assert_eq!(lease["interface"], NIC);

    // The same address from another MAC address has proven nothing.
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    intruder.send(&syn(INTRUDER.mac))?;
    agent.await_packets("Nf-Vi", "wrong-mac", 1)?;

    // What is open is cut with the lease.
    let stream = scene.vim.tcp_stream((HOST.v4, PORT), PATIENCE)?;
    let mut stream = stream.map_err(|outcome| anyhow!("the connection {outcome:?}"))?;
    stream.write_all(b"in")?;
    let mut accepted = listener.accept()?.0;
    accepted.set_read_timeout(Some(SHORT))?;
    // Those that wait before it were closed at once.
    while accepted.read_exact(&mut [0; 2]).is_err() {
        accepted = listener.accept()?.0;
        accepted.set_read_timeout(Some(SHORT))?;
    }
    let revoked = agent.ask_json(&["lease", "revoke", "vim-1"])?;
    assert_eq!(revoked["leases"], 1);
    stream.write_all(b"in")?;
    assert!(accepted.read_exact(&mut [0; 2]).is_err(), "it was cut");
    assert!(!connects(&scene.vim)?);
    assert_eq!(leases(&agent)?, 0);
    join.kill();
    Ok(())
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

#[test]
fn who_proves_somebody_else_or_nothing_does_not_get_in() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host)?;
    let stranger = Operator::new()?;
    let other = operator.other()?;
    for (certificate, reason) in [
        (&other, "no-matching-identity"),
        (&stranger.vim, "unknown-ca"),
    ] {
        let join = operator.join(&scene.vim, certificate, &["--once"])?;
        let output = join.finish(Duration::from_secs(20))?;
        assert!(!output.status.success(), "{reason}: {}", output.stdout);
        assert!(!connects(&scene.vim)?, "{reason}");
        let list = agent.ask_json(&["lease", "list"])?;
        let refused = list["refused"].as_array().context("a list")?;
        assert!(
            refused.iter().any(|counted| counted["reason"] == reason),
            "{reason}: {list}"
        );
    }
    // Whoever has the key and not the address is not even heard.
    let join = operator.join(&scene.intruder, &operator.vim, &["--once"])?;
    assert!(!join.finish(Duration::from_secs(20))?.status.success());
    agent.await_any("enrolment", "unknown-source")?;
    assert_eq!(leases(&agent)?, 0);
    Ok(())
}

#[test]
fn a_lease_ends_with_its_certificate_and_with_silence() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host)?;
    let join = operator.join(&scene.vim, &operator.vim, &[])?;
    await_leases(&agent, 1, PATIENCE)?;
    join.signal(Signal::SIGSTOP)?;
    await_leases(&agent, 0, SILENCE)?;
    assert!(!connects(&scene.vim)?);
    join.signal(Signal::SIGCONT)?;
    await_leases(&agent, 1, SILENCE)?;
    assert!(connects(&scene.vim)?);

    let which = Which::Named("vim-1".to_owned());
    operator.authority.revoke(&which, Reason::KeyCompromise)?;
    assert!(operator.crl().exists());
    await_leases(&agent, 0, Duration::from_secs(8))?;
    assert!(!connects(&scene.vim)?);
    Ok(())
}

#[test]
fn connections_outlast_the_agent_for_the_time_of_a_lease() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let mut agent = operator.agent(&scene.host)?;
    let mut join = operator.join(&scene.vim, &operator.vim, &[])?;
    await_leases(&agent, 1, PATIENCE)?;
    agent.kill9();
    assert!(connects(&scene.vim)?, "the lease goes on");
    agent.restart()?;
    assert!(connects(&scene.vim)?, "and under the next agent");
    await_leases(&agent, 1, SILENCE)?;
    assert!(connects(&scene.vim)?);

    join.kill();
    agent.kill9();
    std::thread::sleep(SILENCE);
    assert!(!connects(&scene.vim)?, "nobody renews it");
    agent.restart()
}

/// Datagrams from the VIM's address, out of the intruder's interface: of no sense, and as a QUIC
/// connection begins (RFC 9000, 17.2.2), from many ports.
fn forged() -> Vec<Vec<u8>> {
    let ports = 20_000..20_256_u16;
    ports
        .map(|source| {
            let mut payload = vec![0; 1200];
            fastrand::Rng::with_seed(source.into()).fill(&mut payload);
            if source % 2 == 0 {
                payload[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
            }
            let ethernet = Ethernet {
                source: INTRUDER.mac,
                ..Ethernet::default()
            };
            let packet = Packet::new().with(ethernet).with(Ipv4::default());
            let datagram = packet.with(Udp {
                source,
                ..Udp::to(wire::PORT)
            });
            datagram.with(payload).build()
        })
        .collect()
}

#[test]
fn a_flood_of_forged_proofs_ends_no_lease() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let _listener = scene.host.tcp_listener((HOST.v4, PORT))?;
    let agent = operator.agent(&scene.host)?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    await_leases(&agent, 1, PATIENCE)?;
    let before = agent.memory_kb()?;
    let mut intruder = Wire::open(&scene.intruder, NIC)?;
    let frames = forged();
    let start = Instant::now();
    let mut sent = 0_u64;
    // Longer than a lease lives without being renewed.
    while start.elapsed() < SILENCE {
        for frame in &frames {
            intruder.send(frame)?;
            sent += 1;
        }
    }
    assert!(sent > 100_000, "{sent} is no flood");
    assert_eq!(leases(&agent)?, 1);
    assert!(connects(&scene.vim)?);
    let grown = agent.memory_kb()?.saturating_sub(before);
    assert!(grown < 64 << 10, "the agent has grown by {grown} kB");
    let limited = agent.tally()?.packets("enrolment", "rate-limited");
    assert!(limited > sent / 2, "{limited} of {sent} were held back");
    Ok(())
}
