//! The VIM needs a certificate: its addresses are no longer enough.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Agent;
use harness::machine::process::Process;
use harness::net::capture::Capture;
use harness::net::station::{HOST, VIM};
use harness::programs::openssh;

use crate::admission::{login, session, silence};
use crate::authority;
use crate::counts::packets;
use crate::impostor;
use crate::scene::Scene;
use crate::stage::Stage;

/// How long a session may take to begin, and to end.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Runs these steps. Returns the VIM's `manoward join`, if it was admitted.
pub fn play(
    stage: &mut Stage,
    scene: &Scene,
    agent: &Agent<'_>,
    policy: &str,
) -> Result<Option<Process>> {
    let topology = &scene.topology;
    stage.step("the policy demands a certificate of the VIM", || {
        demand(agent, policy)
    });
    stage.step("the VIM asks for 22, and has proven nothing", || {
        dropped_for(agent, "no-lease", || {
            silence(&topology.vim, HOST.v4, openssh::PORT)
        })
    });
    impostor::without_a_session(stage, scene, agent);
    let mut capture = Capture::start(&topology.switch, VIM)?;
    let joined = join(stage, scene, "the VIM joins with its certificate");
    let frames = capture.take()?.sent;
    stage.step("the VIM opens TLS on 16514", || {
        session(scene, &topology.vim, HOST.v4)
    });
    stage.step("the VIM logs in by SSH", || {
        login(scene, &topology.vim, HOST.v4)
    });
    impostor::beside_a_session(stage, scene, agent, &frames);
    stage.step("the VIM leaves", || leave(agent, joined));
    impostor::after_a_session(stage, scene, agent, &frames);
    Ok(join(stage, scene, "the VIM joins again"))
}

/// Applies the policy with a certificate demanded of the VIM.
fn demand(agent: &Agent<'_>, policy: &str) -> Result<String> {
    let proof = format!(
        "    role: vim\n    authenticate: certificate\n    identity: {}\n",
        authority::VIM
    );
    let demanding = policy
        .replace("    role: vim\n", &proof)
        .replace("serial: 1\n", "serial: 2\n");
    let output = agent.apply(&demanding)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let mut lines = output.stdout.lines();
    let changed = lines.find(|line| line.contains(authority::VIM));
    Ok(changed.context("nothing changed")?.trim().to_owned())
}

/// The VIM's `manoward join`, once it is admitted.
fn join(stage: &mut Stage, scene: &Scene, name: &str) -> Option<Process> {
    let mut joined = None;
    stage.step(name, || {
        let authority = &scene.authority;
        let mut process = authority.join(&scene.topology.vim, &authority.vim, &[])?;
        process.wait_for("admitted", PATIENCE)?;
        let said = process.stdout();
        joined = Some(process);
        let (_, admitted) = said.trim().split_once(": ").context("it says nothing")?;
        Ok(admitted.to_owned())
    });
    joined
}

/// Ends the VIM's session by SIGTERM; its lease must end.
fn leave(agent: &Agent<'_>, joined: Option<Process>) -> Result<String> {
    joined.context("it has not joined")?.terminate()?;
    agent.await_leases(0, PATIENCE)?;
    Ok("its lease has ended".to_owned())
}

/// Returns what `observe` does; meanwhile packets must be dropped for `reason`.
pub fn dropped_for(
    agent: &Agent<'_>,
    reason: &str,
    observe: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let before = packets(agent, reason)?;
    let observed = observe()?;
    let dropped = packets(agent, reason)? - before;
    ensure!(dropped > 0, "{observed}, but not for {reason}");
    let reason = reason.replace("mac", "MAC address").replace('-', " ");
    Ok(format!("{observed}: {reason}"))
}
