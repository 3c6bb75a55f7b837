//! Every service, from peers with and without the role for it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use harness::net::station::{HOST, HOST_OPERATIONS};
use harness::programs::openssh;
use harness::programs::tls::{self, Handshake};
use harness::{Namespace, Outcome};

use crate::scene::Scene;
use crate::stage::Stage;

/// How long to wait where an answer is expected.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait where no answer is expected: two SYNs of TCP.
const SILENCE: Duration = Duration::from_millis(1500);

/// Runs these steps.
pub fn play(stage: &mut Stage, scene: &Scene) {
    let topology = &scene.topology;
    stage.step("the VIM opens TLS on 16514", || {
        session(scene, &topology.vim, HOST.v4)
    });
    stage.step("the VIM opens TLS on 16514 over IPv6", || {
        session(scene, &topology.vim, HOST.v6)
    });
    stage.step("the VIM logs in by SSH", || {
        login(scene, &topology.vim, HOST.v4)
    });
    stage.step("the bastion logs in by SSH", || {
        login(scene, &topology.bastion, HOST_OPERATIONS.v4)
    });
    stage.step("the bastion asks for TLS on 16514: wrong role", || {
        silence(&topology.bastion, HOST_OPERATIONS.v4, tls::PORT)
    });
    for port in [openssh::PORT, tls::PORT] {
        stage.step(&format!("the intruder asks for {port}"), || {
            silence(&topology.intruder, HOST.v4, port)
        });
    }
    stage.step("the intruder asks for 22 over IPv6", || {
        silence(&topology.intruder, HOST.v6, openssh::PORT)
    });
}

/// Opens a TLS session with the host, and verifies its certificate.
pub fn session(scene: &Scene, from: &Namespace, to: impl Into<IpAddr>) -> Result<String> {
    let to = to.into();
    match scene.libvirt.handshake(from, (to, tls::PORT), PATIENCE)? {
        Handshake::Established(version) => Ok(format!("{version}, certificate verified")),
        Handshake::NoConnection(outcome) => bail!("no connection: {}", name(outcome)),
        Handshake::Failed(said) => bail!("no session: {}", said.trim()),
    }
}

/// Runs a command on the host over SSH.
pub fn login(scene: &Scene, from: &Namespace, to: impl Into<IpAddr>) -> Result<String> {
    let output = scene.sshd.login(from, to, "echo logged in as $(id -un)")?;
    let said = output.stdout.trim();
    ensure!(
        output.status.success() && said == "logged in as root",
        "ssh ended with {}: {said}{}",
        output.status,
        output.stderr.trim()
    );
    Ok(said.to_owned())
}

/// Opens a TCP connection, which must be accepted.
pub fn connects(from: &Namespace, to: impl Into<IpAddr>, port: u16) -> Result<String> {
    let outcome = from.tcp_connect((to.into(), port), PATIENCE)?;
    ensure!(outcome == Outcome::Connected, "{}", name(outcome));
    Ok(name(outcome).to_owned())
}

/// Tries a TCP connection, which must get no answer: a refusal would show an attacker that the host
/// exists.
pub fn silence(from: &Namespace, to: impl Into<IpAddr>, port: u16) -> Result<String> {
    let started = Instant::now();
    let outcome = from.tcp_connect((to.into(), port), SILENCE)?;
    ensure!(outcome == Outcome::TimedOut, "{}", name(outcome));
    let waited = started.elapsed().as_secs_f64();
    Ok(format!("no answer in {waited:.1} s"))
}

const fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Connected => "connected",
        Outcome::Refused => "refused",
        Outcome::TimedOut => "timed out",
        Outcome::Unreachable => "unreachable",
    }
}
