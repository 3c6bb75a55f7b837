//! Stalled handshakes occupy slots for a few seconds, and keep nobody out.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::BytesMut;
use harness::agent::operator::{Operator, policy};
use harness::machine::process::Process;
use harness::machine::wait;
use harness::net::station::{HOST, NIC, VIM};
use harness::net::traffic::Stream;
use harness::{Agent, Namespace, Policy, Topology};
use manoward::enrolment::pki::{self, Contents};
use manoward::enrolment::wire;
use manoward::files::Owner;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{ClientConfig, Connection, DatagramEvent, Endpoint, EndpointConfig};

use super::{ONCE, PATIENCE, PORT, log};

/// Longer than a handshake may take.
const HANDSHAKES: Duration = Duration::from_secs(15);
/// Handshakes that may be in progress.
const SLOTS: u64 = 256;
/// This long after it was granted a lease has been renewed; at least [`RENEWED`] of its 20 seconds
/// are left then.
const SETTLED: Duration = Duration::from_secs(8);
const RENEWED: u64 = 14;
/// How long to wait for an answer, which the rate limit may prevent.
const ANSWER: Duration = Duration::from_millis(40);

/// Endpoints at the addresses of the VIM, the tenant, and the intruder and its neighbours.
const ENDPOINTS: &str = "{
    vim-1: { role: vim, addresses: [192.0.2.10], authenticate: certificate,
             identity: \"spiffe://operator.example/vim/1\" },
    vnfm-1: { role: vim, addresses: [192.0.2.64/28], authenticate: certificate,
              identity: \"spiffe://operator.example/vnfm/1\" },
    em-1: { role: vim, addresses: [192.0.2.90], authenticate: certificate,
            identity: \"spiffe://operator.example/em/1\" } }";

/// A QUIC client without a certificate; its handshakes stall before they need one.
fn client(operator: &Operator) -> Result<ClientConfig> {
    let (roots, _) = pki::roots(&Contents::read(operator.authority.bundle(), Owner::Anyone)?)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(pki::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![wire::ALPN.to_vec()];
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(
        tls,
    )?)))
}

/// Begins a handshake, validates the address, and sends nothing more. The socket; `None` if there was no
/// answer.
fn stall(from: &Namespace, address: Ipv4Addr, client: &ClientConfig) -> Result<Option<UdpSocket>> {
    let host = SocketAddr::from((HOST.v4, wire::PORT));
    let socket = from.udp((address, 0), ANSWER)?;
    socket.connect(host)?;
    let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
    let name = HOST.v4.to_string();
    let (_, mut connection) = endpoint.connect(Instant::now(), client.clone(), host, &name)?;
    let send = |connection: &mut Connection| -> Result<()> {
        let mut datagram = Vec::new();
        let transmit = connection.poll_transmit(Instant::now(), 1, &mut datagram);
        let transmit = transmit.context("nothing to send")?;
        socket.send(&datagram[..transmit.size])?;
        Ok(())
    };
    send(&mut connection)?;
    let mut retry = [0; 2048];
    let length = match socket.recv(&mut retry) {
        Ok(length) => length,
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
            return Ok(None);
        }
        Err(error) => return Err(error).context("waiting for a Retry"),
    };
    let retry = BytesMut::from(&retry[..length]);
    let event = endpoint.handle(Instant::now(), host, None, None, retry, &mut Vec::new());
    let Some(DatagramEvent::ConnectionEvent(_, event)) = event else {
        return Err(anyhow!("the host answers something else"));
    };
    connection.handle_event(event);
    send(&mut connection)?;
    Ok(Some(socket))
}

/// Begins handshakes from these addresses until `ended`, and finishes none; returns their number.
fn attack(
    from: &Namespace,
    addresses: &[Ipv4Addr],
    client: &ClientConfig,
    ended: &AtomicBool,
) -> Result<u64> {
    let mut stalled = 0;
    for &address in addresses.iter().cycle() {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        stalled += u64::from(stall(from, address, client)?.is_some());
    }
    Ok(stalled)
}

