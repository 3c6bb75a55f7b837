//! The intruder pretends to be the VIM: with its addresses, other certificates, recorded packets.
//!
//! What remains possible is in README.md: during the VIM's session, packets from its IP address and
//! its MAC address on the same link look like the VIM's.

use anyhow::{Context, Result, ensure};
use harness::Agent;
use harness::machine::wait;
use harness::net::station::{HOST, INTRUDER, Mac, NIC, VIM};
use harness::net::wire::Wire;
use harness::programs::certificate::Identity;
use harness::programs::openssh;
use harness::scene::impersonation;

use crate::admission::silence;
use crate::identity::{PATIENCE, dropped_for};
use crate::scene::Scene;
use crate::stage::Stage;

/// Steps while the VIM has no session.
pub fn without_a_session(stage: &mut Stage, scene: &Scene, agent: &Agent<'_>) {
    stage.step("the intruder takes the VIM's address and MAC", || {
        dropped_for(agent, "no-lease", || ask_as(scene, VIM.mac))
    });
    let authority = &scene.authority;
    for (name, certificate, reason) in [
        (
            "... and joins with a self-signed certificate",
            &authority.self_signed,
            "unknown-ca",
        ),
        (
            "... with a certificate of the bastion",
            &authority.bastion,
            "no-matching-identity",
        ),
        (
            "... with one of the VIM that was revoked",
            &authority.lost,
            "revoked",
        ),
    ] {
        stage.step(name, || is_refused(scene, agent, certificate, reason));
    }
}

/// Steps while the VIM has a session, whose datagrams were recorded.
pub fn beside_a_session(stage: &mut Stage, scene: &Scene, agent: &Agent<'_>, recorded: &[Vec<u8>]) {
    stage.step("the intruder takes the VIM's address", || {
        dropped_for(agent, "wrong-mac", || ask_as(scene, INTRUDER.mac))
    });
    stage.step("the intruder replays how the VIM joined", || {
        let before = session_starts(agent)?;
        let received =
            || -> Result<u64> { Ok(agent.counters()?.packets("enrolment", "permitted")) };
        let all = received()? + recorded.len() as u64;
        replay(scene, recorded)?;
        let all_received = || Ok(received()? >= all);
        wait::until(&true, PATIENCE, all_received).context("the agent receives it")?;
        ensure!(session_starts(agent)? == before, "there is another session");
        Ok(format!("{} datagrams prove nothing", recorded.len()))
    });
}

/// Steps after the VIM's session.
pub fn after_a_session(stage: &mut Stage, scene: &Scene, agent: &Agent<'_>, recorded: &[Vec<u8>]) {
    stage.step("the intruder replays it, with the VIM's MAC", || {
        let silence = dropped_for(agent, "no-lease", || {
            replay(scene, recorded)?;
            ask_as(scene, VIM.mac)
        })?;
        ensure!(session_starts(agent)?.is_empty(), "there is a session");
        impersonation::take_addresses(&scene.topology.intruder, INTRUDER.v4, INTRUDER.mac)?;
        Ok(silence)
    });
}

/// The intruder asks for SSH from the VIM's address.
fn ask_as(scene: &Scene, mac: Mac) -> Result<String> {
    let intruder = &scene.topology.intruder;
    impersonation::take_addresses(intruder, VIM.v4, mac)?;
    silence(intruder, HOST.v4, openssh::PORT)
}

/// Joins with a certificate, which the host must refuse for `reason`.
fn is_refused(
    scene: &Scene,
    agent: &Agent<'_>,
    certificate: &Identity,
    reason: &str,
) -> Result<String> {
    let before = agent.refused(reason)?;
    let intruder = &scene.topology.intruder;
    let join = scene.authority.join(intruder, certificate, &["--once"])?;
    let output = join.finish(PATIENCE)?;
    ensure!(!output.status.success(), "{}", output.stdout.trim());
    ensure!(
        agent.refused(reason)? == before + 1,
        "{}{}",
        output.stdout.trim(),
        output.stderr.trim()
    );
    ensure!(session_starts(agent)?.is_empty(), "there is a lease");
    Ok(format!("refused: {reason}"))
}

/// Sends recorded frames again, unchanged.
fn replay(scene: &Scene, recorded: &[Vec<u8>]) -> Result<()> {
    ensure!(!recorded.is_empty(), "nothing was recorded");
    let mut wire = Wire::open(&scene.topology.intruder, NIC)?;
    recorded.iter().try_for_each(|frame| wire.send(frame))
}

/// When the sessions in force began.
fn session_starts(agent: &Agent<'_>) -> Result<Vec<String>> {
    let leases = agent.leases()?.leases.into_iter();
    Ok(leases.filter_map(|lease| lease.since).collect())
}
