//! A wall clock that jumps. The monotonic clock is not affected.

use std::env::consts::ARCH;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::agent::operator::{Operator, policy};
use harness::net::station::{HOST, HOST_OPERATIONS};
use harness::net::traffic::Stream;
use harness::scene::watch::STREAM;
use harness::{Namespace, Outcome, Policy, Topology};

use super::PATIENCE;

/// Longer than a lease lives without being renewed.
const LEASE: Duration = Duration::from_secs(22);
/// The longest that an endpoint waits before it tries again.
const AGAIN: Duration = Duration::from_secs(40);
const SHORT: Duration = Duration::from_millis(300);

/// The VIM needs a certificate, the bastion does not.
const ENDPOINTS: &str = "{
    vim-1: { role: vim, addresses: [192.0.2.10], authenticate: certificate,
             identity: \"spiffe://operator.example/vim/1\" },
    bastion: { role: vim, addresses: [198.51.100.2] } }";

#[test]
fn a_clock_that_jumps_ends_no_lease_whose_certificate_is_valid_then() -> Result<()> {
    let library = format!("/usr/lib/{ARCH}-linux-gnu/faketime/libfaketimeMT.so.1");
    ensure!(
        Path::new(&library).exists(),
        "{library} is missing, which gives a program another time. Install what Debian calls \
         faketime"
    );
    let operator = Operator::new()?;
    let scene = Topology::new()?;
    let policy = Policy {
        endpoints: ENDPOINTS,
        ..policy()
    };
    let mut agent = operator.agent(&scene.host, &policy)?;
    let file = agent.folder().join("clock");
    let clock = |offset: &str| std::fs::write(&file, format!("{offset}\n"));
    clock("+0")?;
    agent.set("LD_PRELOAD", library);
    agent.set("FAKETIME_TIMESTAMP_FILE", &file);
    agent.set("FAKETIME_NO_CACHE", "1");
    agent.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    agent.restart()?;
    let _join = operator.join(&scene.vim, &operator.vim, &[])?;
    agent.await_leases(1, AGAIN)?;
    let stream = Stream::start(&scene.vim, &scene.host, STREAM)?;
    for offset in ["+1h", "-1h"] {
        let rounds = stream.rounds();
        clock(offset)?;
        thread::sleep(LEASE / 2);
        ensure!(stream.rounds() > rounds + 100, "the stream stands");
    }
    agent.await_leases(1, Duration::ZERO)?;
    stream.stop()?;

    let _listener = scene.host.tcp_listener(STREAM)?;
    let operations = (HOST_OPERATIONS.v4, STREAM.port());
    let _other = scene.host.tcp_listener(operations)?;
    let connects = |from: &Namespace, to: (std::net::Ipv4Addr, u16), patience| {
        Ok::<_, anyhow::Error>(from.tcp_connect(to, patience)? == Outcome::Connected)
    };
    let control = (HOST.v4, STREAM.port());
    // In twenty years the certificate has expired; endpoints that need none are still admitted.
    clock("+7300d")?;
    agent.await_leases(0, PATIENCE)?;
    ensure!(!connects(&scene.vim, control, SHORT)?, "without a lease");
    ensure!(connects(&scene.bastion, operations, PATIENCE)?);
    ensure!(!connects(&scene.intruder, control, SHORT)?);
    // The log names the reason. When the clock is right again, the endpoint joins by itself.
    ensure!(agent.log().contains("no longer valid"), "{}", agent.log());
    clock("+0")?;
    agent.await_leases(1, AGAIN)?;
    ensure!(connects(&scene.vim, control, PATIENCE)?);
    ensure!(!connects(&scene.intruder, control, SHORT)?);
    Ok(())
}