/// One machine stalls handshakes from many addresses, more than the host has slots for.
#[test]
fn handshakes_that_stall_keep_nobody_out() -> Result<()> {
    let operator = Operator::new()?;
    let em = operator.issue("em-1", "spiffe://operator.example/em/1")?;
    let vnfm = operator.issue("vnfm-1", "spiffe://operator.example/vnfm/1")?;
    let scene = Topology::new()?;
    let addresses: Vec<_> = (64..80)
        .map(|last| Ipv4Addr::new(192, 0, 2, last))
        .collect();
    for address in &addresses {
        let address = format!("{address}/24");
        let replace = ["ip", "address", "replace", &address, "dev", NIC];
        scene.intruder.run(&replace)?;
    }
    let policy = Policy {
        endpoints: ENDPOINTS,
        ..policy()
    };
    let agent = operator.agent(&scene.host, &policy)?;
    let _vim = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let joined = Instant::now();
    let stream = Stream::start(&scene.vim, &scene.host, (HOST.v4, PORT).into())?;
    let client = client(&operator)?;
    let ended = AtomicBool::new(false);
    let stalled = thread::scope(|scope| -> Result<u64> {
        let (intruder, client, ended) = (&scene.intruder, &client, &ended);
        let begin = |addresses| scope.spawn(move || attack(intruder, addresses, client, ended));
        let attacks: Vec<_> = addresses.chunks(4).map(begin).collect();
        let during = while_all_slots_are_taken(&agent, joined, || {
            operator.join(&scene.tenant, &em, &["--once"])
        });
        ended.store(true, Ordering::Relaxed);
        let stalled = attacks.into_iter().map(|attack| {
            let panicked = |_| anyhow!("an attack panicked");
            attack.join().map_err(panicked)?
        });
        let stalled = stalled.sum::<Result<u64>>()?;
        during.map(|()| stalled)
    })?;
    assert!(stalled > SLOTS, "{stalled} have a slot each");

    // The lease has been renewed, and nothing of its connections was lost.
    let leases = agent.leases()?.leases;
    let lease = leases.iter().find(|lease| lease.endpoint == "vim-1");
    let left = lease.context("the VIM's lease")?.expires_in_seconds;
    assert!(left >= RENEWED, "{left} s are left of it");
    assert!(stream.stop()? > 0);
    let mut join = operator.join(&scene.intruder, &vnfm, &[])?;
    join.wait_for("admitted", ONCE)
        .context("who stalled, and now does not")
}

/// Waits until all slots are taken and the first handshakes have timed out; then others join.
fn while_all_slots_are_taken(
    agent: &Agent<'_>,
    joined: Instant,
    join: impl Fn() -> Result<Process>,
) -> Result<()> {
    for reason in ["rate-limited", "timeout"] {
        let refused = || Ok(agent.refused(reason)? > 0);
        wait::until(&true, HANDSHAKES, refused).context(reason)?;
        let fields = log::line(agent, "failure", Some(reason))?;
        let from = fields["source_address"].parse()?;
        assert!((64..80).contains(&Ipv4Addr::octets(&from)[3]), "{fields:?}");
        log::assert_fields(&fields, from, "");
    }
    for round in 0..4 {
        let output = join()?.finish(ONCE)?;
        assert!(output.status.success(), "{round}: {}", output.stdout);
    }
    thread::sleep(SETTLED.saturating_sub(joined.elapsed()));
    Ok(())
}

/// The programs remember for as long as a handshake takes who has answered a Retry, and others for a second.
#[test]
fn only_who_has_shown_where_it_receives_is_remembered() -> Result<()> {
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let agent = operator.agent(&scene.host, &policy())?;
    let client = client(&operator)?;
    let shown = stall(&scene.vim, VIM.v4, &client)?.context("no Retry")?;
    let begun = scene.vim.udp((VIM.v4, 0), ANSWER)?;
    begun.connect((HOST.v4, wire::PORT))?;
    let mut initial = vec![0; 1200];
    initial[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
    begun.send(&initial)?;
    thread::sleep(Duration::from_secs(2));
    let refused = || Ok(agent.counters()?.packets("enrolment", "not-initial"));
    assert_eq!(refused()?, 0);
    for socket in [&shown, &begun] {
        socket.send(&[0x40; 40])?;
    }
    wait::until(&1, PATIENCE, refused)?;
    shown.send(&[0x40; 40])?;
    begun.send(&[0x40; 40])?;
    wait::until(&2, PATIENCE, refused)
}
