//! Handshakes that stall hold a place for a few seconds, and keep nobody out.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::BytesMut;
use harness::operator::{Operator, policy};
use harness::station::{HOST, INTRUDER, TENANT};
use harness::traffic::Stream;
use harness::{Namespace, Policy, Topology, wait};
use manoward::enrolment::{pki, wire};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{ClientConfig, Connection, DatagramEvent, Endpoint, EndpointConfig};

use crate::{ONCE, PATIENCE, PORT, log};

/// Longer than a handshake may take.
const HANDSHAKES: Duration = Duration::from_secs(15);
/// How long an answer is waited for that may have been held back.
const ANSWER: Duration = Duration::from_millis(40);

/// Endpoints at the addresses of the VIM, the intruder and the tenant; all prove who they are.
const ENDPOINTS: &str = "{
    vim-1: { role: vim, addresses: [192.0.2.10], authenticate: certificate,
             identity: \"spiffe://operator.example/vim/1\" },
    vnfm-1: { role: vim, addresses: [192.0.2.64/28], authenticate: certificate,
              identity: \"spiffe://operator.example/vnfm/1\" },
    em-1: { role: vim, addresses: [192.0.2.90], authenticate: certificate,
            identity: \"spiffe://operator.example/em/1\" } }";

/// A client of the protocol that shows no certificate, and does not come to be asked for it.
fn client(operator: &Operator) -> Result<ClientConfig> {
    let (roots, _) = pki::roots(operator.authority.bundle())?;
    let mut tls = rustls::ClientConfig::builder_with_provider(pki::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![wire::ALPN.to_vec()];
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(
        tls,
    )?)))
}

/// Begins a handshake, proves the address, and says nothing more. `false` if there was no answer.
fn stall(from: &Namespace, address: Ipv4Addr, client: &ClientConfig) -> Result<bool> {
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
            return Ok(false);
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
    Ok(true)
}

#[test]
fn handshakes_that_stall_keep_nobody_out() -> Result<()> {
    let operator = Operator::new()?;
    let em = operator.issue("em-1", "spiffe://operator.example/em/1")?;
    let vnfm = operator.issue("vnfm-1", "spiffe://operator.example/vnfm/1")?;
    let scene = Topology::new()?;
    let policy = Policy {
        endpoints: ENDPOINTS,
        ..policy()
    };
    let agent = operator.agent(&scene.host, &policy)?;
    let _vim = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, PATIENCE)?;
    let stream = Stream::start(&scene.vim, &scene.host, (HOST.v4, PORT).into())?;
    let client = client(&operator)?;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let attack = scope.spawn(|| -> Result<u32> {
            let mut stalled = 0;
            while !ended.load(Ordering::Relaxed) {
                stalled += u32::from(stall(&scene.intruder, INTRUDER.v4, &client)?);
            }
            Ok(stalled)
        });
        let during = (|| -> Result<()> {
            // There are as many as one source may have, and the first have come to their end.
            for reason in ["rate-limited", "timeout"] {
                let refused = || Ok(agent.refused(reason)? > 0);
                wait::until(&true, HANDSHAKES, refused).context(reason)?;
                log::assert_fields(&log::line(&agent, "failure", Some(reason))?, INTRUDER, "");
            }
            let mut joins = operator.join(&scene.tenant, &em, &[])?;
            let began = Instant::now();
            joins
                .wait_for("admitted", ONCE)
                .context("while handshakes stall")?;
            eprintln!("MEASURED third joined in {:?}", began.elapsed());
            agent.await_leases(2, Duration::ZERO)
        })();
        ended.store(true, Ordering::Relaxed);
        let stalled = attack
            .join()
            .map_err(|_| anyhow!("the attack panicked"))??;
        eprintln!("MEASURED stalled {stalled}");
        during
    })?;
    assert_eq!(
        agent.refused("rate-limited")?,
        agent.refused("rate-limited")?
    );
    let _ = TENANT;
    // The place that the handshakes held is free again.
    let mut joins = operator.join(&scene.intruder, &vnfm, &[])?;
    let began = Instant::now();
    joins
        .wait_for("admitted", ONCE)
        .context("after handshakes have stalled")?;
    eprintln!("MEASURED attacker joined in {:?}", began.elapsed());
    let rounds = stream.stop()?;
    assert!(rounds > 0, "the VIM's connection");
    Ok(())
}
